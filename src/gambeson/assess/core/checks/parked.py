"""SND-005: a domain without mail is closed, so that nobody sends in its name."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.routes import Way, route
from gambeson.assess.core.sender import dmarc
from gambeson.assess.core.sender.ask import NEVER_SAID, Found, every
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """For a domain that takes no mail: each of its three locks that is open."""
    way = route(facts.domain, facts.answers)
    if way.way not in (Way.NULL, Way.NONE):
        return
    (text,) = every(facts.answers, Question(facts.domain, "TXT"))
    policy = dmarc.report(facts.domain, facts.answers)
    open_locks = []
    if way.way is not Way.NULL:
        open_locks.append("MX 0 .")
    if text.state is DnsState.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=text.unknown or NEVER_SAID)
        return
    spf = [record for record in text.records if record.lower().split(" ", 1)[0] == "v=spf1"]
    if [record.lower().split() for record in spf] != [["v=spf1", "-all"]]:
        open_locks.append("TXT v=spf1 -all")
    if policy.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=policy.unknown or NEVER_SAID)
        return
    if policy.found is not Found.ONE or policy.policy != "reject":
        open_locks.append(f"_dmarc.{facts.domain} TXT v=DMARC1; p=reject")
    proof = tuple(Evidence("dns", f"{facts.domain} TXT", excerpt=record) for record in spf)
    if open_locks:
        yield Outcome("open", facts.domain, {"missing": ", ".join(open_locks)}, proof)
    else:
        yield Outcome("ok", facts.domain, evidence=proof)
