"""Which pages are asked for, and what an answer says of whether there is anything.

Many servers answer every address in one way: a sign-in for all of them, one page for all of them. So each is first
asked for an address that nobody has, and an answer that is the same says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .unknown import Cause, Unknown
from .web import Page

NOWHERE = "nowhere"  # the purpose of the address that nobody has
NOWHERE_PATH = "/gambeson-look-3f9c2a/nothing-is-here"
_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``host``: only at the host whose first label is that; ``admin`` names the program whose
    administrators sign in there, and ``expect`` is what its page must show to be taken for it."""

    purpose: str
    path: str
    method: str = "GET"
    host: str = ""
    admin: str = ""
    expect: re.Pattern[str] | None = None


def asks(data: Mapping[str, Any]) -> tuple[Ask, ...]:
    """One data file. Raises KeyError or ValueError where it is wrong."""
    found = []
    for row in data["page"]:
        method = row.get("method", "GET")
        if method not in _METHODS:
            raise ValueError(f"{row['purpose']}: {method} is not asked of strangers")
        expect = re.compile(row["expect"]) if "expect" in row else None
        found.append(
            Ask(row["purpose"], row["path"], method, row.get("host", ""), row.get("admin", ""), expect)
        )
    return tuple(found)


def there(page: Page, nowhere: Page | None) -> bool:
    """Whether something is at ``page``, given the answer for an address that nobody has."""
    if page.status in (0, 400, 404, 410) or page.status >= 500:
        return False
    if nowhere is None:
        return True
    paths = sorted({_path(page), _path(nowhere)}, key=len, reverse=True)
    return _shape(page, paths) != _shape(nowhere, paths)


def _path(page: Page) -> str:
    return "/" + page.url.partition("://")[2].partition("/")[2]


def _shape(page: Page, paths: Iterable[str]) -> tuple[object, ...]:
    """What two answers have in common that are made for any address: all but the ``paths`` that were asked for."""
    location, body = page.header("location"), page.body
    for path in paths:
        location, body = location.replace(path, "*"), body.replace(path.encode("latin-1", "replace"), b"*")
    if page.status in (301, 302, 303, 307, 308):
        return page.status, location.partition("?")[0]
    if page.status in (401, 403):
        return page.status, page.schemes
    return page.status, body


def of(pages: Iterable[Page], host: str) -> dict[str, Page]:
    """The pages of ``host`` over HTTPS that came, by purpose; the first address that answered counts."""
    found: dict[str, Page] = {}
    for page in pages:
        if page.url.startswith("https://") and name_of(page) == host:
            known = found.get(page.purpose)
            if known is None or not known.status:
                found[page.purpose] = page
    return found


def sites(pages: Iterable[Page]) -> tuple[tuple[str, dict[str, Page]], ...]:
    """Host names with their pages over HTTPS, by purpose. Each address that answered stands for itself, as two
    addresses of one name may be two machines; where none answered the name is there once."""
    machines: dict[str, dict[str, dict[str, Page]]] = {}
    for page in pages:
        if page.url.startswith("https://"):
            machines.setdefault(name_of(page), {}).setdefault(page.address, {})[page.purpose] = page
    found: list[tuple[str, dict[str, Page]]] = []
    for host, asked in machines.items():
        answered = [some for some in asked.values() if any(page.status for page in some.values())]
        found += [(host, some) for some in answered or list(asked.values())[:1]]
    return tuple(found)


def unsure(pages: Mapping[str, Page]) -> Unknown | None:
    """Why it cannot be told whether these pages are there, or one answer is given for every address: that for the
    address that nobody has did not come."""
    nowhere = pages.get(NOWHERE)
    if nowhere is None:
        return None
    if not nowhere.status:
        return nowhere.unknown or Unknown(Cause.MALFORMED)
    if nowhere.status == 429 or nowhere.status >= 500:
        return Unknown(Cause.RATE_LIMITED, f"it answers {nowhere.status} for an address that nobody has")
    return None


def hosts(pages: Iterable[Page]) -> tuple[str, ...]:
    """The host names that were asked, in order."""
    return tuple(dict.fromkeys(name_of(page) for page in pages))


def name_of(page: Page) -> str:
    """The host name in the address of ``page``, without its port."""
    rest = page.url.partition("://")[2].partition("/")[0]
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    return rest.partition(":")[0]
