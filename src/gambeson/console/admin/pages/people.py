"""People and devices: everybody, what they have, and with what proof they get in at each door."""

from __future__ import annotations

from urllib.parse import urlencode

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import imports, quarantine
from gambeson.console.operations import people as operations
from gambeson.console.operations.devices import words
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.access import DoorKind
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue, Conflict
from gambeson.store.people import PeopleQuery

NAV = Nav("people", 30)
FILTERS = ("without-device", "without-factor", "off", "side-door")
MAX_OFFSET = 1_000_000


def people(desk: Desk, visit: Visit) -> Reply:
    """A page of the list, with the matrix beside it."""
    search, group = visit.given("q", 254).strip(), visit.given("group", 100)
    only = visit.given("only", 20)
    only = only if only in FILTERS else ""
    door = visit.given("door", 20)
    side = door if door in [d.value for d in DoorKind] else "any"
    offset = whole(visit, "offset", 0, MAX_OFFSET)
    query = PeopleQuery(
        search,
        group,
        without_device=only == "without-device",
        without_factor=only == "without-factor",
        off=only == "off",
    )
    found = operations.page(
        desk.office,
        desk.organisation.id,
        query,
        side_door=side if only == "side-door" else "",
        offset=offset,
    )
    asked = {"q": search, "group": group, "only": only, "door": door if only == "side-door" else ""}
    return desk.page(
        "people",
        found=found,
        search=search,
        group=group,
        only=only,
        door=side if only == "side-door" else "",
        filters=FILTERS,
        offset=offset,
        size=operations.PAGE,
        query=urlencode({key: value for key, value in asked.items() if value}),
        waiting=quarantine.counts(desk.office, desk.organisation.id),
        manages=desk.office.may(Verb.PEOPLE, desk.organisation.id),
    )


def new(desk: Desk, visit: Visit) -> Reply:
    """The form of one account."""
    return _form(desk, visit)


def add(desk: Desk, visit: Visit) -> Reply:
    """One account more."""
    try:
        made = operations.add(
            desk.office,
            desk.organisation.id,
            visit.given("address", 254).strip(),
            aliases=words(visit.given("aliases", 8_000)),
            groups=named(visit.given("groups", 8_000)),
            server=visit.given("server", 100),
            upstream_login=visit.given("upstream_login", 254).strip(),
        )
    except (BadValue, Conflict) as error:
        return _form(desk, visit, 409, str(error))
    except RefusedError as error:
        if error.status != 422:
            raise
        return _form(desk, visit, 422, error.sentence)
    return go(f"{desk.base}/people/{made.id}?said=saved")


def _form(desk: Desk, visit: Visit, status: int = 200, error: str = "") -> Reply:
    fields = ("address", "aliases", "groups", "server", "upstream_login")
    return desk.page(
        "people_new",
        status,
        error=error,
        form={name: visit.form.get(name, "")[:8_000] for name in fields},
        servers=operations.servers(desk.office, desk.organisation.id),
        groups=desk.org.people.groups()[:500],
    )


def named(text: str) -> tuple[str, ...]:
    """The names in a field, one a line or between commas: they may have blanks."""
    return tuple(filter(None, (name.strip() for line in text.splitlines() for name in line.split(","))))


def export(desk: Desk, visit: Visit) -> Reply:
    """Everybody as CSV."""
    text = imports.table(desk.office, desk.organisation.id)
    headers = {"content-disposition": 'attachment; filename="people.csv"'}
    return Reply(
        body=("\ufeff" + text).encode(), kind="text/csv; charset=utf-8; header=present", headers=headers
    )


ROUTES = (
    get("/o/{org:str}/people", people),
    get("/o/{org:str}/people/new", new, Verb.PEOPLE),
    post("/o/{org:str}/people/new", add, Verb.PEOPLE),
    get("/o/{org:str}/people/export", export),
)
