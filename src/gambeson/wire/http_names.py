"""What the names of a request's headers mean to the door, and which names it takes at all.

RFC 9110 sections 5.1, 7.6.1 and 10.1.1.
"""

from __future__ import annotations

from .http_target import HeadError

MAX_NAME = 128
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# What a name means here. Several bits may hold.
SINGLE = 1  # must not come twice
HOP = 2  # concerns this connection only
FRAMING = 4  # looked at below
KEPT = 8  # must not be named in Connection: it decides something
MEANING = {
    "host": SINGLE | FRAMING | KEPT,
    "content-length": SINGLE | FRAMING | KEPT,
    "content-type": SINGLE | KEPT,
    "content-encoding": KEPT,
    "authorization": SINGLE | KEPT,
    "cookie": FRAMING | KEPT,
    "origin": SINGLE | KEPT,
    "referer": SINGLE,
    "user-agent": SINGLE,
    "range": SINGLE,
    "sec-fetch-site": SINGLE | KEPT,
    "sec-fetch-mode": SINGLE | KEPT,
    "transfer-encoding": SINGLE | HOP | FRAMING | KEPT,
    "expect": SINGLE | HOP | FRAMING,
    "upgrade": SINGLE | HOP | FRAMING,
    "connection": HOP | FRAMING,
    "proxy-connection": HOP,
    "proxy-authorization": HOP,
    "keep-alive": HOP,
    "te": HOP,
    "trailer": HOP,
    "http2-settings": HOP,
}
# Servers that turn "-" into "_" (CGI, WSGI, PHP) must not find another's name written that way.
_UNDERSCORED = frozenset(name.replace("-", "_") for name in MEANING if "-" in name)


class Names:
    """Header names seen before: octets to (lower-case text, meaning). Bounded."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, int]] = {}

    def of(self, name: bytes) -> tuple[str, int]:
        """Raises HeadError(400) for what is no token or could be read as another name."""
        known = self._known.get(name)
        if known is not None:
            return known
        lower = name.lower()
        if not lower or len(lower) > MAX_NAME or not _TOKEN.issuperset(lower):
            raise HeadError(400, "header-name")
        text = lower.decode("ascii")
        if text.replace("-", "_") in _UNDERSCORED and text not in MEANING:
            raise HeadError(400, "header-name-lookalike")
        found = (text, MEANING.get(text, 0))
        if len(self._known) >= 1024:
            self._known.clear()
        self._known[name] = found
        return found


names = Names()
