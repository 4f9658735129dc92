"""The head of a request: read by llhttp, then held against rules that leave one reading only.

The door takes HTTP/1.1, and 1.0 without Transfer-Encoding, with exactly one Host that it knows and that fits the name
asked for in the TLS handshake. What two servers could read differently is refused, not mended; what concerns one
connection only (RFC 9110 section 7.6.1) is taken out here, so that whoever decides sees what is forwarded.
RFC 9112 sections 2 to 6, RFC 9110 sections 5, 7 and 10.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import httptools

from gambeson.model.web import WebRequest

from .cookies import Cookies, read_cookies
from .http_framing import asks_websocket, host_of, length_of, options_of, waits
from .http_names import FRAMING, HOP, SINGLE, names
from .http_target import MAX_TARGET, HeadError, read_target, words

__all__ = ["MAX_HEAD", "MAX_HEADERS", "MAX_LINE", "MAX_TARGET", "HeadError", "RequestHead", "RequestReader"]

MAX_HEAD = 65536  # octets of a head
MAX_HEADERS = 100
MAX_LINE = 16384  # octets of one header line

METHODS = words(
    "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH REPORT MKCOL MOVE COPY LOCK UNLOCK SEARCH"
)
_METHOD_NAMES = {name.encode(): name for name in METHODS}
# What may be in a head at all (RFC 9110 section 5.5); where CR and LF may stand is llhttp's business and ours below.
_OCTETS = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t\r\n"


@dataclass(slots=True)
class RequestHead:
    """A request, and how its message goes on: ``length`` octets of body, or ``chunked``; ``keep_alive``: another
    request may follow; ``expects``: the client waits for 100 Continue; ``websocket``: it asks to change over.
    ``named`` is the Host as it came, in lower case, with its port. ``old``: HTTP/1.0."""

    request: WebRequest
    named: str
    length: int = 0
    chunked: bool = False
    keep_alive: bool = True
    expects: bool = False
    websocket: bool = False
    old: bool = False


class RequestReader:
    """Reads one whole head after the other. Keeps one llhttp parser as long as it can be used again."""

    __slots__ = ("_again", "_block", "_ended", "_headers", "_parser", "_sorted", "_target")

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._block = b""  # the last head without its first line
        self._again: tuple[bytes, object, str, str, RequestHead] | None = None  # the last head, whole
        self._sorted: _Sorted | None = None
        self._target = b""
        self._ended = False
        self._parser: httptools.HttpRequestParser | None = None

    def on_message_begin(self) -> None:
        """llhttp's."""
        self._headers = []
        self._target = b""
        self._ended = False

    def on_url(self, url: bytes) -> None:
        """llhttp's."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp's."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp's."""
        self._ended = True

    def rest(self) -> None:
        """Forget the last head, and all that was worked out from it."""
        self._headers, self._block, self._target = [], b"", b""
        self._sorted = self._parser = self._again = None

    def read(self, head: bytes, *, sni: str, source: str, hosts: Container[str]) -> RequestHead:
        """Read one head, blank line included. Raises HeadError."""
        # On one connection most requests carry the headers of the one before, octet for octet, and some are the same.
        again = self._again
        if again is not None and again[0] == head and again[1] is hosts and again[2:4] == (sni, source):
            return again[4]
        line, _, block = head.partition(b"\r\n")
        sorted_ = self._sorted
        if sorted_ is not None and block == self._block and len(head) <= MAX_HEAD:
            method, _, rest = line.partition(b" ")
            target, _, version = rest.partition(b" ")
            if version == b"HTTP/1.1" and method in _METHOD_NAMES and target[:1] == b"/":
                made = _read_again(method, target, sorted_, sni, source, hosts) or _read(
                    method, target, "1.1", sorted_, sni, source, hosts
                )
                self._again = (head, hosts, sni, source, made)
                return made
        parser = self._parser or httptools.HttpRequestParser(self)
        self._parser = None
        self._ended = False
        if len(head) > MAX_HEAD:
            raise HeadError(431, "head-too-long")
        if head.translate(None, _OCTETS):
            raise HeadError(400, "head-octets")
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserInvalidMethodError:
            raise HeadError(501, "method") from None
        except httptools.HttpParserError as error:
            raise HeadError(400, "parse") from error
        lines = head.count(b"\n")
        if not self._ended or lines != len(self._headers) + 2 or head.count(b"\r") != lines:
            raise HeadError(400, "lines")
        method, target = parser.get_method(), self._target
        # llhttp reads over blanks here, and knows other protocols' names.
        if not head.startswith(b"%b %b HTTP/" % (method, target)):
            raise HeadError(400, "request-line")
        self._sorted = None
        sorted_ = _sort(self._headers, sorted_)
        made = _read(method, target, parser.get_http_version(), sorted_, sni, source, hosts)
        if not made.length and not made.chunked and made.keep_alive and not made.websocket:
            self._parser = parser
        if not made.old and not made.websocket:
            self._sorted, self._block = sorted_, block
        self._headers = []
        return made


