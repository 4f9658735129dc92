"""TLS-006: mail for the domain can come in encrypted, at each of its mail servers and addresses."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, not_known, said, unproven


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each port where other servers deliver mail and that is not closed."""
    exchangers = {host.name for host in facts.hosts if "mx" in host.roles}
    for door in mail_doors(facts, frozenset({Protocol.SMTP})):
        yield _one(door, door.host in exchangers)


def _one(door: DoorFacts, exchanger: bool) -> Outcome:
    if door.state is not PortState.OPEN:
        return not_known(door)
    if unknown := unproven(door):
        return Outcome("unknown", door.place, unknown=unknown)
    values = {"problem": next((note for note in door.notes if "STARTTLS" in note), "no handshake came about")}
    proof = (said(door, door.plain),)
    match door.starttls:
        case StartTls.OFFERED:
            return Outcome("ok", door.place, evidence=proof)
        case StartTls.NOT_OFFERED:
            return Outcome("missing" if exchanger else "missing-elsewhere", door.place, evidence=proof)
        case _:
            return Outcome("failed" if exchanger else "failed-elsewhere", door.place, values, proof)
