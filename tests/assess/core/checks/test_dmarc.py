"""SND-003: which words a policy gets."""

from __future__ import annotations

import pytest

from assess.core.sender.dmarc_cases import HOSTS
from assess.one_check import codes, loaded, outcomes, sentences
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause

FACTS = Facts("d.example", at=0)
RUA = "rua=mailto:dmarc@d.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ([], ["missing"]),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], ["several"]),
        ("v=DMARC1; p=reject; nonsense", ["broken"]),
        ("v=DMARC1; p=block", ["no-policy"]),
        ("v=DMARC1; p=none", ["blind"]),
        ("v=DMARC1", ["blind"]),
        (f"v=DMARC1; p=none; {RUA}", ["watching"]),
        (f"v=DMARC1; p=quarantine; {RUA}", ["ok-quarantine"]),
        (f"v=DMARC1; p=reject; {RUA}", ["ok-reject"]),
        (f"v=DMARC1; p=reject; t=y; {RUA}", ["testing"]),
        (f"v=DMARC1; p=quarantine; t=y; {RUA}", ["testing"]),
        (f"v=DMARC1; p=reject; pct=10; {RUA}", ["part"]),
        (f"v=DMARC1; p=reject; sp=none; {RUA}", ["subdomains"]),
        (f"v=DMARC1; p=reject; np=none; {RUA}", ["nonexistent"]),
        (f"v=DMARC1; p=reject; adkim=x; {RUA}", ["discarded"]),
        ("v=DMARC1; p=reject", ["unreported"]),
        ("v=DMARC1; p=reject; sp=none", ["subdomains", "unreported"]),
        ("v=DMARC1; p=reject; rua=mailto:a@silent.example", ["refused"]),
        ("v=DMARC1; p=reject; rua=mailto:a@gone.example", ["dead"]),
        ("v=DMARC1; p=reject; rua=mailto:a@reports.example", ["ok-reject"]),
        ("v=DMARC1; p=reject; rua=mailto:a@slow.example", ["unknown"]),
        ("SERVFAIL", ["unknown"]),
    ],
)
def test_codes(text: str | list[str], expected: list[str]) -> None:
    zone = {
        **HOSTS,
        "slow.example MX": "10 mx.slow.example",
        "d.example._report._dmarc.slow.example TXT": "SERVFAIL",
    }
    assert codes("dmarc", {**zone, "_dmarc.d.example TXT": text} if text else zone, FACTS) == expected


def test_a_record_at_the_wrong_place() -> None:
    assert codes("dmarc", {"d.example TXT": "v=DMARC1; p=reject"}, FACTS) == ["misplaced"]


def test_every_word_of_the_data_file_is_used() -> None:
    table = next(m for m in test_codes.pytestmark if m.name == "parametrize").args[1]  # type: ignore[attr-defined]
    used = {code for _, expected in table for code in expected} | {"misplaced"}
    assert used - {"unknown"} == loaded("dmarc").outcomes.keys()


def test_a_time_out_is_never_no_dmarc() -> None:
    [outcome] = outcomes("dmarc", {**HOSTS, "_dmarc.d.example TXT": "SERVFAIL"}, FACTS)
    assert outcome.unknown is not None
    assert outcome.unknown.cause is Cause.SERVFAIL


def test_the_record_of_the_organisation_is_named_where_it_counts() -> None:
    zone = {
        "_dmarc.d.example TXT": "v=DMARC1; p=none; rua=mailto:x@d.example",
        "d.example MX": "10 mx.d.example",
    }
    [outcome] = outcomes("dmarc", zone, Facts("mail.d.example", at=0))
    assert (outcome.code, outcome.values["at"]) == ("watching", "_dmarc.d.example")
    assert outcome.evidence[0].locator == "_dmarc.d.example TXT"


def test_sentences() -> None:
    zone = {**HOSTS, "_dmarc.d.example TXT": f"v=DMARC1; p=none; {RUA}"}
    assert sentences("dmarc", zone, FACTS) == [
        ("amber", "d.example only collects DMARC reports (policy none); forged mail still reaches people.")
    ]
