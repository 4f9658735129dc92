"""The target of a request: refused where servers read it in different ways, else split, decoded once, compared as IIS
compares it.

What is decided on is what is forwarded, so a path that a mail server could decode, collapse or cut again is no path
for us: dot segments, backslashes, encoded separators, double encoding, empty segments, segment parameters, streams of
NTFS, letters that Windows maps to separators. A query is data: it is decoded once and never refused for its escapes.
RFC 9112 section 3.2.1 (origin-form), RFC 3986 section 3.3.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

MAX_TARGET = 8192  # octets
MAX_PARAMETERS = 500
_CACHED_PATH = 256  # characters; longer ones are read anew each time
_GOOD = re.compile(r'/[!"$-~]*').fullmatch  # what is printed in ASCII, without "#"
_HEX = frozenset("0123456789abcdefABCDEF")
# What Windows' code pages make of these where it looks for the best fit; NFKC leaves them alone.
_BEST_FIT = {
    0x2044: "/",
    0x2215: "/",
    0x29F8: "/",
    0x2216: "\\",
    0x29F5: "\\",
    0x00A5: "\\",
    0x20A9: "\\",
    0x2236: ":",
    0x0589: ":",
}
_SMALL = {upper: upper + 32 for upper in range(65, 91)}
_ASCII = frozenset(map(chr, range(128)))
_SEPARATORS = frozenset("/\\.%;:?#")  # none of these may appear by Unicode's compatibility mapping


class HeadError(ValueError):
    """A request that is not forwarded because of its form. ``status`` is the answer's, ``reason`` a stable word."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def words(text: str) -> frozenset[str]:
    """The words of a text, for tables."""
    return frozenset(text.split())


@dataclass(slots=True)
class Target:
    """``path`` and ``query`` as they came, ``canonical`` the path decoded once in lower case, ``parameters`` the
    query's pairs decoded once, names in lower case."""

    path: str
    query: str = ""
    canonical: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


def canonical(target: str) -> Target:
    """Read a target in origin-form. Raises HeadError(400 or 414)."""
    return Target(*read_target(target))


def read_target(target: str) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """The fields of :class:`Target`, in their order. Raises HeadError(400 or 414)."""
    if len(target) > MAX_TARGET:
        raise HeadError(414, "target-too-long")
    if _GOOD(target) is None:
        if not target.isascii() or not target.isprintable() or " " in target:
            raise HeadError(400, "target-octets")
        raise HeadError(400, "target-fragment" if target.startswith("/") else "target-form")
    path, mark, query = target.partition("?")
    decoded = _read_path(path) if len(path) > _CACHED_PATH else _cached_path(path)
    return path, query, decoded, parameters(query) if mark else ()


def parameters(query: str) -> tuple[tuple[str, str], ...]:
    """The pairs of a query, decoded once; ``+`` is a space. A name without ``=`` has an empty value. Raises
    HeadError(400) for more than MAX_PARAMETERS."""
    if not query:
        return ()
    if query.count("&") >= MAX_PARAMETERS:
        raise HeadError(400, "too-many-parameters")
    coded = "%" in query or "+" in query
    pairs = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            if coded:
                if "%" in value or "+" in value:
                    value = _decoded(value)
                if "%" in name or "+" in name:
                    name = _decoded(name)
            pairs.append((name.lower(), value))
    return tuple(pairs)


def _decoded(text: str) -> str:
    # "%40" is the one in addresses; no escape can come of it or go by it.
    text = text.replace("+", " ").replace("%40", "@")
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    made = [first]
    for piece in rest:
        sign = _SIGNS.get(piece[:2])
        if sign is None:  # no ASCII, or no escape
            return _decoded_octets(text)
        made.append(sign)
        made.append(piece[2:])
    return "".join(made)


def _decoded_octets(text: str) -> str:
    octets = unquote_to_bytes(text)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


_SIGNS = {high + low: chr(int(high + low, 16)) for high in "01234567" for low in "0123456789abcdefABCDEF"}


def _read_path(path: str) -> str:
    """The canonical path. Raises HeadError(400)."""
    decoded = _unquote_path(path) if "%" in path else path
    if "\\" in decoded:
        raise HeadError(400, "path-backslash")
    if ";" in decoded:
        raise HeadError(400, "path-parameters")
    if "//" in decoded:
        raise HeadError(400, "path-empty-segment")
    if "::" in decoded or ":$" in decoded:
        raise HeadError(400, "path-stream")
    if not decoded.isascii():
        # One by one and once each: the whole text could grow to eighteen times its length.
        mapped = "".join(map(_compatible, set(decoded) - _ASCII))
        if not _SEPARATORS.isdisjoint(mapped):
            raise HeadError(400, "path-lookalike")
    # Only ASCII has small letters here: the Kelvin sign is no "k" to a server that would be asked for its path.
    lowered = decoded.lower() if decoded.isascii() else decoded.translate(_SMALL)
    if "." in lowered or " " in lowered or "(" in lowered:
        for segment in lowered.split("/")[1:]:
            if segment and not segment.strip(" ."):
                raise HeadError(400, "path-dot-segment")
            # ASP.NET's cookieless sessions: IIS takes "(S(...))" out of the path before it is mapped.
            if segment.startswith("(") and segment[2:3] == "(":
                raise HeadError(400, "path-cookieless")
    return lowered


@lru_cache(maxsize=4096)
def _compatible(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign).translate(_BEST_FIT)


def _unquote_path(path: str) -> str:
    for part in path.split("%")[1:]:
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            raise HeadError(400, "path-escape")
    octets = unquote_to_bytes(path)
    # Separators and NUL come decoded or not at all; the rest of the control characters never.
    if octets.count(b"/") != path.count("/") or b"?" in octets:
        raise HeadError(400, "path-encoded-separator")
    if not octets.isascii():
        try:
            decoded = octets.decode()
        except UnicodeDecodeError:
            raise HeadError(400, "path-utf8") from None
    else:
        decoded = octets.decode("ascii")
    if not decoded.isprintable():
        raise HeadError(400, "path-control")
    for part in decoded.split("%")[1:]:
        if part[:1] in ("u", "U") or (len(part) >= 2 and part[0] in _HEX and part[1] in _HEX):
            raise HeadError(400, "path-double-encoded")
    return decoded


_cached_path = lru_cache(maxsize=2048)(_read_path)
