"""Requests that two servers could read differently: what the smuggling suite sends.

Every case is the octets of one connection. Cases are made by table and by combination, so a new trick is one line.
``HIDDEN`` stands in bodies and behind bad framing: a mail server that ever sees that path was smuggled to.
"""

from __future__ import annotations

from collections.abc import Iterator

HOST = b"mail.example.org"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
_H = b"Host: " + HOST + b"\r\n"
_CHUNKED_HIDDEN = b"0\r\n\r\n" + HIDDEN


def request(
    headers: bytes = b"", body: bytes = b"", *, line: bytes = b"POST /a HTTP/1.1\r\n", host: bytes = _H
) -> bytes:
    return line + host + headers + b"\r\n" + body


def _length_and_chunked() -> Iterator[tuple[str, bytes]]:
    lengths = {
        "short": b"Content-Length: 5\r\n",
        "long": b"Content-Length: 90\r\n",
        "exact": b"Content-Length: %d\r\n" % len(_CHUNKED_HIDDEN),
        "zero": b"Content-Length: 0\r\n",
    }
    codings = {
        "plain": b"Transfer-Encoding: chunked\r\n",
        "blank before colon": b"Transfer-Encoding : chunked\r\n",
        "tab before colon": b"Transfer-Encoding\t: chunked\r\n",
        "tab": b"Transfer-Encoding:\tchunked\r\n",
        "vertical tab": b"Transfer-Encoding:\x0bchunked\r\n",
        "form feed": b"Transfer-Encoding:\x0cchunked\r\n",
        "nbsp": b"Transfer-Encoding: \xa0chunked\r\n",
        "quoted": b'Transfer-Encoding: "chunked"\r\n',
        "single-quoted": b"Transfer-Encoding: 'chunked'\r\n",
        "x": b"Transfer-Encoding: xchunked\r\n",
        "suffix": b"Transfer-Encoding: chunkedx\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "identity, chunked": b"Transfer-Encoding: identity, chunked\r\n",
        "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
        "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "two headers": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "two headers back": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "folded name": b"X: y\r\n Transfer-Encoding: chunked\r\n",
        "bare CR": b"X: y\rTransfer-Encoding: chunked\r\n",
        "bare LF": b"X: y\nTransfer-Encoding: chunked\r\n",
        "underscore": b"Transfer_Encoding: chunked\r\n",
        "case": b"tRANSFER-eNCODING: CHUNKED\r\n",
        "NUL in name": b"Transfer-Encoding\0: chunked\r\n",
        "NUL in value": b"Transfer-Encoding: chunked\0\r\n",
        "semicolon": b"Transfer-Encoding: chunked;q=1\r\n",
        "comma first": b"Transfer-Encoding: ,chunked\r\n",
        "comma last": b"Transfer-Encoding: chunked,\r\n",
        "empty": b"Transfer-Encoding:\r\n",
        "leading blank": b" Transfer-Encoding: chunked\r\n",
        "high": b"Transfer-Encoding\xa0: chunked\r\n",
        "in Connection": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "length in Connection": b"Connection: Content-Length\r\nTransfer-Encoding: chunked\r\n",
    }
    for name, coding in codings.items():
        for which, length in lengths.items():
            yield f"TE {name}, CL {which}", request(length + coding, _CHUNKED_HIDDEN)
        yield f"TE {name} alone", request(coding, _CHUNKED_HIDDEN)
        yield f"TE {name} first", request(coding + lengths["short"], _CHUNKED_HIDDEN)


def _lengths() -> Iterator[tuple[str, bytes]]:
    for value in (
        b"+5", b"-5", b"5 5", b"5,5", b"5, 6", b"0x5", b"5;", b"5.0", b"5e1", b"05", b"\t5", b"5\t", b"",
        b" ", b"_5", b"5_0",
        b"99999999999999999999", b"18446744073709551621", b"4294967301", b"\xb25", b"\xd9\xa5", b"five",
        b"5\x0b", b'"5"',
    ):  # fmt: skip
        yield f"Content-Length {value!r}", request(b"Content-Length: " + value + b"\r\n", b"hello" + HIDDEN)
    for name in (
        b"Content_Length", b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content-Length\0",
        b"\xa0Content-Length", b"Content\x2dLength", b"CONTENT-LENGTH", b"Content-Lengt\xe8",
    ):  # fmt: skip
        yield f"name {name!r}", request(name + b": 5\r\n", b"hello" + HIDDEN)
        yield (
            f"name {name!r}, GET",
            request(name + b": %d\r\n" % len(HIDDEN), HIDDEN, line=b"GET /a HTTP/1.1\r\n"),
        )
    for first, second in ((5, 6), (5, 5), (0, 5), (5, 0)):
        both = b"Content-Length: %d\r\nContent-Length: %d\r\n" % (first, second)
        yield f"Content-Length {first} and {second}", request(both, b"hello" + HIDDEN)
    yield (
        "GET with a body",
        request(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN, line=b"GET /a HTTP/1.1\r\n"),
    )
    yield (
        "HEAD with a body",
        request(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN, line=b"HEAD /a HTTP/1.1\r\n"),
    )
    yield "OPTIONS with a body", request(b"Content-Length: 5\r\n", b"hello", line=b"OPTIONS /a HTTP/1.1\r\n")


