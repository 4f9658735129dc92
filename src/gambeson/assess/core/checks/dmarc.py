"""SND-003: a DMARC policy that keeps forged mail from people, and reports that arrive."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.dmarc import DmarcReport, report
from gambeson.model.finding import Evidence


def run(facts: Facts) -> Iterator[Outcome]:
    """The outcomes for the domain: everything that is wrong with its policy, or that it is well."""
    dmarc = report(facts.domain, facts.answers)
    where = f"_dmarc.{dmarc.at or facts.domain} TXT"
    proof = tuple(Evidence("dns", where, excerpt=text) for text in dmarc.texts)

    def outcome(code: str, **values: str) -> Outcome:
        return Outcome(code, facts.domain, {"at": f"_dmarc.{dmarc.at or facts.domain}", **values}, proof)

    if dmarc.found is Found.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=dmarc.unknown)
    elif dmarc.found is Found.NOTHING:
        yield outcome("misplaced" if dmarc.misplaced else "missing")
    elif dmarc.found is Found.SEVERAL:
        yield outcome("several", number=str(len(dmarc.texts)))
    elif dmarc.found is Found.BROKEN:
        yield outcome("broken", problem=dmarc.error)
    else:
        found = dict(_of_policy(dmarc))
        found.update(_of_reports(dmarc))
        for code, values in found.items():
            yield outcome(code, **values)
        unsure = [d for d in dmarc.destinations if d.permitted is None]
        for destination in unsure[:1]:
            yield Outcome("unknown", destination.domain, unknown=destination.unknown)
        if not found and not unsure:
            yield outcome(f"ok-{dmarc.policy}", policy=dmarc.policy)


def _of_policy(dmarc: DmarcReport) -> Iterator[tuple[str, dict[str, str]]]:
    record = dmarc.record
    if not dmarc.policy:
        yield "no-policy", {}
    elif dmarc.policy == "none" and record.testing and record.stated == "quarantine":
        yield "testing", {"policy": record.stated}
    elif dmarc.policy == "none" and not record.aggregate:
        yield "blind", {}
    elif dmarc.policy == "none":
        yield "watching", {}
    elif record.testing:
        yield "testing", {"policy": record.stated}
    elif record.percent < 100:
        yield "part", {"percent": str(record.percent), "policy": dmarc.policy}
    if dmarc.policy in ("quarantine", "reject"):
        if dmarc.subdomains == "none":
            yield "subdomains", {}
        elif dmarc.nonexistent == "none":
            yield "nonexistent", {}
    # A policy that nobody understands is said already, as the policy that it is not.
    discarded = [(tag, value) for tag, value in record.discarded if dmarc.policy or tag != "p"]
    if discarded:
        tag, value = discarded[0]
        yield "discarded", {"tag": tag, "value": value}


def _of_reports(dmarc: DmarcReport) -> Iterator[tuple[str, dict[str, str]]]:
    if dmarc.policy in ("quarantine", "reject") and not dmarc.record.aggregate:
        yield "unreported", {}
    refused = [d for d in dmarc.destinations if d.permitted is False]
    if refused:
        yield (
            "refused",
            {"address": refused[0].address, "consent": f"{dmarc.at}._report._dmarc.{refused[0].domain}"},
        )
    if dead := [d for d in dmarc.destinations if d.dead]:
        yield "dead", {"address": dead[0].address}
