"""Heads of requests: read in one way, or refused with a status and a stable word."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.model.web import WebRequest
from gambeson.wire.http_head import HeadError, RequestHead, RequestReader, read_request

HOST = "mail.example.org"
LINE = b"GET /owa/?a=b HTTP/1.1\r\n"
H = b"Host: mail.example.org\r\n"


def read(head: bytes, sni: str = HOST) -> RequestHead:
    return RequestReader().read(head, sni=sni, source="192.0.2.1", hosts={HOST, "autodiscover.example.org"})


def test_a_request_as_everybody_after_it_sees_it() -> None:
    made = read(
        b"POST /OWA/x?A=%20 HTTP/1.1\r\nhOST: Mail.Example.org:8443\r\nContent-Length: 12\r\nX-Two:  a \t\r\n"
        b"X-Two: b\r\nCookie: a=1; b=2\r\nCookie: a=3\r\nConnection: Keep-Alive, X-Gone\r\nX-Gone: 1\r\n"
        b"X-Empty:\r\n\r\n"
    )
    request = made.request
    assert (request.method, request.host, request.path, request.query) == ("POST", HOST, "/OWA/x", "A=%20")
    assert (request.canonical, request.parameters) == ("/owa/x", (("a", " "),))
    assert request.headers == (
        ("host", "Mail.Example.org:8443"),
        ("content-length", "12"),
        ("x-two", "a"),
        ("x-two", "b"),
        ("cookie", "a=1; b=2"),
        ("cookie", "a=3"),
        ("x-empty", ""),
    )
    assert request.cookies == (("a", "1"), ("b", "2"), ("a", "3"))
    assert (request.source, request.body, request.cookie("a"), request.cookie("b")) == (
        "192.0.2.1",
        True,
        "",
        "2",
    )
    assert (made.named, made.length, made.chunked, made.keep_alive) == (HOST + ":8443", 12, False, True)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (b"Transfer-Encoding: chunked\r\n", {"chunked": True}),
        (b"Transfer-Encoding: Chunked\r\n", {"chunked": True}),
        (b"Content-Length: 0\r\n", {"length": 0}),
        (b"Connection: close\r\n", {"keep_alive": False}),
        (b"Content-Length: 5\r\nExpect: 100-Continue\r\n", {"expects": True, "length": 5}),
        (b"Expect: 100-continue\r\n", {"expects": False}),
        (b"Connection: upgrade\r\nUpgrade: WebSocket\r\n", {"websocket": True}),
        (b"Upgrade: websocket\r\n", {"websocket": False}),
        (b"Connection: upgrade\r\nUpgrade: h2c\r\n", {"websocket": False}),
    ],
)
def test_how_the_message_goes_on(headers: bytes, found: dict[str, object]) -> None:
    made = read(LINE + H + headers + b"\r\n")
    assert {name: getattr(made, name) for name in found} == found
    if not made.websocket:
        assert made.request.header("upgrade") == ""


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (LINE + b"\r\n", 400, "no-host"),
        (LINE + b"Host:\r\n\r\n", 400, "no-host"),
        (LINE + H + H + b"\r\n", 400, "two-host"),
        (LINE + b"Host: a b\r\n\r\n", 400, "host"),
        (LINE + b"Host: user@mail.example.org\r\n\r\n", 400, "host"),
        (LINE + b"Host: mail.example.org:\r\n\r\n", 400, "host"),
        (LINE + b"Host: mail.example.org:99x\r\n\r\n", 400, "host"),
        (LINE + b"Host: mail.example.org/owa\r\n\r\n", 400, "host"),
        (LINE + b"Host: mail.example.org, other\r\n\r\n", 400, "host"),
        (LINE + b"Host: [::1]\r\n\r\n", 400, "host"),
        (LINE + b"Host: other.example\r\n\r\n", 421, "host-unknown"),
        (LINE + b"Host: autodiscover.example.org\r\n\r\n", 421, "host-not-sni"),
        (b"GET / HTTP/1.2\r\n" + H + b"\r\n", 400, "parse"),
        (b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505, "version"),
        (b"GET / HTTP/0.9\r\n" + H + b"\r\n", 505, "version"),
        (b"GET / RTSP/1.0\r\n" + H + b"\r\n", 400, "request-line"),
        (b"GET /\r\n" + H + b"\r\n", 400, "request-line"),
        (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", 400, "request-line"),
        (b"GET http://mail.example.org/ HTTP/1.1\r\n" + H + b"\r\n", 400, "target-form"),
        (b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", 400, "target-form"),
        (b"TRACE / HTTP/1.1\r\n" + H + b"\r\n", 501, "method"),
        (b"CONNECT mail.example.org:443 HTTP/1.1\r\n" + H + b"\r\n", 501, "method"),
        (b"RPC_IN_DATA / HTTP/1.1\r\n" + H + b"\r\n", 501, "method"),
        (b"get / HTTP/1.1\r\n" + H + b"\r\n", 501, "method"),
        (LINE + H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "parse"),
        (LINE + H + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "parse"),
        (LINE + H + b"Content-Length: 1, 1\r\n\r\n", 400, "parse"),
        (LINE + H + b"Content-Length: +1\r\n\r\n", 400, "parse"),
        (LINE + H + b"Content-Length:\r\n\r\n", 400, "parse"),
        (LINE + H + b"Content-Length: 1234567890123456\r\n\r\n", 400, "content-length"),
        (LINE + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer-encoding"),
        (LINE + H + b"Transfer-Encoding: identity\r\n\r\n", None, ""),
        (LINE + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", None, ""),
        (b"GET / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n", 400, "transfer-encoding"),
        (LINE + H + b"Content_Length: 5\r\n\r\n", 400, "header-name-lookalike"),
        (LINE + H + b"Transfer_Encoding: chunked\r\n\r\n", 400, "header-name-lookalike"),
        (LINE + H + b"Authorization: a\r\nAuthorization: b\r\n\r\n", 400, "two-authorization"),
        (LINE + H + b"Content-Type: a\r\nContent-Type: b\r\n\r\n", 400, "two-content-type"),
        (LINE + H + b"Expect: 100-continue\r\nExpect: x\r\n\r\n", 400, "two-expect"),
        (LINE + H + b"Expect: 200-ok\r\n\r\n", 417, "expect"),
        (LINE + H + b"Connection: close, Authorization\r\n\r\n", 400, "connection-names-header"),
        (LINE + H + b"Connection: host\r\n\r\n", 400, "connection-names-header"),
        (LINE + H + b"Connection: cookie\r\n\r\n", 400, "connection-names-header"),
        (
            LINE + H + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
            400,
            "upgrade",
        ),
        (LINE + H + b"X: a\r\n b\r\n\r\n", 400, "parse"),
        (LINE + H + b" X: a\r\n\r\n", 400, "parse"),
        (LINE + H + b"X : a\r\n\r\n", 400, "parse"),
        (LINE + H + b"X\r\n\r\n", 400, "parse"),
        (LINE + H + b": a\r\n\r\n", 400, "parse"),
        (LINE + H + b"X: a\nY: b\r\n\r\n", 400, "parse"),
        (LINE + H + b"X: a\rY: b\r\n\r\n", 400, "parse"),
        (LINE + H + b"X: a\0\r\n\r\n", 400, "head-octets"),
        (LINE + H + b"X: \x0bchunked\r\n\r\n", 400, "head-octets"),
        (LINE + H + b"X: \x7f\r\n\r\n", 400, "head-octets"),
        (LINE + H + b"Cookie: " + b"a=b;" * 151 + b"\r\n\r\n", 431, "too-many-cookies"),
        (LINE + H + b"X: a\r\n" * 100 + b"\r\n", 431, "too-many-headers"),
        (LINE + H + b"X: " + b"a" * 16400 + b"\r\n\r\n", 431, "header-too-long"),
        (LINE + H + b"X: " + b"a" * 70000 + b"\r\n\r\n", 431, "head-too-long"),
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n" + H + b"\r\n", 414, "target-too-long"),
        (b"\r\n\r\n", 400, "lines"),
        (LINE + H, 400, "lines"),
    ],
)
def test_what_is_refused(head: bytes, status: int | None, reason: str) -> None:
    with pytest.raises(HeadError) as caught:
        read(head)
    if status is not None:
        assert (caught.value.status, caught.value.reason) == (status, reason)


def test_no_handshake_name_means_any_known_host() -> None:
    assert (
        read(LINE + b"Host: autodiscover.example.org\r\n\r\n", sni="").request.host
        == "autodiscover.example.org"
    )
    assert read(LINE + b"Host: MAIL.example.org.\r\n\r\n").request.host == HOST


def test_a_reader_reads_one_head_after_the_other_whatever_came_before() -> None:
    reader = RequestReader()
    heads = [
        LINE + H + b"\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 5\r\n\r\n",
        LINE + H + b"Connection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\n" + H + b"\r\n",
        LINE + H + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n",
        LINE + H + b"X: a\r\n b\r\n\r\n",
    ]
    alone = [_outcome(RequestReader(), head) for head in heads]
    for head, outcome in [*zip(heads, alone, strict=True), *zip(heads[::-1], alone[::-1], strict=True)]:
        assert _outcome(reader, head) == outcome


def _outcome(reader: RequestReader, head: bytes) -> object:
    try:
        return reader.read(head, sni=HOST, source="192.0.2.1", hosts={HOST})
    except HeadError as error:
        return error.status, error.reason


NAMES = st.sampled_from(
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Connection",
        b"Cookie",
        b"Upgrade",
        b"Expect",
        b"X-A",
    ]
)
VALUES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"mail.example.org", b"chunked", b"5", b"close, host", b"websocket", b"100-continue", b"a=b"]
    ),
)


@given(
    st.binary(max_size=20), st.binary(max_size=40), st.text(max_size=4), st.lists(st.tuples(NAMES, VALUES))
)
def test_any_parsed_head_is_a_request_or_a_head_error(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> None:
    for verb, where, number in ((method, target, version), (b"POST", b"/a", "1.1")):
        try:
            read_request(verb, where, number, headers, sni="", source="", hosts={HOST})
        except HeadError:
            continue


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.one_of(
                st.sampled_from(
                    [LINE, H, b"\r\n", b"\n", b"\r", b":", b" ", b"\0", b"Content-Length: 5", b"X: y\r\n"]
                ),
                st.binary(max_size=6),
            )
        ).map(b"".join),
    )
)
def test_any_octets_are_a_head_or_a_head_error(octets: bytes) -> None:
    reader = RequestReader()
    for head in (octets, LINE + H + octets + b"\r\n\r\n", LINE + H + b"\r\n"):
        try:
            made = reader.read(head, sni="", source="", hosts={HOST})
        except HeadError:
            continue
        assert made.request.host == HOST
        for name, value in made.request.headers:
            assert name == name.lower()
            assert not set("\r\n\0") & set(name + value)


BLOCKS = [
    H,
    H + b"Cookie: a=b\r\n",
    H + b"Accept: */*\r\nCookie: a=b\r\n",
    H + b"Content-Length: 5\r\n",
    b"Host: x\r\n",
]
FIRST = [
    b"GET /owa/?a=b HTTP/1.1",
    b"POST /owa/ HTTP/1.1",
    b"GET /owa/%2e%2e/ecp/ HTTP/1.1",
    b"GET /owa/ HTTP/1.0",
    b"GET  /owa/ HTTP/1.1",
    b"GET /owa /ecp HTTP/1.1",
    b"GET /a\x01b HTTP/1.1",
    b"GET /a\rb HTTP/1.1",
    b"GET /a\xffb HTTP/1.1",
    b"GET /a#b HTTP/1.1",
    b"GET https://mail.example.org/ HTTP/1.1",
    b"get /owa/ HTTP/1.1",
    b"BREW /owa/ HTTP/1.1",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET / HTTP/2",
]


@given(st.lists(st.tuples(st.sampled_from(FIRST), st.sampled_from(BLOCKS)), max_size=12))
def test_what_a_reader_keeps_never_changes_what_it_reads(pairs: list[tuple[bytes, bytes]]) -> None:
    hosts = frozenset((HOST,))
    kept = RequestReader()
    for line, block in pairs:
        head = line + b"\r\n" + block + b"\r\n"
        found = []
        for reader in (kept, RequestReader()):
            try:
                found.append(reader.read(head, sni=HOST, source="192.0.2.1", hosts=hosts))
            except HeadError as error:
                found.append(error.status)
        assert found[0] == found[1]


def test_other_hosts_are_looked_at_anew() -> None:
    reader, head = RequestReader(), LINE + H + b"\r\n"
    reader.read(head, sni=HOST, source="192.0.2.1", hosts=frozenset((HOST,)))
    with pytest.raises(HeadError, match="host-unknown"):
        reader.read(head, sni=HOST, source="192.0.2.1", hosts=frozenset())


def test_only_the_same_headers_share_what_was_worked_out_from_them() -> None:
    reader, hosts = RequestReader(), frozenset((HOST,))

    def request(target: bytes, rest: bytes) -> WebRequest:
        head = b"GET " + target + b" HTTP/1.1\r\n" + H + rest + b"\r\n"
        return reader.read(head, sni=HOST, source="192.0.2.1", hosts=hosts).request

    first = request(b"/a", b"Cookie: a=b\r\n")
    same = request(b"/b", b"Cookie: a=b\r\n")
    cookies = request(b"/b", b"Accept: */*\r\nCookie: a=b\r\n")
    other = request(b"/b", b"Accept: */*\r\nCookie: a=c\r\n")
    assert same.memo is first.memo
    assert cookies.memo is not first.memo
    assert cookies.cookie_memo is first.cookie_memo
    assert other.cookie_memo is not first.cookie_memo
    assert replace(first, headers=()).memo is not first.memo
    reader.rest()
    assert request(b"/a", b"Cookie: a=b\r\n").memo is not first.memo


TARGETS = st.lists(
    st.one_of(
        st.sampled_from(
            ["/owa/x", "/EWS/", "?", "&", "=", "+", "%20", "%C3%A9", "%e9", "%zz", "%", "..", "\\", " ", "#"]
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
    ),
    max_size=6,
).map(lambda pieces: "/" + "".join(pieces))


HOSTS = frozenset((HOST,))


def _of(reader: RequestReader, head: bytes) -> object:
    """The same hosts each time, as the door has them between two snapshots."""
    try:
        return reader.read(head, sni=HOST, source="192.0.2.1", hosts=HOSTS)
    except HeadError as error:
        return error.status, error.reason


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST", "GET", "FOO"]), TARGETS), min_size=1, max_size=6))
def test_another_target_with_the_same_headers_is_read_as_by_a_new_reader(
    lines: list[tuple[str, str]],
) -> None:
    reader = RequestReader()
    for method, target in lines:
        head = (
            f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + H + b"Content-Length: 0\r\nX-A: b\r\n\r\n"
        )
        made = _of(reader, head)
        assert made == _of(RequestReader(), head)
        if isinstance(made, RequestHead):
            assert type(made.request) is WebRequest
            assert hash(made.request) == hash(_of(RequestReader(), head).request)  # type: ignore[attr-defined]
            with pytest.raises(FrozenInstanceError):
                made.request.path = "/"  # type: ignore[misc]