def _chunks() -> Iterator[tuple[str, bytes]]:
    chunked = b"Transfer-Encoding: chunked\r\n"
    for name, body in {
        "extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
        "quoted extension": b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
        "extension with LF": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        "extension with CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "blank before extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
        "size 05": b"05\r\nhello\r\n0\r\n\r\n",
        "size 0x5": b"0x5\r\nhello\r\n0\r\n\r\n",
        "size +5": b"+5\r\nhello\r\n0\r\n\r\n",
        "size -5": b"-5\r\nhello\r\n0\r\n\r\n",
        "size with blank": b"5 \r\nhello\r\n0\r\n\r\n",
        "size with tab": b"5\t\r\nhello\r\n0\r\n\r\n",
        "size after blank": b" 5\r\nhello\r\n0\r\n\r\n",
        "size 2^64+5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "size 2^32+5": b"100000005\r\nhello\r\n0\r\n\r\n",
        "size with underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
        "size in digits of another script": b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
        "no size": b"\r\nhello\r\n0\r\n\r\n",
        "LF after size": b"5\nhello\r\n0\r\n\r\n",
        "CR after size": b"5\rhello\r\n0\r\n\r\n",
        "CRCRLF after size": b"5\r\r\nhello\r\n0\r\n\r\n",
        "LF after data": b"5\r\nhello\n0\r\n\r\n",
        "data too long": b"5\r\nhello!!\r\n0\r\n\r\n",
        "data too short": b"7\r\nhello\r\n0\r\n\r\n",
        "nothing after data": b"5\r\nhello0\r\n\r\n",
        "end with LF": b"5\r\nhello\r\n0\n\n",
        "end with one CRLF": b"5\r\nhello\r\n0\r\n",
        "many zeros": b"5\r\nhello\r\n0000\r\n\r\n",
        "trailer": b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "trailer Content-Length": b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
        "trailer Host": b"5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n",
        "trailer Authorization": b"5\r\nhello\r\n0\r\nAuthorization: Basic eA==\r\n\r\n",
        "trailer that is a request": b"5\r\nhello\r\n0\r\n" + HIDDEN,
        "folded trailer": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
        "trailer with LF": b"5\r\nhello\r\n0\r\nX: y\nZ: a\r\n\r\n",
        "trailer without colon": b"5\r\nhello\r\n0\r\nGET /hidden HTTP/1.1\r\n\r\n",
    }.items():
        yield f"chunks: {name}", request(chunked, body + HIDDEN.replace(b"/hidden", b"/next"))


