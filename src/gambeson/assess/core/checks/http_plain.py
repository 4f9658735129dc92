"""Whether web pages come only with encryption (RFC 6797)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.pages import hosts, name_of, of
from gambeson.assess.core.web import Page
from gambeson.model.finding import Evidence

LONG = 180 * 86400  # seconds
_MAX_AGE = re.compile(r"(?:^|;)\s*max-age\s*=\s*\"?(\d{1,12})", re.IGNORECASE)


def run(facts: Facts) -> Iterator[Outcome]:
    """The outcomes of each host name that has a web server."""
    plain = {name_of(page): page for page in facts.pages if page.url.startswith("http://") and page.status}
    for host in hosts(facts.pages):
        found = list(_host(host, plain.get(host), of(facts.pages, host)))
        yield from found
        root = of(facts.pages, host).get(
            "root"
        )  # a host that is asked for its policy alone shows nothing of this
        if not found and root is not None and root.status:
            yield Outcome("good", host)


def _host(host: str, plain: Page | None, pages: dict[str, Page]) -> Iterator[Outcome]:
    if (
        plain is not None
        and plain.status < 400
        and not plain.header("location").lower().startswith("https://")
    ):
        yield Outcome("no-redirect", host, evidence=(Evidence(plain.url, excerpt=str(plain.status)),))
    # What counts is the page that people open; a sign-in that another name asks for is that name's.
    page = pages.get("root")
    if (
        page is None or not page.status or page.trusted is False
    ):  # RFC 6797 section 8.1: it counts only when trusted
        return
    sent = page.header("strict-transport-security")
    match = _MAX_AGE.search(sent)
    age = int(match[1]) if match else 0
    if not age:
        yield Outcome("no-hsts", host, evidence=(Evidence(page.url, excerpt=sent or "no such header"),))
    elif age < LONG:
        yield Outcome("short-hsts", host, {"days": str(age // 86400)}, (Evidence(page.url, excerpt=sent),))
