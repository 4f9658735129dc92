"""Which doors the checks of TLS look at, and how a door is spoken of there."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.model.finding import Evidence

from .doors import DoorFacts, PortState, Protocol
from .facts import Facts
from .tls import TlsFacts


def with_tls(facts: Facts) -> Iterator[tuple[DoorFacts, TlsFacts]]:
    """The open doors at which TLS was looked for, those that failed included. A door without STARTTLS is not here."""
    for door in facts.doors:
        if door.state is PortState.OPEN and door.tls is not None:
            yield door, door.tls


def between_servers(door: DoorFacts) -> bool:
    """Whether mail servers come here, who send in clear rather than not at all (RFC 7435): what is amiss with the
    certificate keeps nobody out, and old TLS is better than none."""
    return door.protocol is Protocol.SMTP


def evidence(facts: Facts, door: DoorFacts, excerpt: str) -> tuple[Evidence, ...]:
    """What was seen, and where."""
    return (Evidence("TLS handshake", f"{door.address} port {door.port}", excerpt=excerpt, at=facts.at),)
