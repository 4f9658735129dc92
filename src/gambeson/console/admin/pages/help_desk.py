"""The help desk: a code for somebody who is on the line or at the desk, after it was checked that it is them."""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import get, post
from gambeson.console.office import RefusedError
from gambeson.console.operations import help_desk as operations
from gambeson.console.operations.help_desk import MAX_AN_HOUR, MAX_NOTE, Method
from gambeson.console.web.visit import Reply, Visit
from gambeson.model.staff import Verb


def show(desk: Desk, visit: Visit) -> Reply:
    """The form. A passkey is asked for first: nobody types a note and loses it."""
    desk.office.fresh()
    return _page(desk, visit)


def give(desk: Desk, visit: Visit) -> Reply:
    """The code, shown this once; or the form again with what is missing."""
    method, manager, note = (visit.given(name, 2 * MAX_NOTE) for name in ("method", "manager", "note"))
    try:
        code = operations.give(
            desk.office,
            desk.organisation.id,
            visit.path["account"],
            method=method,
            manager=manager,
            note=note,
        )
    except RefusedError as error:
        if error.status != 422:
            raise
        return _page(desk, visit, 422, error.reason, method=method, manager=manager, note=note)
    return _page(desk, visit, code=code)


def _page(
    desk: Desk,
    visit: Visit,
    status: int = 200,
    error: str = "",
    *,
    method: str = "",
    manager: str = "",
    note: str = "",
    code: operations.HelpDeskCode | None = None,
) -> Reply:
    person = desk.org.accounts.get(visit.path["account"])
    authenticators = desk.org.authenticators.list(person.id)
    return desk.page(
        "help_desk",
        status,
        person=person,
        factors=len([each for each in authenticators if each.kind != "recovery"]),
        pending=0.0 if code else desk.org.binding_codes.pending(person.id, desk.at),
        methods=list(Method),
        method=method,
        manager=manager,
        note=note,
        error=error,
        code=code,
        left=max(0, MAX_AN_HOUR - operations.given(desk.office)),
        most=MAX_NOTE,
        portal=desk.office.facts.portal,
    )


ROUTES = (
    get("/o/{org:str}/people/{account:str}/help-desk", show, Verb.PEOPLE),
    post("/o/{org:str}/people/{account:str}/help-desk", give, Verb.PEOPLE, fresh=True),
)
