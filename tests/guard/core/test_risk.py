"""The risk of a sign-in, as a table, and what it promises."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from gambeson.guard.core.risk import (
    GUESSES,
    HIGH,
    MOST_WITHOUT_COUNTRIES,
    TRAVEL,
    WEIGHTS,
    Risk,
    Signals,
    assess,
    needs_countries,
)
from gambeson.model.decision import Opinion
from gambeson.model.rule import PolicyRule

DE = frozenset({"DE"})
HOME = {"country": "DE", "countries": DE, "last_country": "DE", "used_in": "DE", "used_ago": 60.0}


def signals(known=True, **values) -> Signals:
    return Signals(known_network=known, **values)


TABLE = [
    ("the usual", signals(), 0, ()),
    ("the usual, with countries", signals(**HOME), 0, ()),
    ("another network", signals(False, **HOME), 15, ("new-network",)),
    (
        "the very first sign-in",
        signals(False, first_use=True, country="DE"),
        25,
        ("new-network", "first-use"),
    ),
    ("a new country", signals(**HOME | {"country": "US", "used_ago": 1e6}), 30, ("new-country",)),
    (
        "a known country, not the last",
        signals(country="FR", countries=DE | {"FR"}, last_country="DE"),
        10,
        ("other-country",),
    ),
    ("a few slips", signals(failures=GUESSES - 1), 0, ()),
    ("guessing", signals(failures=GUESSES), 10, ("guessed-at",)),
    (
        "a stolen secret abroad",
        signals(False, **HOME | {"country": "US"}),
        90,
        ("new-network", "new-country", "impossible-travel"),
    ),
    (
        "two hours later a plane could have been",
        signals(False, **HOME | {"country": "US", "used_ago": TRAVEL}),
        45,
        ("new-network", "new-country"),
    ),
    ("the country is not known", signals(**HOME | {"country": ""}), 0, ()),
    ("the clock was set back", signals(**HOME | {"used_ago": -50.0}), 0, ()),
    (
        "all of it",
        signals(False, first_use=True, failures=99, **HOME | {"country": "US"}),
        100,
        ("new-network", "new-country", "first-use", "guessed-at", "impossible-travel"),
    ),
]


@pytest.mark.parametrize(("what", "given", "score", "reasons"), TABLE, ids=[row[0] for row in TABLE])
def test_the_table(what, given, score, reasons):
    assert assess(given) == Risk(score, reasons)


def every_case():
    for known, first, failures, country, countries, last, used_in in product(
        (True, False),
        (True, False),
        (0, GUESSES, 10**6),
        ("", "DE", "US"),
        (frozenset(), DE, DE | {"US"}),
        ("", "DE", "US"),
        ("", "DE", "US"),
    ):
        yield Signals(known, failures, first, country, countries, last, used_in, 60.0)


def test_guessing_alone_makes_nothing_high():
    """What a stranger can cause never takes somebody over the threshold who is below it without impossible travel."""
    for case in every_case():
        risk = assess(case)
        if "impossible-travel" not in risk.reasons:
            assert risk.score < HIGH, (case, risk)


def test_the_score_is_the_capped_sum_of_the_reasons():
    for case in every_case():
        risk = assess(case)
        assert risk.score == min(100, sum(WEIGHTS[each][0] for each in risk.reasons))
        assert list(risk.reasons) == [each for each in WEIGHTS if each in risk.reasons]


def test_without_countries_the_risk_ends_where_it_says():
    scores = {assess(case).score for case in every_case() if not case.country}
    assert max(scores) == MOST_WITHOUT_COUNTRIES


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ({}, False),
        ({"countries": ("DE",)}, True),
        ({"risk_at_least": MOST_WITHOUT_COUNTRIES}, False),
        ({"risk_at_least": MOST_WITHOUT_COUNTRIES + 1}, True),
        ({"risk_at_least": 0}, False),
    ],
)
def test_which_rules_need_a_country_table(rule, needs):
    assert needs_countries(PolicyRule("a", Opinion.DENY, **rule)) is needs


def test_the_document_shows_this_table():
    text = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
    shown = {m[1]: int(m[2]) for m in re.finditer(r"^\| `([a-z-]+)` \| (\d+) \|", text, re.MULTILINE)}
    assert shown == {word: weight for word, (weight, _) in WEIGHTS.items()}
    assert f"at most {MOST_WITHOUT_COUNTRIES}" in text
