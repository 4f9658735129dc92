"""What a request says when every disguise is taken off: the forms that shields are matched on.

The door forwards only requests that read the same to everybody. Shields look at more: at what a careless server might
make of the request. So text is percent-decoded up to three times (``%uXXXX`` too), UTF-8 is read even where it is
overlong, look-alikes become the characters they stand for, NUL goes, letters are lower case, a backslash is a slash and
several slashes are one. Where dot segments or path parameters come, the path is also given without them. Nothing of
this is ever forwarded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from gambeson.model.web import WebRequest

ROUNDS = 3  # how often text is decoded: more than any server known to do it
MAX_TEXT = 65_536  # characters looked at; the door's own limits are lower

_ESCAPE = re.compile(r"%[uU]([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})")
# A lead octet with its continuations; after C0 and C1 any second octet counts, as old IIS read it.
_UTF8 = re.compile(
    "[\xc0\xc1][\x00-\xbf]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}"
)
_LOOKALIKES = {0x2215: "/", 0x2044: "/", 0x29F8: "/", 0x2216: "\\", 0x29F5: "\\", 0xFE68: "\\"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_SLASHES = re.compile(r"/{2,}")
_DISGUISED = re.compile(r"/\.|;|[. ](?:/|$)")
_OTHERS = bytes(sorted(set(range(128)) - set(b"abcdefghijklmnopqrstuvwxyz0123456789")))


def plain(text: str) -> str:
    """``text`` decoded to the end and in lower case, without NUL. Slashes stay as they are."""
    text = text[:MAX_TEXT]
    for _ in range(ROUNDS):
        before = text
        if "%" in text:
            text = unescaped(text)
            if "%" not in text and text.isascii():
                break
        if not text.isascii():
            text = _read_utf8(text).translate(_look_alikes())
        if text == before:
            break
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.lower()


def unescaped(text: str) -> str:
    """``text`` with its escapes (``%uXXXX`` too) read once, octet by octet."""
    text = text.replace("%40", "@")  # of addresses; no escape can come of it or go by it
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    made = [first]
    for piece in rest:
        sign = _SIGNS.get(piece[:2])
        if sign is None:
            return _ESCAPE.sub(_character, text)  # not so plain
        made.append(sign)
        made.append(piece[2:])
    return "".join(made)


_DIGITS = "0123456789abcdefABCDEF"
_SIGNS = {high + low: chr(int(high + low, 16)) for high in _DIGITS for low in _DIGITS}


def _read_utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return _UTF8.sub(_code_point, text)


@cache
def _look_alikes() -> dict[int, str]:
    """What becomes ASCII by Unicode's compatibility mapping (NFKC), a character at a time. The whole mapping would make
    eighteen characters of one (U+FDFA), and a head of nothing else would keep the door busy for a tenth of a second."""
    points = (
        *range(0xA0, 0xD800),
        *range(0xF900, 0x10000),
        *range(0x10780, 0x107C0),
        *range(0x1D400, 0x1D800),
        *range(0x1F100, 0x1FC00),
    )
    found = dict(_LOOKALIKES)
    for point in points:
        text = unicodedata.normalize("NFKC", chr(point)).translate(_LOOKALIKES)
        if text.isascii():
            found[point] = text
    return found


def plain_path(text: str) -> str:
    """:func:`plain`, with backslashes as slashes, several slashes as one and control characters gone."""
    text = plain(text)
    if "\\" in text:
        text = text.replace("\\", "/")
    if "//" in text:
        text = _SLASHES.sub("/", text)
    return text if text.isprintable() else _CONTROLS.sub("", text)


def resolved(path: str) -> str:
    """A canonical path as a file system would walk it: no path parameters, no dot segments (RFC 3986 section 5.2.4),
    no dots or spaces at the end of a segment (Windows drops them)."""
    if not _DISGUISED.search(path):
        return path
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        name = segment.split(";", 1)[0]
        if name.strip() == "..":
            if kept:
                kept.pop()
        elif name.strip() != ".":
            kept.append(name.rstrip(". "))
    return _SLASHES.sub("/", "/" + "/".join(kept))


def squeezed(name: str) -> str:
    """A header's, cookie's or parameter's name without everything that could disguise it: ``X_BEResource`` and
    ``"x-beresource"`` are ``xberesource``."""
    return _squeezed_short(name) if len(name) <= 64 else _squeezed(name)


def _squeezed(name: str) -> str:
    return plain(name).encode("ascii", "ignore").translate(None, _OTHERS).decode()


_squeezed_short = lru_cache(maxsize=4096)(_squeezed)


@dataclass(frozen=True, slots=True)
class Forms:
    """The canonical forms of one request. ``paths`` are the path and, where it differs, the path walked;
    ``urls`` the same joined with the query by ``?``. ``cookies`` is the text of all Cookie headers, ``bare`` the same
    squeezed, ``names`` the headers' names squeezed."""

    paths: tuple[str, ...]
    query: str
    urls: tuple[str, ...]
    cookies: str
    bare: str
    names: frozenset[str]


def forms(request: WebRequest) -> Forms:
    """The forms of ``request``, made once for all shields. Total: any text gives forms."""
    paths = path_forms(request.path)
    query = plain_path(request.query) if request.query else ""
    urls = tuple([f"{one}?{query}" for one in paths]) if query else paths
    known: tuple[str, str, frozenset[str]] | None = request.memo.get(_MEMO)
    if known is None:
        cookies = cookie_text(request)
        names = frozenset([squeezed(name) for name, _ in request.headers])
        known = request.memo[_MEMO] = (cookies, squeezed(cookies) if cookies else "", names)
    return Forms(paths, query, urls, *known)


_MEMO = "canonical forms"


def path_forms(raw: str) -> tuple[str, ...]:
    """The path as it is compared, and where it differs the path walked."""
    return _path_forms_short(raw) if len(raw) <= 256 else _path_forms(raw)


def _path_forms(raw: str) -> tuple[str, ...]:
    path = plain_path(raw)
    walked = resolved(path)
    return (path,) if walked == path else (path, walked)


_path_forms_short = lru_cache(maxsize=2048)(_path_forms)


def cookie_text(request: WebRequest) -> str:
    """All that came in Cookie headers, decoded, one header after the other; else the parsed pairs."""
    raw = [value for name, value in request.headers if name == "cookie"]
    if not raw:
        raw = [f"{name}={value}" for name, value in request.cookies]
    return plain("; ".join(raw)) if raw else ""


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _code_point(match: re.Match[str]) -> str:
    octets = match[0]
    lead = ord(octets[0])
    point = lead & (0x1F if lead < 0xE0 else 0x0F if lead < 0xF0 else 0x07)
    for octet in octets[1:]:
        point = point << 6 | ord(octet) & 0x3F
    return chr(point) if point <= 0x10FFFF else ""
