"""The web doors' part of the plan: the portal's place, and the socket between doors and portal.

The portal is a process of its own on an abstract Unix socket that the supervisor holds; the https door leads
people there. The name carries the installation's own random word, and it asks the kernel who connects.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gambeson.model.access import DEVICE_WEB_DOORS, DoorKind, Listener
from gambeson.model.web import Product, Site, WebSignIn
from gambeson.process.family import PORTAL
from gambeson.process.listen import Listen
from gambeson.process.run_directory import RunError
from gambeson.process.whole_file import write_whole
from gambeson.settings import Config

AUTOCONFIG = "/.well-known/autoconfig/mail/config-v1.1.xml"
# The doors of programs behind a site, where the portal sends them.
DEVICE_WEB = {
    Product.EXCHANGE: DEVICE_WEB_DOORS,
    Product.SOGO: (DoorKind.EAS, DoorKind.AUTODISCOVER),
}
PLAYGROUND_PORTAL = "login.localhost"


@dataclass(frozen=True, slots=True)
class PortalPlace:
    """Where people sign in: the host, and the port that browsers see."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL; 443 is left out."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin (RFC 6454)."""
        return f"https://{self.authority}"

    def beside(self, host: str) -> str:
        """Another host of the same door, as in a URL."""
        return PortalPlace(host, self.port).authority


def portal_place(config: Config, listens: Sequence[Listen], playground: bool) -> PortalPlace | None:
    """The portal, where there is an https door for it."""
    https = next((each for each in listens if each.name == "https"), None)
    host = config.portal.host or (PLAYGROUND_PORTAL if playground else "")
    if https is None or not host:
        return None
    return PortalPlace(host, config.portal.port or https.port)


def portal_socket(instance: str) -> str:
    """The portal's abstract socket, in the notation of ``Endpoint.unix``."""
    return f"@gambeson-portal-{instance}"


def portal_listens(instance: str) -> tuple[Listen, ...]:
    """The socket that the supervisor binds and the portal serves."""
    return (Listen(PORTAL, "", 0, PORTAL, unix=portal_socket(instance)),)


def portal_key(path: Path) -> bytes:
    """32 octets, made once. Raises RunError."""
    try:
        if not path.exists():
            write_whole(path, secrets.token_bytes(32))
        key = path.read_bytes()
    except OSError as error:
        raise RunError(
            f"{path} cannot be used: {error.strerror}; remove it, or open it to Gambeson", 3
        ) from None
    if len(key) != 32:
        raise RunError(f"{path} is not what Gambeson wrote there; remove it")
    return key


def door_share(threshold: int, portal: bool) -> int:
    """The lock-out threshold as the doors must count it. Doors and portal both send passwords to the directory, which
    counts them together: each gets a part of what it may see, and at least one of the two can ask."""
    return threshold if not portal else 2 + (threshold - 2) // 2


def portal_share(threshold: int, portal: bool) -> int:
    """The same for the portal: the other part."""
    return threshold - (threshold - 2) // 2 if portal else threshold


def portal_facts(
    portal: PortalPlace, sites: Sequence[Site], listens: Sequence[Listen], hostname: str
) -> dict[str, Any]:
    """What the portal tells people: applications, and where a mail program connects. Plain values, as
    :class:`gambeson.console.portal.settings.PortalSettings` names them."""
    applications = [
        {
            "host": portal.beside(host),
            "label": site.name,
            "password": site.web_sign_in is WebSignIn.BASIC,
        }
        for site in sites
        for host in site.hosts
    ]
    mobile = [site for site in sites if site.product in DEVICE_WEB]
    showing = [host for site in mobile for host in site.device_hosts]
    return {
        "origin": portal.origin,
        "applications": applications,
        "mail": list(_mail(listens, hostname)),
        "eas_host": portal.beside(mobile[0].hosts[0]) if mobile else "",
        "web_doors": [door.value for door in DEVICE_WEB[mobile[0].product]] if mobile else [],
        "autoconfig": f"https://{portal.beside(sites[0].hosts[0])}{AUTOCONFIG}" if sites else "",
        "certificate_host": portal.beside(showing[0]) if showing else "",
    }


def _mail(listens: Sequence[Listen], hostname: str) -> Iterator[dict[str, Any]]:
    """One line a mail door, TLS from the first octet preferred (RFC 8314 section 3)."""
    found: dict[str, dict[str, Any]] = {}
    for each in listens:
        name = each.name.partition("#")[0]
        if name not in {each.value for each in Listener} or each.unix or not each.port:
            continue
        listener = Listener(name)
        door = listener.door.value
        if listener is not Listener.HTTPS and (listener.implicit_tls or door not in found):
            found[door] = {
                "door": door,
                "host": hostname,
                "port": each.port,
                "implicit_tls": listener.implicit_tls,
            }
    yield from found.values()
