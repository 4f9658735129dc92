"""The web doors as the checks see them: where the https door listens, which names it answers to, what it shows."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Site

from .probe import Answer, ask
from .result import Patient


@dataclass(frozen=True, slots=True)
class Web:
    """``sites`` are the applications, ``portal`` the portal's host (empty: none). ``door`` is the https door that runs
    here; None where none does."""

    sites: tuple[Site, ...]
    portal: str
    door: Endpoint | None

    @property
    def names(self) -> tuple[str, ...]:
        """Every public name, the portal's first."""
        hosts = [host for site in self.sites for host in (*site.hosts, *site.device_hosts)]
        return tuple(dict.fromkeys([*([self.portal] if self.portal else []), *hosts]))


def web_of(patient: Patient) -> Web:
    """What this installation serves to browsers and phones."""
    sites = patient.installation.sites() if patient.installation is not None else patient.config.sites
    running = urlsplit(patient.ready.get("portal") or "").hostname or ""
    return Web(sites, patient.config.portal.host or running, _door(patient))


def _door(patient: Patient) -> Endpoint | None:
    address = (patient.ready.get("doors") or {}).get("https")
    if not address:
        return None
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104 - compared, not bound
    behind = any(
        ipaddress.ip_address(host) in ipaddress.ip_network(each)
        for each in patient.config.doors.proxy_protocol_from
    )
    return Endpoint(DoorKind.WEBMAIL, host=host, port=int(port), proxy_v2=behind)


def shown(patient: Patient, door: Endpoint, name: str) -> Answer:
    """What the door answers who asks for ``name``. Raises ProbeError."""
    return ask(door, patient.seconds, patient.ready.get("ca") or "", name)
