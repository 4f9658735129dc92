"""TLS-016: no mailbox protocol faces the internet without encryption."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, not_known, said, unproven

PLAIN_FIRST = frozenset({Protocol.IMAP, Protocol.POP3, Protocol.SIEVE, Protocol.SUBMISSION})
_NAMES = {
    Protocol.IMAP: "IMAP",
    Protocol.POP3: "POP3",
    Protocol.SIEVE: "ManageSieve",
    Protocol.SUBMISSION: "submission",
}


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each door of people's programs that begins without TLS and is not closed."""
    for door in mail_doors(facts, PLAIN_FIRST):
        values = {"name": _NAMES[door.protocol]}
        if door.state is not PortState.OPEN:
            yield not_known(door)
        elif unknown := unproven(door):
            yield Outcome("unknown", door.place, unknown=unknown)
        elif door.starttls is StartTls.NOT_OFFERED:
            yield Outcome("no-tls", door.place, values, (said(door, door.plain),))
        elif door.starttls is StartTls.FAILED:
            yield Outcome("failed", door.place, values, (said(door, door.plain),))
        else:
            yield Outcome("ok", door.place, values)