def read_request(
    method: bytes,
    target: bytes,
    version: str,
    headers: list[tuple[bytes, bytes]],
    *,
    sni: str,
    source: str,
    hosts: Container[str],
) -> WebRequest:
    """The request of :func:`read_head` alone. Raises HeadError."""
    return read_head(method, target, version, headers, sni=sni, source=source, hosts=hosts).request


def read_head(
    method: bytes,
    target: bytes,
    version: str,
    headers: list[tuple[bytes, bytes]],
    *,
    sni: str,
    source: str,
    hosts: Container[str],
) -> RequestHead:
    """Hold a parsed head against the rules. ``version`` is ``1.1`` or ``1.0``; ``hosts`` are the names served here,
    ``sni`` the name of the handshake (empty: none). Raises HeadError, nothing else."""
    return _read(method, target, version, _sort(headers), sni, source, hosts)


class _Sorted:
    """What the headers alone say: those that go on, the ones that frame the message, the options of Connection, the
    cookies, and what others worked out from these."""

    __slots__ = (
        "asked",
        "cookie_memo",
        "cookie_texts",
        "cookies",
        "framing",
        "headers",
        "host",
        "memo",
        "nominated",
        "read",
    )

    def __init__(
        self,
        headers: tuple[tuple[str, str], ...],
        framing: dict[str, str],
        nominated: set[str],
        cookies: Cookies,
        cookie_texts: list[str],
    ) -> None:
        self.headers = headers
        self.framing = framing
        self.nominated = nominated
        self.cookies = cookies
        self.cookie_texts = cookie_texts
        self.host: tuple[str, str] | None = None  # read, and found well-formed
        self.memo: dict[object, Any] = {}
        self.cookie_memo: dict[object, Any] = {}
        # For which method, handshake and client these were last held against the rules, and what was made of them.
        self.asked: tuple[bytes, str, str, object] | None = None
        self.read: RequestHead | None = None


def _sort(headers: list[tuple[bytes, bytes]], last: _Sorted | None = None) -> _Sorted:
    """Raises HeadError. ``last``: what came before on the same connection; the same cookies are read once."""
    if len(headers) > MAX_HEADERS:
        raise HeadError(431, "too-many-headers")
    kept: list[tuple[str, str]] = []
    framing: dict[str, str] = {}
    cookies: list[str] = []
    connection: list[str] = []
    singles: set[str] = set()
    names_of = names.of
    for raw, octets in headers:
        if len(raw) + len(octets) > MAX_LINE:
            raise HeadError(431, "header-too-long")
        name, meaning = names_of(raw)
        # Text that any server reads alike; blanks around it are no part of it (RFC 9110 section 5.5).
        value = octets.decode("latin-1").strip(" \t")
        if meaning:
            if meaning & SINGLE:
                if name in singles:
                    raise HeadError(400, f"two-{name}")
                singles.add(name)
            if meaning & FRAMING:
                if name == "cookie":
                    cookies.append(value)
                elif name == "connection":
                    connection.append(value)
                else:
                    framing[name] = value
            if meaning & HOP:
                continue
        kept.append((name, value))
    nominated = options_of(connection) if connection else _NOTHING
    if nominated:
        kept = [pair for pair in kept if pair[0] not in nominated]
    if last is not None and last.cookie_texts == cookies:
        made = _Sorted(tuple(kept), framing, nominated, last.cookies, cookies)
        made.cookie_memo = last.cookie_memo
        return made
    pairs = read_cookies(cookies) if cookies else ()
    if pairs is None:
        raise HeadError(431, "too-many-cookies")
    return _Sorted(tuple(kept), framing, nominated, pairs, cookies)


