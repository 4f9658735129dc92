"""SND-011: a BIMI logo, where there is one, has DMARC behind it."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender import dmarc
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.bimi import report
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for the domain; none where it publishes no logo."""
    bimi = report(facts.domain, facts.answers)
    name = f"default._bimi.{facts.domain}"
    proof = (Evidence("dns", f"{name} TXT", excerpt=bimi.text),) if bimi.text else ()
    values = {"name": name, "problem": bimi.error}
    if bimi.found is Found.NOTHING or (bimi.found is Found.ONE and bimi.record.declined):
        return
    if bimi.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=bimi.unknown)
        return
    if bimi.found is not Found.ONE:
        yield Outcome(bimi.found.value, facts.domain, values, proof)
        return
    policy = dmarc.report(facts.domain, facts.answers)
    if policy.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, evidence=proof, unknown=policy.unknown)
    elif not policy.enforced:
        yield Outcome("unbacked", facts.domain, values, proof)
    else:
        yield Outcome("ok" if bimi.record.evidence else "no-certificate", facts.domain, values, proof)
