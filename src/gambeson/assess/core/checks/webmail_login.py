"""Sign-in pages of webmail, and whether one is served without encryption."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.evaluate import named
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.pages import NOWHERE, name_of, sites, there
from gambeson.assess.core.web import Page
from gambeson.model.finding import Evidence

# In two steps, so that each octet of a hostile page is looked at a few times and no more.
_INPUT = re.compile(rb"<input\b[^>]{0,400}", re.IGNORECASE)
_PASSWORD = re.compile(rb"\btype\s{0,8}=\s{0,8}[\"']?password\b", re.IGNORECASE)
_PLACES = ("root", "owa", "owa-logon", "roundcube", "webmail", "mail", "sogo", "horde", "zimbra")
_PROGRAMS = frozenset(
    {"exchange", "roundcube", "sogo", "horde", "zimbra", "snappymail", "rainloop", "squirrelmail"}
)
_TITLES = {"exchange": "Outlook on the web"}


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each host with a web server, and one more where a form comes without encryption."""
    for page in facts.pages:
        if page.url.startswith("http://") and asks_password(page):
            yield Outcome("clear", name_of(page), {"what": _what(facts, name_of(page))}, (_evidence(page),))
    for host, pages in sites(facts.pages):
        asked = [pages[purpose] for purpose in _PLACES if purpose in pages]
        if not any(page.status for page in asked):
            continue
        nowhere = pages.get(NOWHERE)
        forms = [page for page in asked if asks_password(page) and there(page, nowhere)]
        if forms:
            evidence = tuple(_evidence(page) for page in forms)
            yield Outcome("form", host, {"what": _what(facts, host)}, evidence)
        else:
            yield Outcome("none", host)


def asks_password(page: Page) -> bool:
    """Whether the page has a field for a password, or is of a program that draws one by script."""
    if page.status != 200:
        return False
    field = any(_PASSWORD.search(tag[0]) for tag in _INPUT.finditer(page.body))
    return field or b"/SOGo.woa/WebServerResources/" in page.body


def _what(facts: Facts, host: str) -> str:
    programs = [
        _TITLES.get(seen.component, facts.reference.title(seen.component))
        for seen in facts.software
        if seen.host == host and seen.component in _PROGRAMS
    ]
    return named(list(dict.fromkeys(programs))) if programs else "A web page"


def _evidence(page: Page) -> Evidence:
    return Evidence(page.url, excerpt="a field for a password")
