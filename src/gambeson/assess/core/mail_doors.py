"""What the checks of mail doors have in common: which doors they are about, and how they prove what they say."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.model.finding import Evidence

from .check import Outcome
from .doors import DoorFacts, Offer, PortState, Protocol, StartTls
from .facts import Facts
from .unknown import Cause, Unknown

MAIL = frozenset(Protocol) - {Protocol.HTTP, Protocol.HTTPS}

# Why it is not known whether a server keeps its word about STARTTLS; everything else is its own doing.
_OURS = frozenset({Cause.TIMEOUT, Cause.DEADLINE, Cause.RATE_LIMITED, Cause.UNREACHABLE})


def mail_doors(facts: Facts, protocols: frozenset[Protocol] = MAIL) -> Iterator[DoorFacts]:
    """The doors of these protocols that are not closed, in the order of their names."""
    doors = (d for d in facts.doors if d.protocol in protocols and d.state is not PortState.CLOSED)
    return iter(sorted(doors, key=lambda d: (d.host, d.port, d.address)))


def says_gambeson(door: DoorFacts) -> bool:
    """Whether the door says that it is one of ours."""
    return "Gambeson" in " ".join([door.banner, *(value for _, value in door.identity)]).split()


def guarded_addresses(facts: Facts) -> frozenset[str]:
    """The addresses at which a door says that it is one of ours; what stands beside it may not name itself."""
    return frozenset(door.address for door in facts.doors if says_gambeson(door))


def not_known(door: DoorFacts) -> Outcome:
    """The outcome for a door of which it could not be seen."""
    return Outcome("unknown", door.place, unknown=door.unknown or Unknown(Cause.MALFORMED))


def unproven(door: DoorFacts) -> Unknown | None:
    """Why it could not be seen what becomes of STARTTLS at this door, where that may be our own doing."""
    if door.starttls is not StartTls.FAILED:
        return None
    unknown = door.unknown or (door.tls.unknown if door.tls else None)
    return unknown if unknown is not None and unknown.cause in _OURS else None


def said(door: DoorFacts, offer: Offer | None) -> Evidence:
    """What the server offered, as it was heard: ``offer`` is ``door.plain`` or ``door.secured``."""
    moment = "before TLS" if offer is door.plain else "inside TLS"
    words = "; ".join(offer.capabilities) if offer else ""
    return Evidence(source(door), f"capabilities {moment}", excerpt=words[:1000])


def source(door: DoorFacts) -> str:
    """Where it was heard."""
    return f"{door.protocol} at {door.address} port {door.port}"
