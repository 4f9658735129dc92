"""Pages of administrators that the internet reaches."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.evaluate import named
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.pages import NOWHERE, Ask, sites, there, unsure
from gambeson.assess.core.web import Page
from gambeson.model.finding import Evidence

from .web_password import exchange


def run(facts: Facts) -> Iterator[Outcome]:
    """The outcomes of each host that has a web server."""
    asks = {ask.purpose: ask for ask in facts.reference.pages if ask.admin}
    for host, pages in sites(facts.pages):
        asked = [
            page for purpose, page in pages.items() if purpose in asks or purpose in ("ecp", "powershell")
        ]
        if not asked:
            continue
        answered = [page for page in asked if page.status]
        if not answered:
            yield Outcome("unknown", host, unknown=asked[0].unknown)
            continue
        found = list(_found(host, pages, asks))
        if found and (doubt := unsure(pages)) is not None:
            yield Outcome("unknown", host, unknown=doubt)
            continue
        yield from found
        if not found:
            yield Outcome("closed", host)


def _found(host: str, pages: dict[str, Page], asks: dict[str, Ask]) -> Iterator[Outcome]:
    nowhere = pages.get(NOWHERE)
    shell = pages.get("powershell")
    # Exchange answers 401 or 302 there; another server would have to invent the door.
    if (
        shell is not None
        and shell.status in (200, 302, 401)
        and there(shell, nowhere)
        and exchange(pages.values())
    ):
        yield Outcome("powershell", host, evidence=(_evidence(shell),))
    ecp = pages.get("ecp")
    if ecp is not None and _admin_center(ecp) and there(ecp, nowhere):
        yield Outcome("ecp", host, evidence=(_evidence(ecp),))
    programs = [
        (asks[purpose], page)
        for purpose, page in pages.items()
        if purpose in asks and page.status in (200, 401) and there(page, nowhere) and _is(page, asks[purpose])
    ]
    if programs:
        what = named(list(dict.fromkeys(ask.admin for ask, _ in programs)))
        yield Outcome("open", host, {"what": what}, tuple(_evidence(page) for _, page in programs))


def _admin_center(page: Page) -> bool:
    """It answers itself, or sends to OWA's sign-in so that one comes back to it."""
    location = page.header("location").lower()
    if page.status in (301, 302):
        return "/owa/auth/logon.aspx" in location and "ecp" in location
    return page.status in (200, 401) and (b"/ecp/" in page.body.lower() or bool(page.header("x-feserver")))


def _is(page: Page, ask: Ask) -> bool:
    """A page is taken for a program's only where it says so; a bare 401 says it in its realm."""
    if ask.expect is None:
        return False
    return bool(ask.expect.search(page.body.decode("latin-1"))) or bool(
        ask.expect.search(page.header("www-authenticate"))
    )


def _evidence(page: Page) -> Evidence:
    return Evidence(page.url, page.method, excerpt=f"{page.status} {page.header('location')}".strip())
