"""TLS-008: MTA-STS, so that senders insist on encryption to the right hosts."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.mta_sts import StsReport, report
from gambeson.model.finding import Evidence
from gambeson.wire.mta_sts import StsPolicy

SHORT_AGE = 86_400  # seconds: RFC 8461 section 3.2 thinks of weeks; below a day a policy is seldom remembered


def run(facts: Facts) -> Iterator[Outcome]:
    """The outcomes for the domain; nothing where it takes no mail."""
    sts = report(facts.domain, facts.answers, facts.pages, probed=facts.probed)
    name = f"_mta-sts.{facts.domain}"
    proof = (Evidence("dns", f"{name} TXT", excerpt=sts.text),) if sts.text else ()

    def outcome(code: str, **values: str) -> Outcome:
        return Outcome(code, facts.domain, {"name": name, **values}, proof)

    if sts.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=sts.unknown)
    elif sts.found is Found.NOTHING:
        if sts.hosts is None or sts.hosts:  # who takes no mail needs none
            yield outcome("missing")
    elif sts.found is Found.SEVERAL:
        yield outcome("several")
    elif sts.found is Found.BROKEN:
        yield outcome("broken", problem=sts.error)
    elif sts.policy is None and sts.unknown is not None:
        yield Outcome("unknown", f"mta-sts.{facts.domain}", evidence=proof, unknown=sts.unknown)
    elif sts.policy is None:
        yield outcome("no-policy", problem=sts.fault)
    else:
        yield from (outcome(code, **values) for code, values in _of_policy(sts, sts.policy))


def _of_policy(sts: StsReport, policy: StsPolicy) -> Iterator[tuple[str, dict[str, str]]]:
    if policy.mode == "none":
        yield "none", {}
        return
    if sts.uncovered:
        hosts = {"hosts": ", ".join(sts.uncovered[:4])}
        yield ("shut-out" if policy.mode == "enforce" else "uncovered"), hosts
    if policy.mode == "testing":
        yield "testing", {}
    if policy.max_age < SHORT_AGE:
        yield "short", {"age": str(policy.max_age)}
    elif policy.mode == "enforce" and not sts.uncovered:
        yield "ok", {}
