"""SND-001: which words a record gets."""

from __future__ import annotations

import pytest

from assess.core.sender.spf_cases import HOSTS, hosts, includes
from assess.one_check import codes, loaded, outcomes, sentences
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause

FACTS = Facts("d.example", at=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ([], ["missing"]),
        ("v=spf10 -all", ["lookalike"]),
        (["v=spf1 -all", "v=spf1 ~all"], ["several"]),
        ("v=spf1 ip4:x -all", ["broken"]),
        ("v=spf1 include:bad.example -all", ["syntax"]),
        (includes(8), ["ok"]),
        (includes(9), ["lookups-close"]),
        (includes(11), ["lookups"]),
        ("v=spf1 include:ring1.example -all", ["loop"]),
        ("v=spf1 include:nospf.example -all", ["include-nothing"]),
        ("v=spf1 include:nowhere.example -all", ["include-nothing"]),
        ("v=spf1 redirect=nowhere.example", ["include-nothing"]),
        ("v=spf1 include:twice.example -all", ["include-several"]),
        ("v=spf1 mx:many.example -all", ["exchangers"]),
        ("v=spf1 a:no1.example a:no2.example a:no3.example -all", ["voids"]),
        ("v=spf1 a:no1.example -all", ["void"]),
        ("v=spf1 +all", ["everybody"]),
        ("v=spf1 include:open.example ~all", ["everybody"]),
        ("v=spf1 redirect=open.example", ["everybody"]),
        ("v=spf1 ip4:10.0.0.0/8 -all", ["huge"]),
        ("v=spf1 ip4:10.0.0.0/10 -all", ["wide"]),
        ("v=spf1 mx ?all", ["neutral"]),
        ("v=spf1 mx", ["neutral"]),
        ("v=spf1 ptr -all", ["ptr"]),
        ("v=spf1 ptr ip4:10.0.0.0/8 ?all", ["huge", "neutral", "ptr"]),
        ("v=spf1 mx -all", ["ok"]),
        ("v=spf1 mx ~all", ["ok"]),
        ("v=spf1 -all", ["ok"]),
        ("v=spf1 include:good.example redirect=other.example", ["ok"]),
        ("SERVFAIL", ["unknown"]),
        ("v=spf1 include:servfail.example -all", ["unknown"]),
        ("v=spf1 include:servfail.example ?all", ["unknown"]),
        ("v=spf1 include:servfail.example ip4:10.0.0.0/8 -all", ["huge", "unknown"]),
        ("v=spf1 include:servfail.example include:nospf.example -all", ["include-nothing", "unknown"]),
    ],
)
def test_codes(text: str | list[str], expected: list[str]) -> None:
    assert codes("spf", {**HOSTS, "d.example TXT": text} if text else HOSTS, FACTS) == expected


def test_every_word_of_the_data_file_is_used() -> None:
    table = next(m for m in test_codes.pytestmark if m.name == "parametrize").args[1]  # type: ignore[attr-defined]
    assert {code for _, expected in table for code in expected} - {"unknown"} == loaded("spf").outcomes.keys()


def test_a_servfail_is_never_no_record() -> None:
    [outcome] = outcomes("spf", {**HOSTS, "d.example TXT": "SERVFAIL"}, FACTS)
    assert outcome.unknown is not None
    assert outcome.unknown.cause is Cause.SERVFAIL


def test_the_good_sentence_names_who_else_may_send() -> None:
    zone = {**HOSTS, "d.example TXT": "v=spf1 mx include:good.example include:other.example -all"}
    assert sentences("spf", zone, FACTS) == [
        (
            "green",
            "d.example has a working SPF record: 260 IPv4 addresses may send; "
            "services of others in it: good.example, other.example.",
        )
    ]


def test_too_many_look_ups_are_counted() -> None:
    [(light, sentence)] = sentences("spf", {**HOSTS, "d.example TXT": includes(12)}, FACTS)
    assert light == "red"
    assert "needs 12 look-ups" in sentence


def test_hostile_text_is_shown_in_one_line_only() -> None:
    zone = {**HOSTS, "d.example TXT": "v=spf1 {asset}\x1b[31m -all"}
    [(light, sentence)] = sentences("spf", zone, FACTS)
    assert light == "red"
    assert sentence.isprintable()
    assert "{asset}" in sentence


def test_counts_beyond_ten_are_still_told_with_hosts() -> None:
    assert codes("spf", {**HOSTS, "d.example TXT": hosts(11)}, FACTS) == ["lookups"]
