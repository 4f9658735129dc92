"""DMARC: which policy holds, whose record it is, and whether reports arrive."""

from __future__ import annotations

import pytest

from assess.core.sender.dmarc_cases import CASES, HOSTS, WALKS, Zone, judged, verdict
from gambeson.assess.core.dns import Question, WantedError
from gambeson.assess.core.sender import dmarc
from gambeson.assess.core.sender.ask import Found


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[str(text) for text, _ in CASES])
def test_verdict(text: str | list[str], expected: str) -> None:
    assert verdict(judged({**HOSTS, "_dmarc.d.example TXT": text} if text else HOSTS)) == expected


@pytest.mark.parametrize(("domain", "zone", "expected"), WALKS)
def test_walk_up_the_tree(domain: str, zone: Zone, expected: tuple[str, str, str]) -> None:
    report = judged(zone, domain)
    assert (report.policy or report.found.value, report.at, report.organisation) == expected


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("d.example", ["d.example", "example"]),
        ("a.b.c.d.e.f.g", ["a.b.c.d.e.f.g", "b.c.d.e.f.g", "c.d.e.f.g", "d.e.f.g", "e.f.g", "f.g", "g"]),
        (
            "1.2.3.a.b.c.d.e.f.g",
            ["1.2.3.a.b.c.d.e.f.g", "a.b.c.d.e.f.g", "b.c.d.e.f.g", "c.d.e.f.g", "d.e.f.g", "e.f.g", "f.g", "g"],
        ),
        (
            "1.a.b.c.d.e.f.g",
            ["1.a.b.c.d.e.f.g", "a.b.c.d.e.f.g", "b.c.d.e.f.g", "c.d.e.f.g", "d.e.f.g", "e.f.g", "f.g", "g"],
        ),
        ("example", ["example"]),
    ],
)  # fmt: skip
def test_at_most_eight_questions(domain: str, names: list[str]) -> None:
    assert list(dmarc.names(domain)) == names
    with pytest.raises(WantedError) as wanted:
        dmarc.report(domain, {})
    assert [q.name for q in wanted.value.questions] == [f"_dmarc.{name}" for name in names]


@pytest.mark.parametrize(
    ("text", "three"),
    [
        ("v=DMARC1; p=reject", ("reject", "reject", "reject")),
        ("v=DMARC1; p=reject; sp=none", ("reject", "none", "none")),
        ("v=DMARC1; p=none; sp=reject", ("none", "reject", "reject")),
        ("v=DMARC1; p=none; np=reject", ("none", "none", "reject")),
        ("v=DMARC1; p=reject; sp=quarantine; np=none", ("reject", "quarantine", "none")),
        ("v=DMARC1; p=reject; sp=quarantine; t=y", ("quarantine", "none", "none")),
    ],
)
def test_policies_for_domain_subdomains_and_what_does_not_exist(
    text: str, three: tuple[str, str, str]
) -> None:
    report = judged({**HOSTS, "_dmarc.d.example TXT": text})
    assert (report.policy, report.subdomains, report.nonexistent) == three


@pytest.mark.parametrize(
    ("address", "permitted", "dead"),
    [
        ("a@d.example", True, False),
        ("a@reports.example", True, False),
        ("a@star.example", True, False),
        ("a@silent.example", False, False),
        ("a@gone.example", False, True),
        ("a@null.example", False, True),
        ("a@slow.example", None, False),
    ],
)
def test_reports_to_others_need_their_consent(address: str, permitted: bool | None, dead: bool) -> None:
    zone = {
        **HOSTS,
        "_dmarc.d.example TXT": f"v=DMARC1; p=reject; rua=mailto:{address}",
        "null.example MX": "0 .",
        "slow.example MX": "10 mx.slow.example",
        "d.example._report._dmarc.slow.example TXT": "SERVFAIL",
    }
    [destination] = judged(zone).destinations
    assert destination.dead is dead
    if not dead:
        assert destination.permitted is permitted


def test_reports_to_a_sister_of_the_same_organisation_need_no_consent() -> None:
    zone = {
        "_dmarc.a.corp.test TXT": "v=DMARC1; p=reject; rua=mailto:x@b.corp.test",
        "_dmarc.corp.test TXT": "v=DMARC1; p=reject",
        "b.corp.test MX": "10 mx.corp.test",
    }
    [destination] = judged(zone, "a.corp.test").destinations
    assert destination.permitted is True


def test_a_record_above_that_did_not_answer_leaves_all_unknown() -> None:
    report = judged({"x.d.example A": "192.0.2.1", "_dmarc.d.example TXT": "SERVFAIL"}, "x.d.example")
    assert report.found is Found.UNKNOWN
    assert report.unknown is not None


def test_a_record_of_its_own_holds_though_the_tree_above_is_silent() -> None:
    zone = {"_dmarc.x.d.example TXT": "v=DMARC1; p=reject", "_dmarc.d.example TXT": "SERVFAIL"}
    assert judged(zone, "x.d.example").policy == "reject"


def test_a_record_at_the_wrong_place_is_seen() -> None:
    report = judged({"d.example TXT": ["v=spf1 -all", "v=DMARC1; p=reject"]})
    assert (report.found, report.misplaced) == (Found.NOTHING, "v=DMARC1; p=reject")


def test_only_a_few_destinations_are_asked() -> None:
    addresses = ",".join(f"mailto:a@r{n}.test" for n in range(20))
    zone = {**HOSTS, "_dmarc.d.example TXT": f"v=DMARC1; p=reject; rua={addresses}"}
    assert len(judged(zone).destinations) == dmarc.MAX_DESTINATIONS


def test_questions_are_for_text_records_only() -> None:
    with pytest.raises(WantedError) as wanted:
        dmarc.walk("d.example", {})
    assert wanted.value.questions == (Question("_dmarc.d.example", "TXT"), Question("_dmarc.example", "TXT"))


def test_a_consent_whose_name_would_be_too_long_is_none() -> None:
    long = ".".join(["x" * 60] * 4)
    zone = {
        **HOSTS,
        "_dmarc.d.example TXT": f"v=DMARC1; p=reject; rua=mailto:a@{long}",
        f"{long} MX": "10 mx.d.example",
    }
    [destination] = judged(zone).destinations
    assert destination.permitted is False


def test_a_domain_below_that_is_an_organisation_of_its_own_must_consent() -> None:
    zone = {
        "_dmarc.corp.test TXT": "v=DMARC1; p=reject; rua=mailto:x@b.corp.test",
        "_dmarc.b.corp.test TXT": "v=DMARC1; p=reject; psd=n",
        "b.corp.test MX": "10 mx.corp.test",
    }
    [destination] = judged(zone, "corp.test").destinations
    assert destination.permitted is False
    consent = {"corp.test._report._dmarc.b.corp.test TXT": "v=DMARC1"}
    [destination] = judged({**zone, **consent}, "corp.test").destinations
    assert destination.permitted is True
