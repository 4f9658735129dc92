"""Web doors that only old programs need."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.pages import NOWHERE, sites, there, unsure
from gambeson.model.finding import Evidence

from .web_password import exchange


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each host at which Exchange answers."""
    for host, pages in sites(facts.pages):
        page = pages.get("rpc")
        if page is None or not page.status:
            continue
        if page.status in (200, 401) and page.schemes and there(page, pages.get(NOWHERE)):
            if (doubt := unsure(pages)) is not None:
                yield Outcome("unknown", host, unknown=doubt)
                continue
            excerpt = f"{page.status}, {', '.join(page.schemes)}"
            yield Outcome("open", host, evidence=(Evidence(page.url, excerpt=excerpt),))
        elif exchange(pages.values()):
            yield Outcome("closed", host)
