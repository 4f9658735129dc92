"""The head of a request: read by llhttp, then held against rules that leave one reading only.

The door takes HTTP/1.1, and 1.0 without Transfer-Encoding, with exactly one Host that it knows and that fits the name
asked for in the TLS handshake. What two servers could read differently is refused, not mended; what concerns one
connection only (RFC 9110 section 7.6.1) is taken out here, so that whoever decides sees what is forwarded.
RFC 9112 sections 2 to 6, RFC 9110 sections 5, 7 and 10.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import httptools

from gambeson.model.web import WebRequest

from .cookies import Cookies, read_cookies
from .http_names import FRAMING, HOP, KEPT, MEANING, SINGLE, names
from .http_target import MAX_TARGET, HeadError, canonical, words

__all__ = ["MAX_HEAD", "MAX_HEADERS", "MAX_LINE", "MAX_TARGET", "HeadError", "RequestHead", "RequestReader"]

MAX_HEAD = 65536  # octets of a head
MAX_HEADERS = 100
MAX_LINE = 16384  # octets of one header line
_MAX_LENGTH_DIGITS = 15

METHODS = words(
    "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH REPORT MKCOL MOVE COPY LOCK UNLOCK SEARCH"
)
_METHOD_NAMES = {name.encode(): name for name in METHODS}
# What may be in a head at all (RFC 9110 section 5.5); where CR and LF may stand is llhttp's business and ours below.
_OCTETS = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t\r\n"
_DIGITS = frozenset(b"0123456789")
_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


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
            if version == b"HTTP/1.1" and method in _METHOD_NAMES and target.startswith(b"/"):
                made = _read(method, target, "1.1", sorted_, sni, source, hosts)
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

    __slots__ = ("cookie_memo", "cookie_texts", "cookies", "framing", "headers", "host", "memo", "nominated")

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
    nominated = _nominated(connection) if connection else _NOTHING
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
    host, named = sorted_.host = sorted_.host or _named(framing)
    if host not in hosts:
        raise HeadError(421, "host-unknown")
    # RFC 9110 section 7.4: a host that the handshake was not for was not proven to be ours.
    if sni and sni != host:
        raise HeadError(421, "host-not-sni")
    length, chunked = _framing(framing, old)
    websocket = _websocket(framing, nominated, verb, old, length or chunked)
    if websocket:
        headers = (*headers, ("upgrade", "websocket"))
    expects = _expects(framing, old, length or chunked)
    where = canonical(target.decode("latin-1"))
    request = WebRequest(
        verb,
        host,
        where.path,
        where.query,
        where.canonical,
        where.parameters,
        headers,
        sorted_.cookies,
        source,
        bool(length) or chunked,
    )
    if not websocket:
        object.__setattr__(request, "memo", sorted_.memo)
        object.__setattr__(request, "cookie_memo", sorted_.cookie_memo)
    keep_alive = not old and "close" not in nominated
    return RequestHead(request, named, length, chunked, keep_alive, expects, websocket, old)


def _nominated(values: Iterable[str]) -> set[str]:
    """The options of Connection. Raises HeadError(400) for one that would take away what is decided on."""
    options: set[str] = set()
    for value in values:
        options.update([option.strip(" \t").lower() for option in value.split(",")])
    for option in options:
        if MEANING.get(option, 0) & KEPT:
            raise HeadError(400, "connection-names-header")
    return options


def _named(framing: dict[str, str]) -> tuple[str, str]:
    """The host's name, and the same with its port. Raises HeadError(400)."""
    named = framing.get("host", "").lower()
    if not named:
        raise HeadError(400, "no-host")
    host, mark, port = named.partition(":")
    if mark and not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise HeadError(400, "host")
    if host.endswith("."):
        host = host[:-1]
        named = host + mark + port
    if not host or len(host) > 253 or not _HOST.issuperset(host):
        raise HeadError(400, "host")
    return host, named


def _framing(framing: dict[str, str], old: bool) -> tuple[int, bool]:
    """Length and whether it is chunked. Raises HeadError(400, 501)."""
    length, coding = framing.get("content-length"), framing.get("transfer-encoding")
    if coding is not None:
        if length is not None or old:
            raise HeadError(400, "transfer-encoding")
        if coding.lower() != "chunked":
            raise HeadError(501, "transfer-encoding")
        return 0, True
    if length is None:
        return 0, False
    if not 0 < len(length) <= _MAX_LENGTH_DIGITS or not _DIGITS.issuperset(length.encode("latin-1")):
        raise HeadError(400, "content-length")
    return int(length), False


def _websocket(framing: dict[str, str], nominated: set[str], verb: str, old: bool, body: int | bool) -> bool:
    """Whether the request asks for WebSocket (RFC 6455 section 4.1). Every other protocol is not offered, and the
    header is left out: a server may always go on in HTTP/1.1 (RFC 9110 section 7.8)."""
    asked = framing.get("upgrade", "")
    if not asked or asked.lower() != "websocket" or "upgrade" not in nominated:
        return False
    if verb != "GET" or old or body:
        raise HeadError(400, "upgrade")
    return True


def _expects(framing: dict[str, str], old: bool, body: int | bool) -> bool:
    """Raises HeadError(417) for an expectation that is none (RFC 9110 section 10.1.1)."""
    expected = framing.get("expect")
    if expected is None:
        return False
    if expected.lower() != "100-continue":
        raise HeadError(417, "expect")
    return bool(body) and not old
