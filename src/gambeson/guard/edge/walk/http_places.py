"""Where to walk at the web doors: the https listener with the sites' and the portal's names, the sites' own endpoints,
and what a person adds.

Names need no DNS: the walk connects to the listener's address and says the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gambeson.guard.core.walk import Place, Role
from gambeson.model.access import DoorKind, Listener
from gambeson.model.finding import Severity
from gambeson.model.server import Endpoint, SignIn, UpstreamTls
from gambeson.model.web import Product, Site, WebSignIn
from gambeson.process.run_directory import read_ready

from .connection import loopback
from .places import WILD, PlaceError, split

# Where a mail server's own web server usually answers; 81 and 444 are Exchange's back end.
WELL_KNOWN = {80: False, 81: False, 443: True, 444: True}
SCHEMES = {"https": True, "http": False}


@dataclass(frozen=True, slots=True)
class WebListener:
    """The https listener: its address, the portal's host (empty: none), and the authority of its certificate."""

    host: str
    port: int
    portal: str = ""
    ca: str = ""


def of_ready(data: Path) -> WebListener | None:
    """What ``run/ready.json`` names; None where nothing runs or no https door stands. Raises PlaceError."""
    try:
        document = read_ready(data)
    except (OSError, ValueError):
        return None
    doors = document.get("doors")
    address = doors.get("https") if isinstance(doors, Mapping) else None
    if not isinstance(address, str):
        return None
    host, port = split(address)
    ca = str(document.get("ca") or "")
    portal = urlsplit(str(document.get("portal") or "")).hostname or ""
    return WebListener(WILD.get(host, host), port, portal, ca if Path(ca).is_file() else "")


def of_endpoint(site: Site) -> Place:
    """The site's own endpoint."""
    return _endpoint(f"{site.name} web", site.endpoint)


def _endpoint(name: str, endpoint: Endpoint) -> Place:
    return Place(
        name,
        Listener.HTTPS,
        Role.UPSTREAM,
        endpoint.host,
        endpoint.port,
        endpoint.unix,
        endpoint.tls is UpstreamTls.IMPLICIT,
        endpoint.server_name,
        endpoint.ca,
        endpoint.pin,
    )


def of_target(text: str, ca: str = "") -> tuple[Site, Place] | None:
    """``HOST:PORT=https`` or ``=http``: an Exchange that may answer past the doors. None for another listener's word.
    Raises PlaceError."""
    address, _, word = text.rpartition("=")
    if word not in SCHEMES:
        return None
    host, port = split(address)
    tls = UpstreamTls.IMPLICIT if SCHEMES[word] else UpstreamTls.NONE
    endpoint = Endpoint(DoorKind.OWA, host, port, tls=tls, ca=ca)
    return Site(address, Product.EXCHANGE, (host,), endpoint), _endpoint(address, endpoint)


def of_scan(hosts: Iterable[str], known: Iterable[Place], ca: str = "") -> Iterator[tuple[Site, Place]]:
    """The usual web ports of these hosts, those left out that are known already."""
    taken = {(place.host, place.port) for place in known}
    for host in dict.fromkeys(hosts):
        for port, tls in WELL_KNOWN.items():
            if host and (host, port) not in taken:
                endpoint = Endpoint(DoorKind.OWA, host, port)
                name = f"{host} port {port}"
                place = Place(name, Listener.HTTPS, Role.FOUND, host, port, implicit=tls, ca=ca)
                yield Site(name, Product.EXCHANGE, (host,), endpoint), place


def allowed(site: Site, place: Place, inside: bool) -> Severity:
    """The most that a yes to a password can mean at the site's endpoint. The doors' own machine must reach a server
    that it signs in at with a password; another machine must not, and neither must every process of this one."""
    needs = site.device_sign_in is SignIn.SEALED or site.web_sign_in in (WebSignIn.BASIC, WebSignIn.AS_IS)
    if inside and needs and not loopback(place):
        return Severity.MEDIUM
    return Severity.CRITICAL


def from_outside(sites: Sequence[tuple[Site, Place]]) -> Sequence[tuple[Site, Place]]:
    """Those that another machine could reach."""
    return [(site, place) for site, place in sites if not loopback(place)]


__all__ = [
    "PlaceError",
    "WebListener",
    "allowed",
    "from_outside",
    "of_endpoint",
    "of_ready",
    "of_scan",
    "of_target",
]
