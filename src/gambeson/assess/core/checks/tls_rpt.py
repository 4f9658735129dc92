"""TLS-010: reports of mail that could not be delivered encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import Found, every, takes_mail
from gambeson.assess.core.sender.tls_rpt import report
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for the domain; none where it takes no mail and has no record."""
    name = f"_smtp._tls.{facts.domain}"
    mx, _ = every(facts.answers, Question(facts.domain, "MX"), Question(name, "TXT"))
    rpt = report(facts.domain, facts.answers)
    proof = (Evidence("dns", f"{name} TXT", excerpt=rpt.text),) if rpt.text else ()
    if rpt.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=rpt.unknown)
    elif rpt.found is Found.NOTHING:
        if mx.unknown is not None:  # who takes no mail needs none, and whether it takes any is not known
            yield Outcome("unknown", facts.domain, unknown=mx.unknown)
        elif takes_mail(mx):
            yield Outcome("missing", facts.domain, {"name": name})
    elif rpt.found is Found.ONE:
        values = {"name": name, "where": ", ".join((*rpt.record.mail, *rpt.record.https)[:3])}
        values["wrong"] = ", ".join(rpt.record.wrong[:1])
        yield Outcome("partly" if rpt.record.wrong else "ok", facts.domain, values, proof)
    else:
        yield Outcome(rpt.found.value, facts.domain, {"name": name, "problem": rpt.error}, proof)
