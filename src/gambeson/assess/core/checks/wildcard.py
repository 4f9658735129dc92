"""DNS-006: whether names that nobody made lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.addresses import addresses
from gambeson.assess.core.check import Outcome
from gambeson.assess.core.discovery import NOBODY
from gambeson.assess.core.dns import DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import NEVER_SAID, every
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """What answers for a name that was made up."""
    nobody = f"{NOBODY}.{facts.domain}"
    (mx,) = every(facts.answers, Question(nobody, "MX"))
    found = addresses(facts.answers, [nobody])[nobody]
    if mx.state is DnsState.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=mx.unknown or NEVER_SAID)
    mail = [record for record in mx.records if not record.endswith(" .")]
    if mail:
        proof = tuple(Evidence("dns", f"*.{facts.domain} MX", excerpt=record) for record in mx.records)
        yield Outcome("mail", facts.domain, evidence=proof)
    if found.missing and found.aliases:
        yield Outcome("dangling", facts.domain, {"target": found.aliases[-1]})
    elif found.lost is not None:
        yield Outcome("unknown", facts.domain, unknown=found.lost)
    elif found.found:
        values = {"address": found.found[0]}
        proof = tuple(Evidence("dns", f"*.{facts.domain}", excerpt=text) for text in found.found)
        yield Outcome("address", facts.domain, values, proof)
    elif not mail and mx.state is not DnsState.UNKNOWN:
        yield Outcome("ok", facts.domain)
