"""Breaking the glass: a sealed code opens a session of an hour. And the page where an owner makes the codes.

New codes are shown in the answer to the form and nowhere else, so the page has no address to come back to.
"""

from __future__ import annotations

import logging

from gambeson.console import glass
from gambeson.console.admin import record, sessions
from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Who, get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import break_glass
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.staff import Verb
from gambeson.store.errors import StoreError

MAX_CODE = 100
_log = logging.getLogger("gambeson.console")


def show(desk: Desk, visit: Visit) -> Reply:
    """The form. Whoever is signed in goes on."""
    return go("/") if desk.session is not None else desk.page("break_glass", error="")


def submit(desk: Desk, visit: Visit) -> Reply:
    """A code came."""
    s = desk.services
    try:
        codes = break_glass.use(s.world, visit.given("code", MAX_CODE), visit.source, desk.at)
    except RefusedError:
        s.tries.wrong(visit.source, desk.at)
        record.tell(s.world, "console.break-glass.refused", desk.at, source=visit.source)
        return desk.page("break_glass", 403, error="break-glass.wrong")
    cookies = sessions.begin(s, visit, sessions.GLASS, sessions.BREAK_GLASS)
    try:
        glass.settle(s.world.store, break_glass.BY, desk.at)
    except StoreError as error:  # the worker opens the findings within seconds
        _log.error("the findings about break-glass could not be opened: %s", error)
    reply = desk.page("break_glass_codes", codes=codes, after_use=True)
    reply.cookies.extend(cookies)
    return reply


def codes(desk: Desk, visit: Visit) -> Reply:
    """How many there are, and the button for new ones."""
    return desk.page("break_glass_kept", kept=break_glass.kept(desk.office))


def end(desk: Desk, visit: Visit) -> Reply:
    """Every session by break-glass ends."""
    break_glass.end(desk.office)
    return go("/staff/break-glass?said=saved")


def make(desk: Desk, visit: Visit) -> Reply:
    """New codes, shown once."""
    return desk.page("break_glass_codes", codes=break_glass.make(desk.office), after_use=False)


ROUTES = (
    get("/break-glass", show, None, who=Who.ANYBODY),
    post("/break-glass", submit, None, who=Who.ANYBODY),
    get("/staff/break-glass", codes, Verb.STAFF),
    post("/staff/break-glass", make, Verb.STAFF, fresh=True),
    post("/staff/break-glass/end", end, Verb.STAFF, fresh=True),
)
