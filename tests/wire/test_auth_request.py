"""What nginx's sub-request tells: read as at the native door, and refused where two could read it in two ways."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.auth_request import read_sub_request
from gambeson.wire.http_target import HeadError

HOSTS = frozenset(("mail.example.org",))
Pairs = list[tuple[bytes, bytes]]


def asked(*more: tuple[bytes, bytes], without: bytes = b"", **changed: bytes) -> Pairs:
    made = {
        b"x-original-uri": b"/owa/?a=B%20c",
        b"x-original-method": b"GET",
        b"x-original-host": b"mail.example.org",
        b"x-gambeson-client": b"203.0.113.7",
    }
    made |= {name.replace("_", "-").encode(): value for name, value in changed.items()}
    made.pop(without, None)
    return [(b"host", b"127.0.0.1:9480"), (b"x-api-key", b"k" * 32), *made.items(), *more]


def test_the_request_is_the_clients() -> None:
    sub = read_sub_request(
        asked((b"authorization", b"Basic eDp5"), (b"cookie", b"a=b"), (b"accept", b"text/html")), HOSTS
    )
    request = sub.request
    assert (request.method, request.host, request.path, request.query) == (
        "GET",
        "mail.example.org",
        "/owa/",
        "a=B%20c",
    )
    assert request.source == "203.0.113.7"
    assert request.header("authorization") == "Basic eDp5"
    assert request.cookie("a") == "b"
    assert request.header("x-api-key") == ""
    assert all(not name.startswith(("x-gambeson-", "x-original-")) for name, _ in request.headers)
    assert not request.body


def test_a_body_is_known_by_its_length() -> None:
    sub = read_sub_request(asked(x_original_method=b"POST", x_gambeson_length=b"12"), HOSTS)
    assert sub.request.body
    sub = read_sub_request(asked(x_original_method=b"POST", x_gambeson_coding=b"chunked"), HOSTS)
    assert sub.request.body


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (asked((b"x-original-uri", b"/other")), "header-twice"),
        (asked((b"x-gambeson-client", b"::1")), "header-twice"),
        (asked((b"x-gambeson-user", b"root")), "header-of-ours"),
        (asked(without=b"x-gambeson-client"), "client-address"),
        (asked(x_gambeson_client=b"unix:"), "client-address"),
        (asked(without=b"x-original-host"), "no-host"),
        (asked(x_original_host=b"other.example.org"), "host-unknown"),
        (asked(x_original_uri=b"/owa/..%2fecp/"), ""),
        (asked(x_original_uri=b"/owa/../ecp/"), ""),
        (asked(x_original_uri=b"/owa%5cecp"), ""),
        (asked(x_original_uri=b"http://x/owa"), "target-form"),
        (asked(x_original_method=b"get"), "method"),
        (asked((b"authorization", b"a"), (b"authorization", b"b")), "two-authorization"),
        (asked(x_gambeson_length=b"1", x_gambeson_coding=b"chunked", x_original_method=b"POST"), ""),
        (asked(x_gambeson_verified=b"SUCCESS", x_gambeson_certificate=b"x"), "certificate"),
        (asked(x_gambeson_verified=b"SUCCESS"), "certificate"),
    ],
)
def test_refused(headers: Pairs, reason: str) -> None:
    with pytest.raises(HeadError) as caught:
        read_sub_request(headers, HOSTS)
    assert reason in caught.value.reason


def test_a_certificate_counts_where_nginx_verified_it() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAECAwQ=\n-----END CERTIFICATE-----\n"
    shown = quote(pem, safe="").encode()
    sub = read_sub_request(asked(x_gambeson_verified=b"SUCCESS", x_gambeson_certificate=shown), HOSTS)
    assert sub.certificate == bytes(range(5))
    assert sub.fingerprint == hashlib.sha256(bytes(range(5))).hexdigest()
    for said in (b"NONE", b"FAILED:expired", b"", b"success"):
        sub = read_sub_request(asked(x_gambeson_verified=said, x_gambeson_certificate=shown), HOSTS)
        assert sub.fingerprint == ""
        assert sub.certificate == b""


OURS = st.sampled_from(
    [
        b"x-original-uri",
        b"x-original-method",
        b"x-original-host",
        b"x-gambeson-client",
        b"x-gambeson-certificate",
        b"x-gambeson-verified",
        b"x-gambeson-length",
        b"cookie",
        b"authorization",
        b"a",
    ]
)


@given(st.lists(st.tuples(OURS | st.binary(min_size=1, max_size=8), st.binary(max_size=40)), max_size=12))
def test_any_headers_give_a_request_or_one_error(more: Pairs) -> None:
    for headers in (more, asked(*more)):
        try:
            sub = read_sub_request(headers, HOSTS)
        except HeadError:
            continue
        assert sub.request.host in HOSTS
