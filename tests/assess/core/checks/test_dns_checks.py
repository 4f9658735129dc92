"""What all checks of names have in common: their words are there, and hostile records break none of them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assess.core.dns_facts import Records, World, answered, facts
from gambeson.assess.core.catalogue import places
from gambeson.assess.core.check import Check
from gambeson.assess.core.evaluate import evaluate, outcomes_of
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge.checks import all_checks

NAMES = (
    "mx",
    "mx_redundancy",
    "parked",
    "ptr",
    "dnssec",
    "dane",
    "nameservers",
    "autodiscover_dns",
    "caa",
    "wildcard",
)
CHECKS = [check for check in all_checks() if check.name in NAMES]
HOSTS = ("example.org", "mx.example.org", "autodiscover.example.org", "_25._tcp.mx.example.org")
KINDS = ("MX", "A", "AAAA", "NS", "DS", "TXT", "CAA", "TLSA", "SOA", "SRV", "PTR", "DNSKEY")
ASKED = [f"{name} {kind}" for name in HOSTS for kind in KINDS]
PLAIN: Records = {"example.org MX": ["10 mx.example.org"], "mx.example.org A": ["1.2.3.4"],
                  "example.org NS": ["ns.example.org"], "ns.example.org A": ["1.2.3.5"]}  # fmt: skip

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=string.digits + " .:/abcdef", max_size=30),
    st.sampled_from(
        ["10 mx.example.org", "0 .", "1.2.3.4", "::1", "3 1 1 ab", "mx.example.org", '0 issue "x"', "{host}"]
    ),
)
FOUND = st.one_of(st.lists(TEXTS, max_size=4), st.sampled_from(list(Cause)))


def test_all_are_there() -> None:
    assert sorted(check.name for check in CHECKS) == sorted(NAMES)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_time_out_is_never_a_fault(check: Check) -> None:
    silent: Records = dict.fromkeys([*ASKED, "_dmarc.example.org TXT"], Cause.TIMEOUT)
    found = outcomes_of(check, facts(silent))
    assert [outcome.code for outcome in found if outcome.code not in ("unknown", "ok", "none")] == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_it_gets_along_with_the_answers_that_it_wants(check: Check) -> None:
    from dataclasses import replace

    world = World(PLAIN)
    found = answered(lambda answers: list(check.run(replace(facts({}), answers=answers))), world)
    outcomes = outcomes_of(check, replace(facts({}), answers=found))
    assert all(outcome.unknown is None or outcome.unknown.cause is not Cause.DEFECT for outcome in outcomes)


@given(st.dictionaries(st.sampled_from(ASKED), FOUND, max_size=10))
def test_any_records_are_judged(records: Records) -> None:
    given_ = facts({**PLAIN, **records})
    for check in CHECKS:
        for outcome in outcomes_of(check, given_):
            assert (
                outcome.unknown is None
                or outcome.unknown.cause is not Cause.DEFECT
                or _ours(records, outcome.unknown)
            )
            if outcome.code != "unknown":
                text = check.outcomes[outcome.code]
                wanted = places(text.sentence) | places(text.step)
                assert wanted <= {*outcome.values, "asset", "assets", "count", "title"}
    evaluate(given_, CHECKS)


def _ours(records: Records, unknown: object) -> bool:
    """Where the test itself put that cause in."""
    return Cause.DEFECT in records.values() and getattr(unknown, "detail", "") == "as the test says"
