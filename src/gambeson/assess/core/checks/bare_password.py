"""ACC-003: which mail doors offer to let people in with a password and nothing more."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import BARE, DoorFacts, Offer, PortState, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import (
    guarded_addresses,
    mail_doors,
    not_known,
    said,
    says_gambeson,
    source,
)
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each mail door that is not closed."""
    if not facts.probed:
        yield Outcome("unknown", facts.domain, unknown=Unknown(Cause.NOT_ASKED, "no door was knocked at"))
    guards = guarded_addresses(facts)
    for door in mail_doors(facts):
        # Our own SMTP door does not name itself; what stands beside it does.
        ours = door.address in guards and door.banner.endswith(" ESMTP ready")
        yield _one(door, ours or says_gambeson(door))


def _one(door: DoorFacts, guarded: bool) -> Outcome:
    if door.state is not PortState.OPEN:
        return not_known(door)
    # RFC 9051 section 7.1.4
    if any("PREAUTH" in note for note in door.notes):
        proof = Evidence(source(door), "greeting", excerpt="PREAUTH")
        return Outcome("nothing", door.place, evidence=(proof,))
    offers = [offer for offer in (door.plain, door.secured) if offer is not None]
    for offer in offers:
        if offer.bare_password:
            values = {"ways": ", ".join(_ways(offer))}
            return Outcome("guarded" if guarded else _code(offer), door.place, values, (said(door, offer),))
    if door.secured is None and door.starttls in (StartTls.OFFERED, StartTls.FAILED):
        if door.unknown:
            return not_known(door)
        return _untold(door, "what it offers inside TLS could not be seen")
    if door.protocol.startswith("pop3") and not any(offer.capabilities for offer in offers):
        return _untold(door, "it does not list what it offers, and nobody tried to sign in")
    code = "strong" if any(offer.mechanisms for offer in offers) else "no-sign-in"
    return Outcome(code, door.place, evidence=(said(door, offers[-1]),))


def _code(offer: Offer) -> str:
    # USER is told and no mechanism that it could stand for: Dovecot says so also where passwords are switched off.
    return "perhaps" if offer.mechanisms and BARE.isdisjoint(offer.mechanisms) else "open"


def _ways(offer: Offer) -> list[str]:
    command = ["the protocol's own command"] if offer.password_command else []
    return [*command, *(name for name in offer.mechanisms if name in BARE)]


def _untold(door: DoorFacts, why: str) -> Outcome:
    return Outcome("unknown", door.place, unknown=Unknown(Cause.NOT_ASKED, why))
