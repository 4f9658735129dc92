"""Me: one's own passkeys and sessions, language and time zone."""

from __future__ import annotations

from zoneinfo import available_timezones

from gambeson.console.admin import passkeys, sessions
from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.admin.templating import LANGUAGES
from gambeson.console.web.agents import browser
from gambeson.console.web.passkeys import PasskeyError
from gambeson.console.web.visit import ProblemError, Reply, Visit, go

from .sign_in import MAX_NAME

NAV = Nav("me", order=95, organisation=False)


def me(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    return _page(desk)


def _page(desk: Desk, status: int = 200, error: str = "") -> Reply:
    staff = desk.services.world.store.staff
    person = desk.office.access.staff
    return desk.page(
        "me",
        status,
        person=person,
        passkeys=staff.passkeys(person.id) if person.id else (),
        sessions=[(row, browser(row.agent, desk.texts)) for row in staff.sessions(person.id, desk.at)],
        current=desk.session.id if desk.session is not None else "",
        languages=LANGUAGES,
        zones=sorted(available_timezones()),
        error=error,
    )


def change(desk: Desk, visit: Visit) -> Reply:
    """Language and time zone."""
    language, zone = visit.given("language", 16), visit.given("zone", 64)
    if language and language not in LANGUAGES:
        raise ProblemError(400)
    if zone and zone not in available_timezones():
        raise ProblemError(400)
    desk.services.world.store.staff.update(
        _own(desk), language=language, zone=zone, by=desk.office.by, at=desk.at
    )
    return go("/me?said=saved")


def add(desk: Desk, visit: Visit) -> Reply:
    """A further passkey."""
    try:
        made = passkeys.registered(desk.services, visit, desk.office.access.staff)
    except PasskeyError:
        return _page(desk, 403, "welcome.wrong")
    name = visit.given("name", MAX_NAME).strip() or desk.t("me.passkey")
    _own(desk)
    passkeys.keep(desk.services, desk.office.access.staff, made, name, desk.office.by, desk.at)
    return go("/me?said=saved")


def remove(desk: Desk, visit: Visit) -> Reply:
    """A passkey is no more; the last one stays."""
    desk.services.world.store.staff.remove_passkey(
        _own(desk), visit.path["passkey"], keep_one=True, by=desk.office.by, at=desk.at
    )
    return go("/me?said=saved")


def end(desk: Desk, visit: Visit) -> Reply:
    """One of one's own sessions ends."""
    staff, wanted = desk.services.world.store.staff, visit.path["session"]
    if all(row.id != wanted for row in staff.sessions(_own(desk), desk.at)):
        raise ProblemError(404)
    staff.end_session(wanted, "ended by its owner", by=desk.office.by, at=desk.at)
    return go("/me?said=saved")


def _own(desk: Desk) -> str:
    """The id of who is signed in. Raises ProblemError(403) in a break-glass session, which is nobody's."""
    id = desk.office.access.staff.id
    if not id or desk.office.access.session == "" or sessions.GLASS.id == id:
        raise ProblemError(403)
    return id


ROUTES = (
    get("/me", me, None),
    post("/me", change, None),
    post("/me/passkeys", add, None, fresh=True),
    post("/me/passkeys/{passkey:str}/remove", remove, None, fresh=True),
    post("/me/sessions/{session:str}/end", end, None),
)
