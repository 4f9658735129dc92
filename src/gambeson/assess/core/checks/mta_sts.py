"""TLS-008: MTA-STS, so that senders insist on encryption to the right hosts."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, unproven
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.mta_sts import StsReport, report
from gambeson.assess.core.tls import Trust
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
        if sts.hosts is None:  # who takes no mail needs none, and whether it takes any is not known
            yield Outcome("unknown", facts.domain, unknown=sts.unknown)
        elif sts.hosts:
            yield outcome("missing")
    elif sts.found is Found.SEVERAL:
        yield outcome("several")
    elif sts.found is Found.BROKEN:
        yield outcome("broken", problem=sts.error)
    elif sts.policy is None and sts.unknown is not None:
        yield Outcome("unknown", f"mta-sts.{facts.domain}", evidence=proof, unknown=sts.unknown)
    elif sts.policy is None:
        yield outcome("no-policy", problem=sts.fault)
    elif sts.hosts is None:  # whether the policy names the mail hosts is then not known either
        yield Outcome("unknown", facts.domain, evidence=proof, unknown=sts.unknown)
    else:
        refused = _refused(facts, sts.hosts or ()) if sts.policy.mode == "enforce" else ()
        yield from (outcome(code, **values) for code, values in _of_policy(sts, sts.policy, refused))


def _refused(facts: Facts, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``hosts`` to which a sender that keeps the policy delivers nothing (RFC 8461 sections 4.1 and 5)."""
    doors = [door for door in mail_doors(facts, frozenset({Protocol.SMTP})) if door.host in hosts]
    return tuple(dict.fromkeys(door.host for door in doors if _fails(door)))


def _fails(door: DoorFacts) -> bool:
    if door.state is not PortState.OPEN or unproven(door) is not None:
        return False
    if door.starttls is not StartTls.OFFERED or door.tls is None:
        return door.starttls is not StartTls.OFFERED
    bad = door.tls.trust not in (Trust.TRUSTED, Trust.UNKNOWN)
    return bool(door.tls.chain) and (bad or door.tls.name_matches is False)


def _of_policy(
    sts: StsReport, policy: StsPolicy, refused: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, str]]]:
    if policy.mode == "none":
        yield "none", {}
        return
    if sts.uncovered:
        hosts = {"hosts": ", ".join(sts.uncovered[:4])}
        yield ("shut-out" if policy.mode == "enforce" else "uncovered"), hosts
    if refused:
        yield "refused", {"hosts": ", ".join(refused[:4])}
    if policy.mode == "testing":
        yield "testing", {}
    if policy.max_age < SHORT_AGE:
        yield "short", {"age": str(policy.max_age)}
    elif policy.mode == "enforce" and not sts.uncovered and not refused:
        yield "ok", {}