def _lines() -> Iterator[tuple[str, bytes]]:
    for line in (
        b"GET /a\r\n", b"GET /a HTTP/0.9\r\n", b"GET /a HTTP/1.0\r\n", b"GET /a HTTP/1.2\r\n",
        b"GET /a HTTP/2.0\r\n",
        b"GET /a HTTP/1.1 \r\n", b"GET  /a HTTP/1.1\r\n", b"GET /a  HTTP/1.1\r\n", b" GET /a HTTP/1.1\r\n",
        b"GET\t/a\tHTTP/1.1\r\n", b"GET /a http/1.1\r\n", b"GET /a HTTP/1.1\n", b"GET /a HTTP/1.10\r\n",
        b"GET /a HTTP/01.1\r\n",
        b"GET /a HTTP/1.1\r\r\n", b"GET /a\x0bb HTTP/1.1\r\n", b"GET /a\0 HTTP/1.1\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"GET /a#b HTTP/1.1\r\n", b"GET \\a HTTP/1.1\r\n", b"GET a HTTP/1.1\r\n", b"GET * HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET http://mail.example.org/a HTTP/1.1\r\n", b"GET http://evil.example/a HTTP/1.1\r\n",
        b"GET https://mail.example.org/a HTTP/1.1\r\n", b"GET //evil.example/a HTTP/1.1\r\n",
        b"GET mail.example.org:443 HTTP/1.1\r\n", b"CONNECT mail.example.org:443 HTTP/1.1\r\n",
        b"CONNECT /a HTTP/1.1\r\n",
        b"TRACE /a HTTP/1.1\r\n", b"TRACK /a HTTP/1.1\r\n", b"get /a HTTP/1.1\r\n", b"GE\0T /a HTTP/1.1\r\n",
        b"G\xcbT /a HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n", b"FOO /a HTTP/1.1\r\n", b"GET /\xff HTTP/1.1\r\n",
        b"GET /a HTTP/1.1\0\r\n",
        b"\r\nGET /a HTTP/1.1\r\n", b"\nGET /a HTTP/1.1\r\n", b"\r\n\r\nGET /a HTTP/1.1\r\n",
        b"\0GET /a HTTP/1.1\r\n",
        b"RPC_IN_DATA /a HTTP/1.1\r\n", b"SOURCE /a ICE/1.0\r\n", b"GET /a RTSP/1.0\r\n",
    ):  # fmt: skip
        yield f"line {line!r}", request(line=line)
    for line in (b"GET /a HTTP/1.0\r\n", b"POST /a HTTP/1.0\r\n"):
        yield f"{line!r} chunked", request(b"Transfer-Encoding: chunked\r\n", _CHUNKED_HIDDEN, line=line)
        yield f"{line!r} keep-alive", request(b"Connection: keep-alive\r\n", HIDDEN, line=line)


def _hosts() -> Iterator[tuple[str, bytes]]:
    for host in (
        b"", b"Host:\r\n", b"Host: \r\n", _H + _H, _H + b"Host: evil.example\r\n",
        b"Host: evil.example\r\n" + _H,
        b"Host: evil.example\r\n", b"Host : mail.example.org\r\n", b" Host: mail.example.org\r\n",
        b"X: y\r\n Host: evil.example\r\n" + _H,
        b"Host: mail.example.org\r\n evil.example\r\n", b"Host: mail.example.org, evil.example\r\n",
        b"Host: mail.example.org evil.example\r\n",
        b"Host: evil.example@mail.example.org\r\n", b"Host: mail.example.org@evil.example\r\n",
        b"Host: mail.example.org:x\r\n",
        b"Host: mail.example.org:\r\n", b"Host: mail.example.org:80:443\r\n",
        b"Host: mail.example.org/evil\r\n", b"Host: mail.example.org#\r\n",
        b"Host: mail.example.org?x\r\n", b"Host: mail.example.org\\evil\r\n",
        b"Host: mail.example.org\0\r\n", b"Host: mail.example.org\x0b\r\n",
        b"Host: [::1]\r\n", b"Host: 127.0.0.1\r\n", b"Host: localhost\r\n", b"Host: MAIL.EXAMPLE.ORG\r\n",
        b"Host: mail.example.org.\r\n",
        b"Host: mail.example.org:8443\r\n", b"Host: http://mail.example.org\r\n",
        b"H\xf6st: evil.example\r\n" + _H, b"HOST: evil.example\r\n" + _H,
        b"Host: mail.example.net\r\n", b"Host:\tmail.example.org\r\n",
    ):  # fmt: skip
        yield f"host {host!r}", request(line=b"GET /a HTTP/1.1\r\n", host=host)


def _headers() -> Iterator[tuple[str, bytes]]:
    get = b"GET /a HTTP/1.1\r\n"
    for header in (
        b"X: y\r\n z\r\n", b"X: y\r\n\tz\r\n", b"X: y\rz\r\n", b"X: y\nz: a\r\n", b"X: y\0\r\n",
        b"X\0: y\r\n", b"X : y\r\n", b"X\t: y\r\n",
        b": y\r\n", b"X\r\n", b"X y: z\r\n", b"X(: y\r\n", b"X,: y\r\n", b"\xffX: y\r\n", b"X: \x7f\r\n",
        b"X: \x1b[0m\r\n", b"X:\r\n", b"X:y\r\n",
        b"Connection: close\r\nConnection: keep-alive\r\n", b"Connection: Host\r\n",
        b"Connection: Cookie\r\nCookie: a=b\r\n",
        b"Connection: Authorization\r\nAuthorization: Basic eA==\r\n", b"Connection: X-Forwarded-For\r\n",
        b"Connection:\r\n",
        b"Connection: close, X-A\r\nX-A: b\r\n", b"Keep-Alive: timeout=9\r\n",
        b"Proxy-Connection: keep-alive\r\n", b"TE: trailers, deflate\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Upgrade: websocket\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n",
        b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
        b"Expect: 100-continue\r\n", b"Expect: 100-continue, x\r\n", b"Expect: x\r\n",
        b"Expect: 100-continue\r\nExpect: 100-continue\r\n",
        b"X-Forwarded-For: 1.2.3.4\r\n", b"X_Forwarded_For: 1.2.3.4\r\n", b"X-Gambeson-Account: root\r\n",
        b"X_Gambeson_Account: root\r\n",
        b"Forwarded: for=1.2.3.4\r\n", b"X-Original-URL: /hidden\r\n", b"X-Rewrite-URL: /hidden\r\n",
        b"X-HTTP-Method-Override: DELETE\r\n",
        b"Content-Type: a/b\r\nContent-Type: c/d\r\n", b"Authorization: a\r\nAuthorization: b\r\n",
        b"Cookie: a=b\r\nCookie: a=c\r\n",
    ):  # fmt: skip
        yield f"header {header!r}", request(header, line=get)
    for expect in (
        b"100-continue",
        b" 100-continue",
        b"100-Continue",
        b"y 100-continue",
        b"100-continue\r\nTransfer-Encoding: chunked",
    ):
        header = b"Expect: " + expect + b"\r\nContent-Length: %d\r\n" % len(HIDDEN)
        yield f"Expect {expect!r} with a body", request(header, HIDDEN)


