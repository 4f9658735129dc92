"""The first page: where somebody who signed in goes."""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import get
from gambeson.console.web.visit import Reply, Visit, go


def home(desk: Desk, visit: Visit) -> Reply:
    """To the only organisation's Today, or to the list of organisations."""
    found = desk.office.organisations()
    said = f"?said={desk.said}" if desk.said else ""
    return go(f"/o/{found[0].id}/today{said}" if len(found) == 1 else f"/organisations{said}")


ROUTES = (get("/", home, None),)
