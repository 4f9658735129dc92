"""DNS-005: who may issue certificates for the domain."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import NEVER_SAID, every
from gambeson.model.finding import Evidence

MAX_CLIMB = 8


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome: the first name from the domain up that has CAA records decides (RFC 8659 section 3)."""
    labels = facts.domain.split(".")
    names = [".".join(labels[at:]) for at in range(len(labels))][:MAX_CLIMB]
    answers = every(facts.answers, *(Question(name, "CAA") for name in names))
    for name, answer in zip(names, answers, strict=True):
        if answer.state is DnsState.UNKNOWN:
            yield Outcome("unknown", facts.domain, unknown=answer.unknown or NEVER_SAID)
            return
        if answer.state is DnsState.RECORDS:
            proof = tuple(Evidence("dns", f"{name} CAA", excerpt=record) for record in answer.records)
            issuers = [_issuer(record) for record in answer.records if record.split()[1:2] == ["issue"]]
            values = {"issuers": ", ".join(sorted({issuer for issuer in issuers if issuer})) or "nobody"}
            yield Outcome("ok" if issuers else "open", facts.domain, values, proof)
            return
    yield Outcome("open", facts.domain)


def _issuer(record: str) -> str:
    """The issuer's domain of ``0 issue "ca.example; parameters"``; empty means nobody (RFC 8659 section 4.2)."""
    return record.split(" ", 2)[2].strip('"').split(";", 1)[0].strip() if record.count(" ") >= 2 else ""
