"""The console's part of the plan: its origin, and what it knows of the installation. No secret is among it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from gambeson.console.office import Facts, Listening
from gambeson.model.access import Listener
from gambeson.process.family import CONSOLE, DOORS

if TYPE_CHECKING:
    from .plan import Planner


def console_origin(planner: Planner) -> str:
    """The console's origin, as browsers send it (RFC 6454); empty where it does not listen."""
    listen = next((each for each in planner.listens if each.role == CONSOLE), None)
    if listen is None:
        return ""
    port = planner.config.console.port or listen.port
    host = planner.config.console.host
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


def console_facts(planner: Planner) -> dict[str, Any]:
    """Plain values of :class:`gambeson.console.office.Facts`."""
    portal = planner.portal
    facts = Facts(
        origin=console_origin(planner) or "https://localhost",
        portal=portal.origin if portal is not None else "",
        hostname=planner.hostname,
        playground=planner.playground is not None,
        listeners=tuple(_listening(planner)),
        servers=planner.servers,
        sites=planner.sites,
        default_domain=planner.config.doors.default_domain,
        request_log=planner.config.doors.request_log.value,
    )
    plain: dict[str, Any] = msgspec.to_builtins(facts)
    return plain


def _listening(planner: Planner) -> Iterator[Listening]:
    known = {each.value: each for each in Listener}
    for each in planner.listens:
        listener = known.get(each.name.partition("#")[0])
        if each.role == DOORS and listener is not None and each.port and not each.unix:
            host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(each.host, each.host)  # noqa: S104
            yield Listening(each.name, listener.door.value, host, each.port, listener.implicit_tls)
