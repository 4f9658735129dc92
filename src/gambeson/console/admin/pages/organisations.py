"""Organisations: all that somebody reaches side by side, "x of n have y", and what an owner sets for one."""

from __future__ import annotations

import re

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.office import RefusedError, Told
from gambeson.console.operations import organisations as operations
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.finding import Severity
from gambeson.model.staff import Verb

NAV = Nav("organisations", order=5, organisation=False)
PAGE = 50
GRAVE = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
# How the mark beside each word of exposure looks.
LEVELS = {"none": "ok", "low": "attention", "high": "danger", "critical": "danger", "blind": "blind"}


def listing(desk: Desk, visit: Visit) -> Reply:
    """The list, and the sentences that filter it."""
    search, has = visit.given("search", 100), visit.given("has", 40)
    offset = whole(visit, "offset", 0, 10_000)
    found = operations.overview(desk.office, search, has)
    return desk.page(
        "organisations",
        overview=found,
        rows=found.found[offset : offset + PAGE],
        offset=offset,
        size=PAGE,
        search=search,
        has=has if has in operations.HAS else "",
        grave=GRAVE,
        levels=LEVELS,
        may_add=desk.office.may(Verb.ORGANISATIONS),
    )


def one(desk: Desk, visit: Visit) -> Reply:
    """What is set for one organisation."""
    return desk.page(
        "organisation",
        one=desk.organisation,
        hours=desk.org.hours(),
        clouds=[(each, each.id in desk.organisation.clouds) for each in desk.office.facts.clouds],
        may_change=desk.office.may(Verb.ORGANISATIONS, desk.organisation.id),
        may_domains=desk.office.may(Verb.ORGANISATIONS),
    )


def add(desk: Desk, visit: Visit) -> Reply:
    """A new one."""
    domains = [each for each in re.split(r"[\s,;]+", visit.given("domains", 4000)) if each]
    made, told = operations.add(desk.office, visit.given("name", 100), domains)
    return _done(made.id, told)


def rename(desk: Desk, visit: Visit) -> Reply:
    """Another name."""
    return _done(
        desk.organisation.id,
        operations.rename(desk.office, desk.organisation.id, visit.given("name", 100)),
    )


def hours(desk: Desk, visit: Visit) -> Reply:
    """The hours of a week."""
    try:
        given = float(visit.given("hours", 10).replace(",", "."))
    except ValueError:
        raise RefusedError("hours", "Give the hours of a week as a number, such as 1.5.", 422) from None
    operations.set_hours(desk.office, desk.organisation.id, given)
    return go(f"/organisations/{desk.organisation.id}?said=saved")


def add_domain(desk: Desk, visit: Visit) -> Reply:
    """One domain more."""
    id = desk.organisation.id
    return _done(id, operations.add_domain(desk.office, id, visit.given("domain", 255).strip()))


def remove_domain(desk: Desk, visit: Visit) -> Reply:
    """One domain less."""
    id = desk.organisation.id
    return _done(id, operations.remove_domain(desk.office, id, visit.given("domain", 255).strip()))


def cloud(desk: Desk, visit: Visit) -> Reply:
    """A cloud service's programs may come in, or not."""
    id, allowed = desk.organisation.id, visit.given("allowed") == "yes"
    return _done(id, operations.set_cloud(desk.office, id, visit.given("cloud", 40), allowed=allowed))


def _done(id: str, told: Told) -> Reply:
    return go(f"/organisations/{id}?said={'waiting' if told.missing else 'done'}")


ROUTES = (
    get("/organisations", listing, None),
    post("/organisations", add, Verb.ORGANISATIONS, fresh=True),
    get("/organisations/{org:str}", one),
    post("/organisations/{org:str}/name", rename, Verb.ORGANISATIONS),
    post("/organisations/{org:str}/hours", hours, Verb.ORGANISATIONS),
    post("/organisations/{org:str}/domains", add_domain, Verb.ORGANISATIONS, fresh=True),
    post("/organisations/{org:str}/domains/remove", remove_domain, Verb.ORGANISATIONS, fresh=True),
    post("/organisations/{org:str}/clouds", cloud, Verb.ORGANISATIONS, fresh=True),
)
