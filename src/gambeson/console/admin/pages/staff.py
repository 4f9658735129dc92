"""Staff: who has which role where and until when; invitations, links after a loss, elevation for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import staff as operations
from gambeson.console.operations.staff import Invitation
from gambeson.console.web.agents import browser
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.staff import EVERY, Role, Verb

# Everybody who may read the audit log of something sees who may do what there.
NAV = Nav("staff", order=90, verb=Verb.AUDIT, organisation=False, anywhere=True)
PAGE = 50
MAX_NAME, MAX_ADDRESS = 100, 320


@dataclass(frozen=True, slots=True)
class Choices:
    """What a form can give: ``places`` (id and name of an organisation, every organisation first), the ``roles`` that
    can be given in one of them, and the dates of today and of a responder's latest end."""

    places: tuple[tuple[str, str], ...]
    roles: tuple[Role, ...]
    today: str
    longest: str


def listing(desk: Desk, visit: Visit) -> Reply:
    """Everybody, and the form of an invitation."""
    search, offset = visit.given("search", 100), whole(visit, "offset", 0, 10_000)
    found = operations.members(desk.office, search)
    return desk.page(
        "staff",
        members=found[offset : offset + PAGE],
        total=len(found),
        offset=offset,
        size=PAGE,
        search=search,
        names=_names(desk),
        give=_choices(desk, Verb.STAFF),
        glass=desk.office.may(Verb.STAFF) and not desk.office.access.break_glass,
    )


def one(desk: Desk, visit: Visit) -> Reply:
    """Somebody, with what can be done about them."""
    found = operations.member(desk.office, visit.path["staff"])
    person, store = found.staff, desk.services.world.store.staff
    return desk.page(
        "staff_one",
        member=found,
        names=_names(desk),
        passkeys=store.passkeys(person.id) if found.whole else (),
        sessions=[(each, browser(each.agent, desk.texts)) for each in store.sessions(person.id, desk.at)]
        if found.whole
        else (),
        give=_choices(desk, Verb.ACTIONS),
        takes={each: _takes(desk, each.organisation, each.role) for each in found.grants},
        oneself=person.id == desk.office.access.staff.id,
        sealed=desk.office.access.break_glass,
    )


def invite(desk: Desk, visit: Visit) -> Reply:
    """Somebody new, and their link, shown once."""
    made = operations.invite(
        desk.office,
        visit.given("name", MAX_NAME),
        visit.given("address", MAX_ADDRESS),
        _role(visit),
        visit.given("organisation", 64),
        _until(visit, desk.zone),
    )
    return _link(desk, made)


def grant(desk: Desk, visit: Visit) -> Reply:
    """A role, or a new end."""
    id = visit.path["staff"]
    operations.grant(desk.office, id, visit.given("organisation", 64), _role(visit), _until(visit, desk.zone))
    return _back(id)


def withdraw(desk: Desk, visit: Visit) -> Reply:
    """A role is taken away."""
    id = visit.path["staff"]
    operations.withdraw(desk.office, id, visit.given("organisation", 64), _role(visit))
    try:
        operations.member(desk.office, id)
    except RefusedError:  # it was the only one that the asker saw
        return go("/staff?said=saved")
    return _back(id)


def change(desk: Desk, visit: Visit) -> Reply:
    """Name and address."""
    id = visit.path["staff"]
    operations.change(
        desk.office, id, name=visit.given("name", MAX_NAME), address=visit.given("address", MAX_ADDRESS)
    )
    return _back(id)


def disable(desk: Desk, visit: Visit) -> Reply:
    """Shut out."""
    operations.enable(desk.office, visit.path["staff"], False)
    return _back(visit.path["staff"])


def enable(desk: Desk, visit: Visit) -> Reply:
    """Let in again."""
    operations.enable(desk.office, visit.path["staff"], True)
    return _back(visit.path["staff"])


def remove(desk: Desk, visit: Visit) -> Reply:
    """Gone for good."""
    operations.remove(desk.office, visit.path["staff"])
    return go("/staff?said=saved")


def link(desk: Desk, visit: Visit) -> Reply:
    """A new link, shown once."""
    forget = visit.given("forget") == "yes"
    return _link(desk, operations.new_link(desk.office, visit.path["staff"], forget_passkeys=forget))


def end(desk: Desk, visit: Visit) -> Reply:
    """Signed out everywhere."""
    operations.end_sessions(desk.office, visit.path["staff"])
    return _back(visit.path["staff"])


def _back(id: str) -> Reply:
    return go(f"/staff/{id}?said=saved")


def _link(desk: Desk, made: Invitation) -> Reply:
    return desk.page("staff_link", made=made)


def _names(desk: Desk) -> dict[str, str]:
    return {each.id: each.name for each in desk.office.organisations()}


def _choices(desk: Desk, verb: Verb) -> Choices:
    office = desk.office
    there = [(EVERY, desk.t("staff.everywhere"))] if office.may(verb) else []
    there += [(each.id, each.name) for each in office.organisations(verb)]
    roles = {id: operations.givable(office, id) for id, _ in there}
    today = datetime.fromtimestamp(desk.at, desk.zone).date()
    return Choices(
        tuple((id, name) for id, name in there if roles[id]),
        tuple(role for role in Role if any(role in each for each in roles.values())),
        today.isoformat(),
        (today + timedelta(days=29)).isoformat(),
    )


def _takes(desk: Desk, organisation: str, role: Role) -> bool:
    given = role is Role.RESPONDER and role in operations.givable(desk.office, organisation)
    return desk.office.may(Verb.STAFF, organisation) or given


def _role(visit: Visit) -> Role:
    try:
        return Role(visit.given("role", 20))
    except ValueError:
        raise ProblemError(400) from None


def _until(visit: Visit, zone: ZoneInfo) -> float:
    """The end of the day that was given, in the person's zone; 0 for none. Raises RefusedError."""
    text = visit.given("until", 20).strip()
    if not text:
        return 0.0
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
        return datetime.combine(day, time(), zone).timestamp()
    except (ValueError, OverflowError):
        raise RefusedError("end", "This is no date. Write it as 2027-01-31.", 422) from None


ROUTES = (
    get("/staff", listing, None),
    post("/staff", invite, None, fresh=True),
    get("/staff/{staff:str}", one, None),
    post("/staff/{staff:str}", change, None, fresh=True),
    post("/staff/{staff:str}/grant", grant, None, fresh=True),
    post("/staff/{staff:str}/withdraw", withdraw, None, fresh=True),
    post("/staff/{staff:str}/disable", disable, None, fresh=True),
    post("/staff/{staff:str}/enable", enable, None, fresh=True),
    post("/staff/{staff:str}/remove", remove, None, fresh=True),
    post("/staff/{staff:str}/link", link, None, fresh=True),
    post("/staff/{staff:str}/end", end, None, fresh=True),
)
