"""A question without an answer accuses nobody: each answer that a look had is taken away, one at a time, and no check
may find anything red or amber that it did not find before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from assess.dns_zone import Records, Zone
from gambeson.assess.core.check import Light
from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question
from gambeson.assess.core.evaluate import evaluate, wanted
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.reference import reference

World = Callable[[Question], DnsAnswer]
Found = set[tuple[str, str, str]]

_WHOLE: Records = {
    "d.example MX": ["10 mx1.d.example", "20 mx2.d.example"],
    "d.example TXT": "v=spf1 mx include:spf.other.example -all",
    "d.example NS": ["ns1.d.example", "ns2.other.example"],
    "d.example SOA": "ns1.d.example h.d.example 1 2 3 4 5",
    "d.example CAA": '0 issue "ca.example"',
    "ns1.d.example A": "9.9.9.9",
    "ns2.other.example A": "8.8.8.8",
    "spf.other.example TXT": "v=spf1 a:out.other.example redirect=more.other.example",
    "more.other.example TXT": "v=spf1 ip4:8.8.8.0/29 -all",
    "out.other.example A": "8.8.8.8",
    "mx1.d.example A": "9.9.9.1",
    "mx1.d.example AAAA": "2600::1",
    "mx2.d.example A": "8.8.8.2",
    "1.9.9.9.in-addr.arpa PTR": "mx1.d.example",
    "2.8.8.8.in-addr.arpa PTR": "mx2.d.example",
    "_dmarc.d.example TXT": "v=DMARC1; p=reject; rua=mailto:x@reports.example",
    "d.example._report._dmarc.reports.example TXT": "v=DMARC1",
    "reports.example MX": "1 mx.reports.example",
    "_mta-sts.d.example TXT": "v=STSv1; id=1",
    "_smtp._tls.d.example TXT": "v=TLSRPTv1; rua=mailto:a@d.example",
    "default._bimi.d.example TXT": "v=BIMI1; l=https://d.example/b.svg",
}
_BELOW: Records = {
    "sub.d.example MX": "10 mx.sub.d.example",
    "sub.d.example TXT": "v=spf1 mx -all",
    "mx.sub.d.example A": "9.9.9.1",
    "_dmarc.sub.d.example TXT": "v=DMARC1; p=reject; rua=mailto:a@d.example",
    "_dmarc.d.example TXT": "v=DMARC1; p=none",
    "d.example MX": "1 mx.sub.d.example",
}
_CLOSED: Records = {"d.example TXT": "v=spf1 -all", "_dmarc.d.example TXT": "v=DMARC1; p=reject"}


def _alias_for_all(records: Records) -> World:
    """As ``records``, and whatever is not there is an alias of a name that does not exist."""
    zone = Zone(records)

    def answer(question: Question) -> DnsAnswer:
        found = zone.answer(question)
        named = question.name.startswith(("_dmarc.", "mx"))
        if found.state is DnsState.RECORDS or named or not question.name.endswith(".d.example"):
            return found
        return DnsAnswer(question, DnsState.NO_NAME, aliases=("gone.example",))

    return answer


WORLDS: dict[str, tuple[str, World]] = {
    "whole": ("d.example", Zone(_WHOLE).answer),
    "below": ("sub.d.example", Zone(_BELOW).answer),
    "null": ("d.example", Zone({**_CLOSED, "d.example MX": "0 ."}).answer),
    "none": ("d.example", Zone(_CLOSED).answer),
    "alias": ("d.example", _alias_for_all(_WHOLE)),
}
_CHECKS, _TABLES = all_checks(), reference()


def _facts(domain: str, world: World, answers: Answers, lost: Question | None = None) -> Facts:
    """Everything asked until nothing is wanted any more; ``lost`` is never answered."""
    known = dict(answers)
    if lost is not None:
        known[lost] = DnsAnswer(lost, DnsState.UNKNOWN, unknown=Unknown(Cause.TIMEOUT, "as the test says"))
    facts = Facts(
        domain, at=0, probed=True, answers=known, reference=_TABLES, dkim_selectors=("default", "mail", "s1")
    )
    while missing := [question for question in wanted(facts, _CHECKS) if question not in known]:
        for question in missing:
            found = world(replace(question, server=""))
            known[question] = replace(found, question=question, authoritative=bool(question.server))
    return facts


def _wrong(facts: Facts) -> Found:
    lines = [line for line in evaluate(facts, _CHECKS) if line.light in (Light.RED, Light.AMBER)]
    return {(line.check.name, line.code, outcome.asset) for line in lines for outcome in line.outcomes}


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_not_answered_is_not_wrong(name: str) -> None:
    domain, world = WORLDS[name]
    base = _facts(domain, world, {})
    before = _wrong(base)
    for question in base.answers:
        assert _wrong(_facts(domain, world, base.answers, question)) <= before, question


@pytest.mark.parametrize("kind", ["MX", "TXT", "A", "AAAA", "NS", "SOA", "DS", "CAA", "TLSA", "PTR", "SRV"])
def test_nor_is_a_kind_that_nobody_answers(kind: str) -> None:
    domain, world = WORLDS["whole"]

    def silent(question: Question) -> DnsAnswer:
        if question.type == kind:
            return DnsAnswer(question, DnsState.UNKNOWN, unknown=Unknown(Cause.TIMEOUT))
        return world(question)

    assert _wrong(_facts(domain, silent, {})) <= _wrong(_facts(domain, world, {}))
