"""Builds of Exchange as the checks judge them: exploited flaws, updates that are missing, end of support."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from assess.core.checks.web_facts import codes, facts, lines, page
from gambeson.assess.core.check import Light
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.evaluate import evaluate
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.fingerprints import observe
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.reference import reference


def build(*versions: str) -> Facts:
    return facts(*(page("owa", 200, x_owa_version=version) for version in versions))


def cumulative(version: str) -> Facts:
    return facts(page("owa", 200, f'<img src="/owa/auth/{version}/themes/x.png">'.encode()))


@pytest.mark.parametrize(
    ("found", "exploited", "update", "support"),
    [
        (build("15.1.2176.2"), {"open"}, {"old"}, {"ended"}),
        (build("15.2.1748.43"), {"one", "setting"}, {"behind"}, {"ended"}),
        (build("15.2.2562.46"), {"setting", "closed"}, {"newest"}, {"supported"}),
        (build("15.0.1497.48"), {"unmended"}, set(), {"ended"}),
        (cumulative("15.2.2562"), {"perhaps", "setting"}, {"perhaps"}, {"supported"}),
        (cumulative("15.2.1748"), {"perhaps", "setting"}, {"perhaps"}, {"ended"}),
        (cumulative("15.1.2106"), {"open", "perhaps"}, {"old"}, {"ended"}),
        (build("15.2.9999.1"), {"setting", "closed"}, {"unlisted"}, {"supported"}),
        (facts(page("owa", 302, x_feserver="EX1")), {"unseen"}, set(), set()),
        (facts(page("owa", 404)), set(), set(), set()),
        (
            build("15.1.2176.2", "15.2.2562.46"),
            {"open", "setting", "closed"},
            {"mixed"},
            {"ended", "supported"},
        ),
    ],
)
def test_a_build(found: Facts, exploited: set[str], update: set[str], support: set[str]) -> None:
    assert codes("known_exploited", found) == exploited
    assert codes("exchange_build", found) == update
    assert codes("end_of_life", found) == support


def test_the_sentence_says_what_since_when_and_what_to_do() -> None:
    (line,) = lines("known_exploited", build("15.1.2176.2"))
    assert "CVE-2021-26855, ProxyLogon" in line.sentence
    assert "since 2021-01-03" in line.sentence
    assert line.step.startswith("Look for an intruder")
    assert "Exchange 2016 CU23" in line.step


def test_paid_support_is_neither_good_nor_ended() -> None:
    at = datetime(2026, 10, 20, tzinfo=UTC).timestamp()
    found = facts(page("owa", 200, x_owa_version="15.2.1748.49"), at=at)
    assert codes("end_of_life", found) == {"extended"}


@pytest.mark.parametrize(
    ("banner", "expected"),
    [
        ("mx ESMTP Exim 4.92 Tue", {"upstream"}),  # a distribution may still mend it
        ("mx ESMTP Exim 4.99.1 Tue", {"supported"}),
        ("mx ESMTP Postfix (3.4.14)", {"upstream"}),
        ("mx ESMTP Postfix", set()),
    ],
)
def test_what_a_distribution_may_mend_is_not_called_ended(banner: str, expected: set[str]) -> None:
    door = DoorFacts("mx", "192.0.2.1", 25, Protocol.SMTP, PortState.OPEN, banner=banner)
    tables = reference()
    found = Facts(
        "example.org", 1_795_000_000.0, software=observe([door], [], tables.fingerprints), reference=tables
    )
    assert codes("end_of_life", found) == expected


def test_every_check_holds_its_own_words() -> None:
    """Red is high or critical and has a step; every sentence is one, with places that no text leaves open."""
    for check in all_checks():
        for code, text in check.outcomes.items():
            assert text.sentence[0].isupper() or text.sentence[0] in "{0123456789", (check.name, code)
            assert text.light in Light
            assert "  " not in text.sentence
    empty = Facts("example.org", 0.0)
    assert {line.light for line in evaluate(empty, all_checks())} <= {Light.UNKNOWN, Light.GREEN, Light.AMBER}
