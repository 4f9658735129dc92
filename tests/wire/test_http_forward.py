"""Heads written anew: nothing of the other side's that it may not say."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.web import WebRequest
from gambeson.wire.http_forward import AnswerReader, request_head, response_head
from gambeson.wire.http_head import RequestReader
from gambeson.wire.http_target import HeadError, words

HOST = "mail.example.org"


@dataclass(frozen=True)
class Action:
    set: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()
    content_type: str = ""
    add: tuple[tuple[str, str], ...] = ()


def request(*headers: tuple[str, str], **more: object) -> WebRequest:
    return WebRequest("GET", HOST, "/a%20B", "q=%2F", headers=headers, source="192.0.2.1", **more)  # type: ignore[arg-type]


def lines(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n")[:-2]


def test_a_request_as_it_goes_on() -> None:
    head = request_head(
        request(("host", "x"), ("authorization", "Basic a"), ("x-b", "c"), ("x-forwarded-host", "evil")),
        (("X-B", "ours"),),
        named=HOST + ":8443",
    )
    assert lines(head) == [
        "GET /a%20B?q=%2F HTTP/1.1",
        "host: mail.example.org:8443",
        "X-B: ours",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: mail.example.org:8443",
    ]
    assert b"authorization: Basic a" in request_head(
        request(("authorization", "Basic a")), authorization=True
    )
    ours = request_head(request(("authorization", "Basic a")), (("authorization", "b"),), authorization=True)
    assert ours.count(b"authorization") == 1


@pytest.mark.parametrize(
    "name",
    sorted(
        words(
            "x-forwarded-for x_forwarded_for forwarded x-gambeson-account x_gambeson_key x-real-ip via te"
            " x-forwarded-client-cert x-originating-ip x-remote-user x_remote_user x-original-url x-rewrite-url"
            " x-http-method-override x-ssl-client-verify x-client-cert transfer-encoding x-mail-user x_mail_user"
        )
    ),
)
def test_what_only_the_door_may_say_is_left_out(name: str) -> None:
    assert b"forged" not in request_head(request((name, "forged")), never="X-Mail-User")


def test_cookies_of_a_verdict_replace_and_ours_never_go_on() -> None:
    cookies = (("a", "1"), ("__Host-gambeson-session", "t"))
    assert b"cookie: a=1\r\n" in request_head(request(cookies=cookies))
    head = request_head(request(cookies=cookies), (("cookie", "b=2; __Host-gambeson-key=k"),))
    assert b"cookie: b=2\r\n" in head
    assert b"gambeson-" not in head.replace(b"x-gambeson", b"")
    assert b"cookie" not in request_head(request(cookies=cookies[1:]))


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "a\0b", "€"])
def test_a_verdicts_header_that_would_end_its_line_is_an_error(bad: str) -> None:
    with pytest.raises(ValueError, match="control"):
        request_head(request(), (("x-user", bad),))


def test_framing_is_written_by_the_door() -> None:
    assert b"content-length: 7\r\n" in request_head(request(("content-length", "99")), length=7)
    assert b"99" not in request_head(request(("content-length", "99")), length=7)
    assert b"transfer-encoding: chunked\r\n" in request_head(request(), chunked=True)
    post = WebRequest("POST", HOST, "/")
    assert b"content-length: 0\r\n" in request_head(post)
    assert b"connection: upgrade\r\nupgrade: websocket\r\n" in request_head(request(), websocket=True)


def answer(*headers: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    return b"HTTP/%b %b\r\n" % (version, status) + b"".join(h + b"\r\n" for h in headers) + b"\r\n"


def test_an_answer_as_it_comes_out() -> None:
    made = AnswerReader().read(
        answer(
            b"Content-Length: 3",
            b"Connection: X-Gone, close",
            b"X-Gone: 1",
            b"Set-Cookie: a=b; Domain=.example.org",
            b"Set-Cookie: __Host-gambeson-session=forged",
            b"Strict-Transport-Security: max-age=0",
            b"Service-Worker-Allowed: /",
            b"X-A:  b ",
            b"Content-Type: text/css",
        )
    )
    assert (made.status, made.length, made.chunked, made.keep_alive) == (200, 3, False, False)
    head = response_head(
        made,
        (
            Action(set=(("x-a", "set"),), drop=("x-b",)),
            Action(set=(("x-c", "d"),), content_type="text/html"),
        ),
        ("__Host-gambeson-session=new",),
        length=3,
    )
    assert lines(head) == [
        "HTTP/1.1 200 OK",
        "set-cookie: a=b",
        "content-type: text/css",
        "x-a: set",
        "set-cookie: __Host-gambeson-session=new",
        "strict-transport-security: max-age=31536000",
        "content-length: 3",
    ]
    html = AnswerReader().read(answer(b"Content-Type: Text/HTML; charset=utf-8"))
    assert b"x-c: d" in response_head(html, (Action(set=(("x-c", "d"),), content_type="text/html"),))


def test_a_header_that_is_added_leaves_the_servers_own_of_that_name() -> None:
    """A browser obeys every Content-Security-Policy it gets (Content Security Policy Level 3, section 8.1)."""
    name, ours = "content-security-policy", "object-src 'none'"
    action = Action(add=((name, ours),), content_type="text/html")
    for kind in (b"Content-Type: text/html", b"X-A: b"):  # a browser guesses where none is said
        made = AnswerReader().read(answer(kind, b"Content-Security-Policy: default-src 'none'"))
        policies = [line for line in lines(response_head(made, (action,))) if line.startswith(name)]
        assert policies == [f"{name}: default-src 'none'", f"{name}: {ours}"]
    made = AnswerReader().read(answer(b"Content-Type: text/css"))
    assert name not in response_head(made, (action,)).decode()


@pytest.mark.parametrize(
    "octets",
    [
        answer(b"Content-Length: 1", b"Content-Length: 2"),
        answer(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        answer(b"Content-Length: -1"),
        answer(b"Content-Length: 1234567890123456"),
        answer(b"Transfer-Encoding: gzip, chunked"),
        answer(b"X: a\0"),
        answer(b"X: a\rSet-Cookie: b"),
        answer(b"X: a\n b"),
        answer(b"X y: z"),
        answer(status=b"99 low"),
        answer(status=b"abc"),
        answer(version=b"2.0"),
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n\r\n",
    ],
)
def test_answers_that_can_be_read_in_two_ways_are_none(octets: bytes) -> None:
    with pytest.raises(HeadError) as caught:
        AnswerReader().read(octets)
    assert caught.value.status == 502


@given(st.one_of(st.binary(), st.binary().map(lambda b: answer(b"X: " + b))))
def test_any_octets_are_an_answer_or_a_head_error(octets: bytes) -> None:
    try:
        made = AnswerReader().read(octets)
    except HeadError:
        return
    assert response_head(made).count(b"\r\n\r\n") == 1


NAME = st.from_regex(r"[a-zA-Z_-]{1,20}", fullmatch=True)
HEADER = st.tuples(NAME, st.from_regex(r"[ -~\x80-\xff]{0,30}", fullmatch=True))


@given(st.lists(HEADER, max_size=8))
def test_what_goes_on_reads_as_what_was_decided_on(headers: list[tuple[str, str]]) -> None:
    octets = "".join(f"{n}: {v}\r\n" for n, v in [("Host", HOST), *headers]).encode("latin-1")
    try:
        seen = RequestReader().read(
            b"GET /a HTTP/1.1\r\n" + octets + b"\r\n", sni="", source="192.0.2.1", hosts={HOST}
        )
    except HeadError:
        return
    out = request_head(seen.request, named=seen.named)
    again = RequestReader().read(out, sni="", source="192.0.2.1", hosts={HOST}).request
    assert (again.method, again.host, again.path, again.query) == ("GET", HOST, "/a", "")
    assert set(again.headers) - {p for p in again.headers if p[0].startswith("x-forwarded")} <= {
        *seen.request.headers,
        *(p for p in again.headers if p[0] == "cookie"),
    }
