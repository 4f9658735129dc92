"""Cookies of a request and of an answer, as far as a door must know them.

Our own cookies (names that begin with :data:`OURS`) never reach what is behind the door, and nothing behind it sets
them.
RFC 6265 sections 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable

OURS = "__host-gambeson-"  # in lower case: browsers compare the prefix without regard to case
MAX_COOKIES = 150
Cookies = tuple[tuple[str, str], ...]


def ours(name: str) -> bool:
    """Whether a cookie of that name belongs to the door or the portal."""
    return name.strip().lower().startswith(OURS)


def read_cookies(values: Iterable[str]) -> Cookies | None:
    """The pairs of all Cookie headers, in order; None for more than MAX_COOKIES. A piece without ``=`` has an empty
    name, as browsers send it (RFC 6265bis)."""
    pairs = []
    for value in values:
        for piece in value.split(";"):
            piece = piece.strip(" \t")
            if piece:
                name, mark, content = piece.partition("=")
                pairs.append((name.rstrip(" \t"), content.lstrip(" \t")) if mark else ("", piece))
    return tuple(pairs) if len(pairs) <= MAX_COOKIES else None


def for_upstream(cookies: Cookies) -> str:
    """The Cookie header's value without ours; empty where nothing is left. A nameless cookie that looks like ours, or
    has a ``=`` in its value, is left out too: a server could read it as a named one."""
    return "; ".join(
        [
            f"{name}={value}" if name else value
            for name, value in cookies
            if not ours(name) and (name or not ("=" in value or ours(value)))
        ]
    )


def without_ours(value: str) -> str:
    """A Cookie header's value without our cookies."""
    return for_upstream(read_cookies((value,)) or ())


def set_by_upstream(value: str) -> str:
    """A Set-Cookie value from behind the door as it may go out: without ``Domain``, so that it stays with its host;
    empty where it names one of ours, or none but could be read as one (RFC 6265 section 5.2.3)."""
    pair, mark, attributes = value.partition(";")
    name, equals, content = pair.partition("=")
    if ours(name) or ((not equals or not name.strip()) and ("=" in content or ours(content or pair))):
        return ""
    if not mark or "domain" not in attributes.lower():
        return value
    kept = [a for a in attributes.split(";") if a.partition("=")[0].strip().lower() != "domain"]
    return ";".join([pair, *kept])
