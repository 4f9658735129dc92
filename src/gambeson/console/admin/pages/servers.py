"""Servers: the mail servers and web applications behind the doors; what is known of them, and what is not."""

from __future__ import annotations

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Nav, get
from gambeson.console.operations import servers as operations
from gambeson.console.web.visit import Reply, Visit
from gambeson.model.server import Endpoint

NAV = Nav("servers", order=60)


def servers(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    return desk.page(
        "servers",
        behind=operations.behind(desk.office, desk.org.id),
        shields=operations.shields(desk.office, desk.org.id),
        where=where,
        days=operations.DAYS,
    )


def where(endpoint: Endpoint) -> str:
    """An address as people write it."""
    if endpoint.unix:
        return endpoint.unix
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


ROUTES = (get("/o/{org:str}/servers", servers),)