_NOTHING: set[str] = set()


class _Draft:
    """A request in the making. It becomes a WebRequest, which nobody can change, when all is in it: writing twelve
    fields into one that is frozen costs four times as much, and this is done for every request."""

    __slots__ = WebRequest.__slots__

    method: str
    host: str
    path: str
    query: str
    canonical: str
    parameters: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    cookies: Cookies
    source: str
    body: bool
    memo: dict[object, Any]
    cookie_memo: dict[object, Any]


def _read_again(
    method: bytes, target: bytes, sorted_: _Sorted, sni: str, source: str, hosts: Container[str]
) -> RequestHead | None:
    """The head with another target, where everything else was read and found good before; None where it was not.
    Raises HeadError for the target."""
    asked, last = sorted_.asked, sorted_.read
    if asked is None or last is None or asked[3] is not hosts or asked[:3] != (method, sni, source):
        return None
    path, query, decoded, parameters = read_target(target.decode("latin-1"))
    before = last.request
    made = _Draft()
    made.method = before.method
    made.host = before.host
    made.path = path
    made.query = query
    made.canonical = decoded
    made.parameters = parameters
    made.headers = sorted_.headers
    made.cookies = sorted_.cookies
    made.source = source
    made.body = before.body
    made.memo = sorted_.memo
    made.cookie_memo = sorted_.cookie_memo
    made.__class__ = WebRequest  # type: ignore[assignment]  # the same fields
    return RequestHead(
        made,  # type: ignore[arg-type]
        last.named,
        last.length,
        last.chunked,
        last.keep_alive,
        last.expects,
    )


def _read(
    method: bytes,
    target: bytes,
    version: str,
    sorted_: _Sorted,
    sni: str,
    source: str,
    hosts: Container[str],
) -> RequestHead:
    old = version == "1.0"
    if version != "1.1" and not old:
        raise HeadError(505, "version")
    verb = _METHOD_NAMES.get(method)
    if verb is None:
        raise HeadError(501, "method")
    if len(target) > MAX_TARGET:
        raise HeadError(414, "target-too-long")
    framing, nominated, headers = sorted_.framing, sorted_.nominated, sorted_.headers
    host, named = sorted_.host = sorted_.host or host_of(framing)
    if host not in hosts:
        raise HeadError(421, "host-unknown")
    # RFC 9110 section 7.4: a host that the handshake was not for was not proven to be ours.
    if sni and sni != host:
        raise HeadError(421, "host-not-sni")
    length, chunked = length_of(framing, old)
    websocket = asks_websocket(framing, nominated, verb, old, length or chunked)
    if websocket:
        headers = (*headers, ("upgrade", "websocket"))
    expects = waits(framing, old, length or chunked)
    path, query, decoded, parameters = read_target(target.decode("latin-1"))
    request = WebRequest(
        verb,
        host,
        path,
        query,
        decoded,
        parameters,
        headers,
        sorted_.cookies,
        source,
        bool(length) or chunked,
    )
    if not websocket:
        object.__setattr__(request, "memo", sorted_.memo)
        object.__setattr__(request, "cookie_memo", sorted_.cookie_memo)
    keep_alive = not old and "close" not in nominated
    made = RequestHead(request, named, length, chunked, keep_alive, expects, websocket, old)
    if not websocket and not old:
        sorted_.asked, sorted_.read = (method, sni, source, hosts), made
    return made
