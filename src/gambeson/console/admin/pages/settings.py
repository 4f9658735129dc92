"""Settings: every declared setting as it is now and why, and the doctor beside them.

They are changed in the settings file, by who owns the machine: the console shows them and changes none.
"""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.operations import doctor
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.staff import Verb

NAV = Nav("settings", order=92, verb=Verb.STAFF, organisation=False)


def settings(desk: Desk, visit: Visit) -> Reply:
    """The page. Without a filter it shows what differs from the default; a search looks through all."""
    search = visit.given("search", 100)
    every = visit.given("show", 10) == "all" or bool(search)
    facts, wanted = desk.office.facts, search.strip().casefold()
    found = [
        row
        for row in facts.settings
        if (every or row.value != row.default)
        and (wanted in row.name.casefold() or wanted in row.doc.casefold())
    ]
    return desk.page(
        "settings",
        rows=found,
        every=every,
        total=len(facts.settings),
        differing=sum(row.value != row.default for row in facts.settings),
        search=search,
        file=facts.settings_file,
        version=facts.version,
        playground=facts.playground,
        examined=doctor.examined(desk.office),
    )


def examine(desk: Desk, visit: Visit) -> Reply:
    """The doctor is asked."""
    doctor.examine(desk.office)
    return go("/settings#doctor")


ROUTES = (
    get("/settings", settings, Verb.STAFF),
    post("/settings/doctor", examine, Verb.STAFF),
)
