"""Exchange's doors for programs: which of them take a password alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.evaluate import named
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import guarded_addresses
from gambeson.assess.core.pages import NOWHERE, sites, there, unsure
from gambeson.assess.core.web import Page
from gambeson.model.finding import Evidence

DOORS = {
    "eas": "ActiveSync",
    "ews": "EWS",
    "mapi": "MAPI over HTTP",
    "rpc": "Outlook Anywhere",
    "autodiscover": "Autodiscover",
    "oab": "the offline address book",
}
_BARE = frozenset({"basic", "digest"})
_WINDOWS = frozenset({"ntlm", "negotiate"})


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each host at which a door of Exchange answers; unknown where its web server gave no answer."""
    guards = guarded_addresses(facts)
    for host, pages in sites(facts.pages):
        asked = [page for purpose, page in pages.items() if purpose in DOORS]
        if not asked:
            continue
        silent = [page for page in asked if not page.status]
        if len(silent) == len(asked):
            yield Outcome("unknown", host, unknown=silent[0].unknown)
            continue
        nowhere = pages.get(NOWHERE)
        answering = [page for page in asked if page.schemes and there(page, nowhere)]
        if answering and (doubt := unsure(pages)) is not None:
            yield Outcome("unknown", host, unknown=doubt)
            continue
        bare = [page for page in answering if not _BARE.isdisjoint(page.schemes)]
        windows = [page for page in answering if page not in bare and not _WINDOWS.isdisjoint(page.schemes)]
        if bare and {page.address for page in bare} <= guards:
            yield _outcome("guarded", host, bare)
        elif bare:
            yield _outcome("basic", host, bare)
        if windows:
            yield _outcome("ntlm", host, windows)
        if silent:
            yield Outcome("unknown", host, unknown=silent[0].unknown)
        if not bare and not windows and exchange(pages.values()):
            yield Outcome("closed", host)


def exchange(pages: Iterable[Page]) -> bool:
    """Whether these pages are of an Exchange server, or of something that stands before one."""
    return any(
        page.header("x-owa-version") or page.header("x-feserver") or b"/owa/auth/" in page.body
        for page in pages
    )


def _outcome(code: str, host: str, pages: list[Page]) -> Outcome:
    doors = named([DOORS[page.purpose] for page in pages])
    evidence = tuple(
        Evidence(page.url, page.method, excerpt=f"{page.status}, {', '.join(page.schemes)}") for page in pages
    )
    return Outcome(code, host, {"doors": doors}, evidence)
