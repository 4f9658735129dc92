"""What is knocked at: which ports of which addresses, for which host name. Pure.

A host of the domain's own is looked at whole. A stranger's host that only serves the domain (an MX at a provider) is
looked at where the domain points: nobody consented for the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .doors import PORTS, Protocol
from .facts import Host

MAX_DOORS = 240
_ROLES: dict[str, tuple[Protocol, ...]] = {
    "mx": (Protocol.SMTP,),
    "autodiscover": (Protocol.HTTPS, Protocol.HTTP),
    "autoconfig": (Protocol.HTTPS, Protocol.HTTP),
    "mta-sts": (Protocol.HTTPS,),
    "srv": (
        Protocol.IMAPS,
        Protocol.IMAP,
        Protocol.POP3S,
        Protocol.POP3,
        Protocol.SUBMISSIONS,
        Protocol.SUBMISSION,
        Protocol.SIEVE,
        Protocol.HTTPS,
    ),
}
_POLICY_ONLY = frozenset(
    {Protocol.HTTPS}
)  # a host that is there for its policy alone is asked for nothing else


@dataclass(frozen=True, slots=True, order=True)
class Knock:
    """One port of one address. ``host`` is the name that is asked for in TLS and HTTP."""

    host: str
    address: str
    port: int
    protocol: Protocol


def own(name: str, domain: str) -> bool:
    """Whether ``name`` is the domain or below it."""
    return name == domain or name.endswith("." + domain)


def protocols(host: Host, domain: str) -> tuple[Protocol, ...]:
    """What is spoken to at ``host``."""
    if "given" not in host.roles:
        if host.roles == ("mta-sts",):
            return tuple(_POLICY_ONLY)
        if not own(host.name, domain):
            found = dict.fromkeys(protocol for role in host.roles for protocol in _ROLES.get(role, ()))
            return tuple(found)
    return tuple(Protocol)


def knocks(
    hosts: Iterable[Host], domain: str, ports: Mapping[Protocol, int] | None = None
) -> tuple[Knock, ...]:
    """Every port once an address, under the first host that has it; web ports once a name, because one address may
    serve many."""
    found: dict[tuple[str, int, str], Knock] = {}
    for host in hosts:
        for address in host.addresses:
            for protocol in protocols(host, domain):
                port = (ports or {}).get(protocol, PORTS[protocol])
                web = protocol in (Protocol.HTTP, Protocol.HTTPS)
                key = (address, port, host.name if web else "")
                if key not in found and len(found) < MAX_DOORS:
                    found[key] = Knock(host.name, address, port, protocol)
    return tuple(found.values())
