"""SPF: what receivers make of a record, and how many may send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assess.core.sender.spf_cases import CASES, ENDS, HOSTS, TERMS, at_domain, judged, verdict
from assess.dns_zone import Zone
from gambeson.assess.core.dns import DnsState, Question, WantedError
from gambeson.assess.core.sender import spf
from gambeson.assess.core.sender.ask import Found


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[str(text) for text, _ in CASES])
def test_verdict(text: str | list[str], expected: str) -> None:
    assert verdict(judged(at_domain(text))) == expected


#: terms, the networks that may send, and the sign for all others
FLAT = [
    ("-all", [], "-"),
    ("", [], ""),
    ("a -all", ["192.0.2.1/32"], "-"),
    ("a/24 ~all", ["192.0.2.0/24"], "~"),
    ("mx -all", ["192.0.2.11/32", "192.0.2.12/32", "2001:db8::11/128"], "-"),
    ("mx//64 -all", ["192.0.2.11/32", "192.0.2.12/32", "2001:db8::/64"], "-"),
    ("ip4:192.0.2.0/25 ip4:192.0.2.128/25 -all", ["192.0.2.0/24"], "-"),
    ("ip4:192.0.2.0/24 ip4:192.0.2.7 -all", ["192.0.2.0/24"], "-"),
    ("-ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all", ["192.0.2.128/25"], "-"),
    ("~a ip4:192.0.2.0/31 -all", ["192.0.2.0/32"], "-"),
    ("include:good.example ?all", ["203.0.113.0/24"], "?"),
    ("include:other.example -all", ["198.51.100.1/32", "198.51.100.2/32"], "-"),
    ("-include:good.example ip4:203.0.113.0/24 -all", [], "-"),
    ("?include:good.example -all", [], "-"),
    ("redirect=good.example", ["203.0.113.0/24"], "-"),
    ("ip4:192.0.2.9 redirect=other.example", ["192.0.2.9/32", "198.51.100.1/32", "198.51.100.2/32"], "~"),
    ("exists:%{i}.d.example -all", [], "-"),
    ("-all +all", [], "-"),
]


@pytest.mark.parametrize(("terms", "networks", "rest"), FLAT)
def test_flattened(terms: str, networks: list[str], rest: str) -> None:
    report = judged(at_domain(f"v=spf1 {terms}"))
    assert (list(report.networks), report.rest) == (networks, rest)


@pytest.mark.parametrize(
    ("terms", "width"),
    [
        ("ip4:192.0.2.0/24 -all", ""),
        ("ip4:10.0.0.0/12 -all", ""),
        ("ip4:10.0.0.0/11 -all", "wide"),
        ("ip4:10.0.0.0/8 -all", "huge"),
        ("ip4:10.0.0.0/9 ip4:10.128.0.0/9 -all", "huge"),
        ("ip6:2001::/16 -all", "huge"),
        ("ip6:2001:d00::/24 -all", "wide"),
        ("ip6:2001:db8::/32 -all", ""),
        ("+all", "everybody"),
        ("ip4:0.0.0.0/0 -all", "everybody"),
        ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", "everybody"),
        ("include:open.example -all", "everybody"),
        ("exists:v4.d.example -all", "everybody"),
        ("-ip4:0.0.0.0/0 -ip6:::/0 +all", ""),
    ],
)
def test_how_many_may_send(terms: str, width: str) -> None:
    report = judged(at_domain(f"v=spf1 {terms}"))
    word = "everybody" if report.everybody else "huge" if report.huge else "wide" if report.wide else ""
    assert word == width


def test_third_parties_are_named_and_their_own_are_not() -> None:
    report = judged(
        {
            "d.example TXT": "v=spf1 a include:_spf.d.example include:mail.provider.test -all",
            "_spf.d.example TXT": "v=spf1 mx:relay.other.test -all",
            "mail.provider.test TXT": "v=spf1 include:inner.provider.test include:deep.elsewhere.test -all",
            "inner.provider.test TXT": "v=spf1 -all",
            "deep.elsewhere.test TXT": "v=spf1 -all",
        }
    )
    assert report.third_parties == ("relay.other.test", "mail.provider.test")
    assert "inner.provider.test" in report.included


def test_all_questions_of_a_level_come_at_once() -> None:
    text = Zone({"d.example TXT": "v=spf1 a mx include:x.test include:y.test -all"}).answer(
        Question("d.example", "TXT")
    )
    with pytest.raises(WantedError) as wanted:
        spf.report("d.example", {text.question: text})
    assert {f"{q.name} {q.type}" for q in wanted.value.questions} == {
        "d.example A", "d.example AAAA", "d.example MX", "x.test TXT", "y.test TXT",
    }  # fmt: skip


def test_what_has_not_answered_is_never_no_record() -> None:
    report = judged(at_domain("SERVFAIL"))
    assert report.found is Found.UNKNOWN
    assert report.unknown is not None
    half = judged(at_domain("v=spf1 include:servfail.example ip4:192.0.2.1 -all"))
    assert [question.name for question, _ in half.unknowns] == ["servfail.example"]
    assert not half.problems
    assert half.networks == ("192.0.2.1/32",)


def test_a_mistake_that_is_certain_counts_though_something_is_unknown() -> None:
    report = judged(at_domain("v=spf1 include:servfail.example include:nospf.example -all"))
    assert [problem.code for problem in report.problems] == ["include-nothing"]
    assert report.unknowns


def test_a_hostile_zone_is_left_after_some_terms() -> None:
    tree = {
        f"n{n}.test TXT": "v=spf1 " + " ".join(f"include:n{n * 40 + i}.test" for i in range(40)) + " -all"
        for n in range(200)
    }
    zone = Zone({**tree, "d.example TXT": "v=spf1 include:n1.test mx:many.example -all", **HOSTS})
    report = zone.settle(lambda answers: spf.report("d.example", answers), most=300)
    assert report.more
    assert report.lookups <= 200
    assert "lookups" in [problem.code for problem in report.problems]


@pytest.mark.parametrize(
    "text", ["v=spf10 -all", ' "v=spf1 -all"', " v=spf1 -all", "v=spf1;-all", "spf2.0/pra -all"]
)
def test_lookalikes_are_shown(text: str) -> None:
    assert judged(at_domain(text)).lookalikes == (text,)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from([*TERMS, *ENDS, "include:d.example", "include:%{d}", "redirect=%{o}"]), max_size=14
    )
)
def test_any_terms_end_and_are_bounded(terms: list[str]) -> None:
    zone = Zone({**HOSTS, "d.example TXT": " ".join(["v=spf1", *terms])})
    report = zone.settle(lambda answers: spf.report("d.example", answers), most=400)
    assert len(report.networks) <= 500
    assert zone.answer(Question("d.example", "TXT")).state is DnsState.RECORDS
