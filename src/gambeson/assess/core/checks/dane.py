"""TLS-009: the key that the domain promises for its mail hosts is the one that they show."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import Addresses
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dane import Promise, kept, promise
from gambeson.assess.core.dns import Question
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.routes import Way, route
from gambeson.assess.core.sender.ask import every
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Evidence

_NOT_SEEN = Unknown(Cause.NOT_ASKED, "the mail host was not probed")


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each mail host that promises something, or one for the domain where none does."""
    way = route(facts.domain, facts.answers)
    if way.way not in (Way.MX, Way.IMPLICIT) or not way.exchangers:
        return
    reached = [e for e in way.exchangers if e.found or e.unknown]  # what leads nowhere is another check's
    if not reached:
        return
    names = [exchanger.name for exchanger in reached]
    every(facts.answers, *(Question(f"_25._tcp.{name}", "TLSA") for name in names))
    promises = [promise(name, facts.answers) for name in names]
    if not any(found.texts or found.unknown for found in promises):
        signed = way.secure and all(exchanger.secure for exchanger in reached)
        yield Outcome("absent" if signed else "impossible", facts.domain)
        return
    some = any(found.secure and found.usable for found in promises)
    for exchanger, found in zip(reached, promises, strict=True):
        yield from _of(facts, exchanger, found, way.secure, some)


def _of(facts: Facts, exchanger: Addresses, found: Promise, mx_secure: bool, some: bool) -> Iterator[Outcome]:
    host = found.host
    proof = tuple(Evidence("dns", f"_25._tcp.{host} TLSA", excerpt=text) for text in found.texts)
    values = {"host": host}
    if found.unknown is not None:
        broken = found.unknown.cause in (Cause.BOGUS, Cause.SERVFAIL)
        if broken and exchanger.secure:  # who checks DANE then sends nothing (RFC 7672 section 2.1.1)
            yield Outcome("broken", host, {**values, "why": found.unknown.detail})
        else:
            yield Outcome("unknown", host, unknown=found.unknown)
    elif not found.texts:
        if some:
            yield Outcome("partly", host, values)
    elif not found.secure or not exchanger.secure:
        yield Outcome("insecure", host, values, proof)
    elif not found.usable:
        yield Outcome("unusable", host, values, proof)
    else:
        yield from _kept(facts, found, mx_secure, proof)


def _kept(facts: Facts, found: Promise, mx_secure: bool, proof: tuple[Evidence, ...]) -> Iterator[Outcome]:
    values = {"host": found.host}
    doors = [door for door in facts.doors if door.host == found.host and door.protocol is Protocol.SMTP]
    if not doors:
        addresses = next((h.addresses for h in facts.hosts if h.name == found.host), ())
        doors = [d for d in facts.doors if d.address in addresses and d.protocol is Protocol.SMTP]
    seen = [door for door in doors if door.state is PortState.OPEN]
    for door in seen:
        place = f"{found.host} at {door.address}"
        if door.starttls is StartTls.NOT_OFFERED:
            yield Outcome("no-tls", place, values, proof)
        elif door.tls is None or not door.tls.chain:
            yield Outcome("unknown", place, unknown=_why(door))
        elif not kept(found.usable, door.tls.chain, found.host):
            shown = Evidence(
                "tls", place, sha256=door.tls.chain[0].spki_sha256, excerpt=door.tls.chain[0].subject
            )
            yield Outcome("mismatch", place, values, (*proof, shown))
        else:
            yield Outcome("ok" if mx_secure else "half", place, values, proof)
    for door in doors if seen else ():
        # An address that this machine has no way to was not looked at; that is said with the doors.
        if door.unknown is not None and door not in seen and door.unknown.cause is not Cause.UNREACHABLE:
            yield Outcome("unknown", f"{found.host} at {door.address}", unknown=door.unknown)
    if not seen:
        unknown = next((door.unknown for door in doors if door.unknown is not None), _NOT_SEEN)
        yield Outcome("unknown", found.host, unknown=unknown)


def _why(door: DoorFacts) -> Unknown:
    if door.tls is not None and door.tls.unknown is not None:
        return door.tls.unknown
    return door.unknown or Unknown(Cause.TLS_FAILED, "no certificate was seen")
