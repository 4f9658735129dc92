"""The web applications: reachable behind us over TLS that holds, every public name in the door's certificate, and no
way past the door."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator

from gambeson.model.server import Endpoint
from gambeson.model.web import Site, WebSignIn

from .behind import reached, where
from .certificate_facts import facts
from .probe import ProbeError
from .result import Check, Patient, failed, ok, warning
from .web_names import Web, shown, web_of

TURN = 66
Addresses = frozenset[str]
Resolve = Callable[[str], Addresses]


def look(patient: Patient, resolve: Resolve | None = None) -> Iterator[Check]:
    """Every site, then every public name. ``resolve`` gives a name's addresses, none where it has none."""
    web = web_of(patient)
    for site in web.sites:
        yield from _site(patient, site)
    yield from _certificate(patient, web)
    yield from _names(web, resolve or _addresses)


def _site(patient: Patient, site: Site) -> Iterator[Check]:
    name, endpoint = f"site {site.name}", site.endpoint
    answer = yield from reached(patient, name, endpoint, "[[site]]", "application")
    if answer is None:
        return
    tls = answer.tls_version or "without TLS, which stays on this machine"
    yield ok(name, f"{where(endpoint)} answers ({tls}).")


def _certificate(patient: Patient, web: Web) -> Iterator[Check]:
    """What the running door shows for each name. Ends and keys are looked at with the other doors'."""
    name = "web certificate"
    if web.door is None:
        if web.sites:
            yield warning(
                name, "No https door runs, so its certificate could not be looked at.", "Run: gambeson up"
            )
        return
    lacking = []
    for host in web.names:
        try:
            found = facts(shown(patient, web.door, host).certificate)
        except (ProbeError, ValueError) as error:
            yield failed(name, f"For {host} the door shows none: {error}.", "See the log of the doors.")
            continue
        if not found.covers(host):
            lacking.append(host)
    if lacking:
        yield failed(
            name,
            f"The certificate that the https door shows is not for {', '.join(lacking[:10])}.",
            "Get one with every name of [[site]] and [portal], or one of its own for each: [[tls.name]].",
        )
    elif web.names:
        yield ok(name, f"The https door's certificate covers {', '.join(web.names[:5])}.")


def _names(web: Web, resolve: Resolve) -> Iterator[Check]:
    """Where the public names lead, as this machine sees it."""
    if not web.portal:
        return
    for site in web.sites:
        if web.portal in (*site.hosts, *site.device_hosts):
            yield failed(
                "portal",
                f"{web.portal} is the portal's name and the site {site.name}'s.",
                "Give the portal a host name of its own.",
            )
    portal = resolve(web.portal)
    if not portal:
        yield warning(
            "portal", f"{web.portal} has no address here.", "Put it into the DNS, beside the sites' names."
        )
    for site in web.sites:
        name, behind = f"site {site.name}", _behind(site.endpoint, resolve)
        for host in site.hosts:
            own = resolve(host)
            if not own:
                yield warning(
                    name, f"{host} has no address here.", f"Put it into the DNS, where {web.portal} leads."
                )
            elif own & behind and not own & portal:
                yield warning(
                    name,
                    f"As this machine sees it, {host} leads to {', '.join(sorted(own & behind))}: to the application "
                    "itself, past the door.",
                    f"Let {host} lead where {web.portal} does, and let the application take nobody but the door.",
                )
            elif portal and not own & portal:
                yield warning(
                    name,
                    f"As this machine sees it, {host} leads to {', '.join(sorted(own))}, and the portal "
                    f"{web.portal} to {', '.join(sorted(portal))}.",
                    "Both must lead to the https door; if they do by another way, there is nothing to do.",
                )
        if site.web_sign_in is WebSignIn.HEADER and _open(site.endpoint):
            yield warning(
                name,
                f"{where(site.endpoint)} believes the header {site.header}, and is not on this machine.",
                f"Whoever reaches it past us could write {site.header}: let it take nobody but this machine, and check "
                "the signature beside it.",
            )


def _open(endpoint: Endpoint) -> bool:
    """Whether others can reach the application."""
    if endpoint.unix:
        return False
    try:
        return not ipaddress.ip_address(endpoint.host).is_loopback
    except ValueError:
        return not _local(endpoint.host)


def _local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _behind(endpoint: Endpoint, resolve: Resolve) -> Addresses:
    """The application's addresses that others could reach too."""
    if endpoint.unix:
        return frozenset()
    try:
        found = frozenset((str(ipaddress.ip_address(endpoint.host)),))
    except ValueError:
        found = resolve(endpoint.host)
    return frozenset(each for each in found if not ipaddress.ip_address(each).is_loopback)


def _addresses(host: str) -> Addresses:
    if _local(host):  # browsers ask nobody about these
        return frozenset(("127.0.0.1",))
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(each[4][0]).partition("%")[0] for each in found)
