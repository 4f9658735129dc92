"""The headers that frame a request, held against the rules: whom it is for, how long it is, what Connection names.

RFC 9112 sections 3.2 and 6, RFC 9110 sections 7.2, 7.6.1, 7.8 and 10.1.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from .http_names import KEPT, MEANING
from .http_target import HeadError

__all__ = ["asks_websocket", "host_of", "length_of", "options_of", "waits"]

_MAX_LENGTH_DIGITS = 15
_DIGITS = frozenset(b"0123456789")
_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


def options_of(values: Iterable[str]) -> set[str]:
    """The options of Connection. Raises HeadError(400) for one that would take away what is decided on."""
    options: set[str] = set()
    for value in values:
        options.update([option.strip(" \t").lower() for option in value.split(",")])
    for option in options:
        if MEANING.get(option, 0) & KEPT:
            raise HeadError(400, "connection-names-header")
    return options


def host_of(framing: dict[str, str]) -> tuple[str, str]:
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


def length_of(framing: dict[str, str], old: bool) -> tuple[int, bool]:
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


def asks_websocket(
    framing: dict[str, str], nominated: set[str], verb: str, old: bool, body: int | bool
) -> bool:
    """Whether the request asks for WebSocket (RFC 6455 section 4.1). Every other protocol is not offered, and the
    header is left out: a server may always go on in HTTP/1.1 (RFC 9110 section 7.8)."""
    asked = framing.get("upgrade", "")
    if not asked or asked.lower() != "websocket" or "upgrade" not in nominated:
        return False
    if verb != "GET" or old or body:
        raise HeadError(400, "upgrade")
    return True


def waits(framing: dict[str, str], old: bool, body: int | bool) -> bool:
    """Raises HeadError(417) for an expectation that is none (RFC 9110 section 10.1.1)."""
    expected = framing.get("expect")
    if expected is None:
        return False
    if expected.lower() != "100-continue":
        raise HeadError(417, "expect")
    return bool(body) and not old
