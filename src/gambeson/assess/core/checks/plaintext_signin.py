"""TLS-005: nobody can be made to send a password before TLS."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import BARE, IMPLICIT, DoorFacts, PortState
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, not_known, said
from gambeson.assess.core.unknown import Cause, Unknown

# What is sent opens the mailbox as it is: a password, or a token.
CLEAR = frozenset({"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"})


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each mail door that is not closed."""
    for door in mail_doors(facts):
        yield _one(door)


def _one(door: DoorFacts) -> Outcome:
    if door.protocol in IMPLICIT:
        # Even where what is behind TLS could not be seen, nothing is said before it.
        return Outcome("ok", door.place) if door.state is PortState.OPEN else not_known(door)
    if door.state is not PortState.OPEN or door.plain is None:
        return not_known(door)
    plain = door.plain
    if any("PREAUTH" in note for note in door.notes):  # nobody is asked for a password there
        return Outcome("ok", door.place, evidence=(said(door, plain),))
    proof = (said(door, plain),)
    clear = sorted(CLEAR.intersection(plain.mechanisms))
    if clear or plain.password_command:
        return Outcome("open", door.place, {"ways": ", ".join(clear)}, proof)
    if challenges := sorted(BARE.intersection(plain.mechanisms)):
        return Outcome("challenge", door.place, {"ways": ", ".join(challenges)}, proof)
    if door.protocol.startswith("pop3") and not plain.capabilities:
        why = "it does not list what it offers, and nobody tried to sign in"
        return Outcome("unknown", door.place, unknown=Unknown(Cause.NOT_ASKED, why))
    return Outcome("ok", door.place, evidence=proof)
