"""Tokens of the API: which there are, a new one (its text is shown once), and the end of one."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import tokens as operations
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.staff import EVERY, Verb

NAV = Nav("staff/tokens", order=92, verb=Verb.STAFF, organisation=False, anywhere=True, text="tokens")
PAGE = 50
MOST_BOXES = 40  # of organisations in the form; where there are more, they are named by hand
MAX_NAMED = 4_000


def listing(desk: Desk, visit: Visit) -> Reply:
    """All of them, and the form of a new one."""
    offset = whole(visit, "offset", 0, 10_000)
    found = operations.tokens(desk.office)
    office = desk.office
    there = office.organisations(Verb.STAFF)
    today = datetime.fromtimestamp(desk.at, desk.zone).date()
    return desk.page(
        "tokens",
        tokens=found[offset : offset + PAGE],
        total=len(found),
        offset=offset,
        size=PAGE,
        names={each.id: each.name for each in office.organisations()},
        every=EVERY,
        everywhere=office.may(Verb.STAFF),
        places=there if len(there) <= MOST_BOXES else (),
        by_hand=len(there) > MOST_BOXES,
        verbs=operations.CHOICES,
        first=(today + timedelta(days=1)).isoformat(),
        usual=(today + timedelta(days=90)).isoformat(),
        last=(today + timedelta(days=364)).isoformat(),
        may=not office.access.break_glass,
    )


def make(desk: Desk, visit: Visit) -> Reply:
    """A new one, shown once."""
    made = operations.make(
        desk.office,
        visit.given("name", 100),
        _organisations(desk, visit),
        [verb for verb in operations.CHOICES if visit.given(f"verb-{verb}", 4) == "yes"],
        _end(desk, visit),
    )
    return desk.page("tokens_made", made=made, origin=desk.office.facts.origin)


def revoke(desk: Desk, visit: Visit) -> Reply:
    """It is over."""
    operations.revoke(desk.office, visit.path["token"])
    return go("/staff/tokens?said=saved")


def _organisations(desk: Desk, visit: Visit) -> list[str]:
    """The ids that were ticked or named. Raises RefusedError."""
    if visit.given("every", 4) == "yes":
        return [EVERY]
    there = desk.office.organisations(Verb.STAFF)
    ticked = [each.id for each in there if visit.form.get(f"org-{each.id}") == "yes"]
    of = {word: each.id for each in there for word in (each.name.casefold(), each.id)}
    named = [line.strip() for line in visit.given("named", MAX_NAMED).splitlines() if line.strip()]
    for name in named:
        if name.casefold() not in of:
            raise RefusedError("unknown", f"There is no organisation {name[:80]}: write its whole name.", 422)
    return [*ticked, *(of[name.casefold()] for name in named)]


def _end(desk: Desk, visit: Visit) -> float:
    """The end of the day that was given, in the person's zone. Raises RefusedError."""
    try:
        day = date.fromisoformat(visit.given("until", 20).strip()) + timedelta(days=1)
        return datetime.combine(day, time(), desk.zone).timestamp()
    except (ValueError, OverflowError):
        raise RefusedError("end", "This is no date. Write it as 2027-01-31.", 422) from None


ROUTES = (
    get("/staff/tokens", listing, None),
    post("/staff/tokens", make, None, fresh=True),
    post("/staff/tokens/{token:str}/revoke", revoke, None, fresh=True),
)
