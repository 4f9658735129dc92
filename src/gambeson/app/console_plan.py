"""The console's part of the plan: its origin, and what it knows of the installation. No secret is among it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from gambeson.console.office import CloudService, Facts, Listening, SettingRow
from gambeson.guard.core.clouds import CloudError
from gambeson.guard.edge.clouds import read_clouds
from gambeson.model.access import Listener
from gambeson.process.family import CONSOLE, DOORS
from gambeson.settings.config import Config
from gambeson.settings.declare import declared, nested, toml_name

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
        settings=tuple(setting_rows(planner.config)),
        settings_file=planner.config_file,
        clouds=tuple(_clouds(planner.config.doors.clouds)),
    )
    plain: dict[str, Any] = msgspec.to_builtins(facts)
    return plain


def _listening(planner: Planner) -> Iterator[Listening]:
    known = {each.value: each for each in Listener}
    for each in planner.listens:
        listener = known.get(each.name.partition("#")[0])
        if each.role == DOORS and listener is not None and each.port and not each.unix:
            host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(each.host, each.host)  # noqa: S104
            proxied = bool(planner.config.doors.proxy_protocol_from)
            yield Listening(each.name, listener.door.value, host, each.port, listener.implicit_tls, proxied)


def setting_rows(config: Config) -> Iterator[SettingRow]:
    """Every declared setting as it is now, in the order of the reference. A secret is the reference to it: the settings
    know no other form."""
    yield from _rows(config, "")


def _rows(section: Any, path: str) -> Iterator[SettingRow]:
    for field, about in declared(type(section)):
        default = "" if about.required else about.kind.write(field.default)
        yield SettingRow(
            name=f"{path}{toml_name(field.name)}",
            value=about.kind.write(getattr(section, field.name)),
            default=default,
            doc=about.doc,
            reason=about.reason,
        )
    for field, _, many in nested(type(section)):
        inside, name = getattr(section, field.name), f"{path}{toml_name(field.name)}"
        if many:
            for number, each in enumerate(inside, 1):
                yield from _rows(each, f"{name}[{getattr(each, 'name', '') or number}].")
        else:
            yield from _rows(inside, f"{name}.")


def _clouds(folder: str) -> Iterator[CloudService]:
    """``up`` has refused a folder that cannot be read; one that broke since names no service here."""
    try:
        known = read_clouds(folder)
    except CloudError:
        return
    yield from (CloudService(each.id, each.name) for each in known.all)
