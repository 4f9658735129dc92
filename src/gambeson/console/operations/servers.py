"""Servers: what is known of the mail servers and web applications behind the doors, and what is not.

What the settings say is known; what was seen on the way is what doors and findings recorded. Nothing is asked here, and
nothing is guessed: where nobody measured, that is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gambeson.console.office import Office
from gambeson.guard.core.walk_shields import Measured
from gambeson.guard.core.web.shield_source import Shield
from gambeson.guard.core.web.shields import load_shields
from gambeson.model.event import Event
from gambeson.model.finding import Finding
from gambeson.model.server import Endpoint, MailServer
from gambeson.model.web import Product, Site

from .memory import remembered

DAY = 86400.0
DAYS = 7
MAX_EVENTS = 500
SHOWN = 5
FRESH = 60.0  # seconds for which it is remembered who was served last
UNREACHABLE = "door.server.unreachable"


@dataclass(frozen=True, slots=True)
class At:
    """One address of a server. ``last_served``: when a door last let somebody in to it (0: not seen in that time);
    ``trouble`` is what a door said last where it was not reached since."""

    endpoint: Endpoint
    last_served: float = 0.0
    trouble: str = ""
    trouble_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Behind:
    """A mail server, or a web application (``site``)."""

    name: str
    server: MailServer | None
    site: Site | None
    places: tuple[At, ...]
    findings: tuple[Finding, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ShieldLine:
    """One shield and what the last walk measured of it."""

    shield: Shield
    measured: Measured


@dataclass(frozen=True, slots=True)
class Shields:
    """The shields of a product. ``unknown``: measured, and it could not be told; ``unmeasured``: no walk was."""

    product: Product
    lines: tuple[ShieldLine, ...]
    effective: int
    failing: int
    unknown: int
    unmeasured: int
    at: float

    @property
    def total(self) -> int:
        """All of them."""
        return len(self.lines)


def behind(office: Office, organisation: str) -> tuple[Behind, ...]:
    """Mail servers in the order in which they are tried, then applications by name. Raises RefusedError."""
    org = office.organisation(organisation)
    since = office.at - DAYS * DAY
    servers = office.index().servers.get(organisation, ())
    sites = [s for s in office.facts.sites if s.organisation in ("", organisation)]
    names = {each.name for each in servers} | {each.name for each in sites}
    # What a door says of a server belongs to no organisation; only what is about these servers goes on.
    told = [
        event
        for event in office.world.store.events.recent("door.server", since, MAX_EVENTS)
        if event.data.get("server") in names
    ]
    failed = [
        event
        for event in org.decisions.newest(since, MAX_EVENTS, kinds=("door.login.failed",))
        if event.data.get("server") in names
    ]
    findings = org.findings.list(limit=200, asset_kind="server")
    key = ("served", organisation)
    served = remembered(office.world.store, key, office.at, FRESH, lambda: org.decisions.served(since))
    found = []
    for server in servers:
        places = tuple(
            _at(e, served.get((server.name, e.door), 0.0), server.name, told) for e in server.endpoints
        )
        found.append(_behind(server.name, server, None, places, findings, (*told, *failed)))
    for site in sorted(sites, key=lambda s: s.name):
        last = max((at for (name, _), at in served.items() if name == site.name), default=0.0)
        found.append(_behind(site.name, None, site, (At(site.endpoint, last),), findings, (*told, *failed)))
    return tuple(found)


def shields(office: Office, organisation: str) -> tuple[Shields, ...]:
    """By product of the applications that stand behind the doors here. Raises RefusedError."""
    office.organisation(organisation)
    mine = {s.product for s in office.facts.sites if s.organisation in ("", organisation)}
    if not mine:
        return ()
    known = {one.shield: one for one in office.world.shields()}
    found = []
    for product in Product:
        if product not in mine:
            continue
        lines = tuple(
            ShieldLine(shield, known.get(shield.id, Measured(shield.id)))
            for shield in _known()
            if shield.product is product
        )
        measured = [line.measured for line in lines if line.measured.at]
        found.append(
            Shields(
                product,
                lines,
                effective=sum(one.effective is True for one in measured),
                failing=sum(one.effective is False for one in measured),
                unknown=sum(one.effective is None for one in measured),
                unmeasured=len(lines) - len(measured),
                at=max((one.at for one in measured), default=0.0),
            )
        )
    return tuple(found)


@cache
def _known() -> tuple[Shield, ...]:
    return load_shields().shields


def _at(endpoint: Endpoint, served: float, server: str, told: Sequence[Event]) -> At:
    last = next((e for e in told if e.data.get("server") == server and e.door == endpoint.door), None)
    if last is None or last.kind != UNREACHABLE or last.at < served:
        return At(endpoint, served)
    return At(endpoint, served, str(last.data.get("why", ""))[:300], last.at)


def _behind(
    name: str,
    server: MailServer | None,
    site: Site | None,
    places: tuple[At, ...],
    findings: Sequence[Finding],
    events: Sequence[Event],
) -> Behind:
    about = tuple(f for f in findings if f.asset_name == name or f.asset_name.startswith(f"{name} "))
    mine = sorted((e for e in events if e.data.get("server") == name), key=lambda e: -e.at)
    return Behind(name, server, site, places, about, tuple(mine[:SHOWN]))