def _paths() -> Iterator[tuple[str, bytes]]:
    for path in (
        b"/../hidden", b"/a/../hidden", b"/a/./../hidden", b"/a/%2e%2e/hidden", b"/a/%2E./hidden",
        b"/a/..%2fhidden", b"/a%2f..%2fhidden",
        b"/a/..%5chidden", b"/a\\..\\hidden", b"/a/%252e%252e/hidden", b"/a/%c0%ae%c0%ae/hidden",
        b"/a/..;/hidden", b"/a;/../hidden",
        b"/a//hidden", b"//hidden", b"/a/%00/hidden", b"/a%00", b"/a%0d%0aX: y", b"/a%20HTTP/1.1%0d%0a",
        b"/a%", b"/a%2", b"/a%zz", b"/a%u002e",
        b"/a/...//hidden", b"/a/%ef%bc%8e%ef%bc%8e/hidden", b"/(S(x))/hidden", b"/a::$DATA", b"/a.",
        b"/a%20", b"/A", b"/%61", b"/a?/../hidden",
        b"/a?x=%0d%0a", b"/a?%00", b"/a%3f/hidden", b"/a%23", b"/a?" + b"x" * 9000, b"/" + b"a" * 9000,
    ):  # fmt: skip
        yield f"path {path[:40]!r}", request(line=b"GET " + path + b" HTTP/1.1\r\n")


def _ahead() -> Iterator[tuple[str, bytes]]:
    get = request(line=b"GET /a HTTP/1.1\r\n")
    second = request(line=b"GET /b HTTP/1.1\r\n")
    yield "two requests at once", get + second
    yield "two requests with an empty line between", get + b"\r\n" + second
    yield "a request in a body", request(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN) + second
    yield (
        "a request in a chunk",
        request(b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)) + second,
    )
    yield "after Connection: close", request(b"Connection: close\r\n", line=b"GET /a HTTP/1.1\r\n") + HIDDEN
    yield (
        "behind a refused body",
        request(b"Content-Length: 5\r\n", b"hello", line=b"POST /no HTTP/1.1\r\n") + HIDDEN,
    )
    yield (
        "in a refused body",
        request(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN, line=b"POST /no HTTP/1.1\r\n"),
    )
    yield (
        "in a refused chunked body",
        request(b"Transfer-Encoding: chunked\r\n", _CHUNKED_HIDDEN, line=b"POST /no HTTP/1.1\r\n"),
    )
    yield "behind a bad head", request(b"X : y\r\n", line=b"GET /a HTTP/1.1\r\n") + HIDDEN
    yield (
        "behind an upgrade",
        request(b"Upgrade: websocket\r\nConnection: Upgrade\r\n", line=b"GET /a HTTP/1.1\r\n") + HIDDEN,
    )
    yield "headers only, for ever", b"GET /a HTTP/1.1\r\n" + _H + b"X: y\r\n" * 40
    yield "half a body", request(b"Content-Length: 500\r\n", b"hello")
    yield "garbage", bytes(range(256)) * 4
    yield "TLS in TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
    yield "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)


def cases() -> list[tuple[str, bytes]]:
    """All of them: name and octets."""
    return [
        *_length_and_chunked(),
        *_lengths(),
        *_chunks(),
        *_lines(),
        *_hosts(),
        *_headers(),
        *_paths(),
        *_ahead(),
    ]
