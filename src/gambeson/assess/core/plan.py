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
MAX_NAMES = (
    16  # of one web port: whoever owns a domain can let any number of its names lead to a stranger's server
)
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
    serve many. No more than one look may ask for."""
    return _sorted_out(hosts, domain, ports)[0]


def left_out(
    hosts: Iterable[Host], domain: str, ports: Mapping[Protocol, int] | None = None
) -> tuple[tuple[Knock, ...], str]:
    """What ``knocks`` leaves out for the sake of its limits, and why, as part of a sentence."""
    why = f"a look knocks at no more than {MAX_DOORS} doors, and at a web server under {MAX_NAMES} names"
    return _sorted_out(hosts, domain, ports)[1], why


def _sorted_out(
    hosts: Iterable[Host], domain: str, ports: Mapping[Protocol, int] | None
) -> tuple[tuple[Knock, ...], tuple[Knock, ...]]:
    found: dict[tuple[str, int, str], Knock] = {}
    beyond: dict[tuple[str, int, str], Knock] = {}
    names: dict[tuple[str, int], int] = {}
    for host in hosts:
        for address in host.addresses:
            for protocol in protocols(host, domain):
                port = (ports or {}).get(protocol, PORTS[protocol])
                web = protocol in (Protocol.HTTP, Protocol.HTTPS)
                key = (address, port, host.name if web else "")
                if key in found or key in beyond:
                    continue
                named = names.get((address, port), 0)
                fits = len(found) < MAX_DOORS and not (web and named >= MAX_NAMES)
                (found if fits else beyond)[key] = Knock(host.name, address, port, protocol)
                if fits and web:
                    names[address, port] = named + 1
    return tuple(found.values()), tuple(beyond.values())
