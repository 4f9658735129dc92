"""TLS-007: what somebody on the way puts behind STARTTLS is not obeyed inside TLS (CVE-2011-0411)."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import PortState, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, source
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each open mail door where STARTTLS works."""
    for door in mail_doors(facts):
        if door.state is not PortState.OPEN or door.starttls is not StartTls.OFFERED:
            continue
        if door.injection is None:
            unknown = door.unknown or Unknown(Cause.TIMEOUT, "the trial came to no end")
            yield Outcome("unknown", door.place, unknown=unknown)
        else:
            proof = Evidence(source(door), "STARTTLS and NOOP sent together")
            yield Outcome("obeyed" if door.injection else "ok", door.place, evidence=(proof,))
