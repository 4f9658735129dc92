"""Facts and checks made lines: order, grouping, what is not known, hostile values, checks that break."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.check import Check, Light, Outcome, Text
from gambeson.assess.core.dns import Question, WantedError, known
from gambeson.assess.core.evaluate import MAX_ASSETS, evaluate, filled, named, wanted
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Severity

FACTS = Facts("example.org", 0.0)
TEXTS = {
    "bad": Text(Light.RED, Severity.HIGH, "{asset} is bad: {what}.", "Mend {asset}.", "{assets} are bad."),
    "poor": Text(Light.AMBER, Severity.LOW, "{asset} is poor.", "Improve {asset}."),
    "good": Text(Light.GREEN, Severity.INFO, "{asset} is good."),
    "none": Text(Light.NOTHING, Severity.INFO, "Nothing here."),
}


def check(run: Callable[[Facts], Iterable[Outcome]], name: str = "one", points: int = 3) -> Check:
    return Check(name.upper(), name, "Title", "Question?", "access", TEXTS, points, run=run)


def of(*outcomes: Outcome) -> Check:
    return check(lambda facts: outcomes)


def test_several_assets_share_a_line() -> None:
    (line,) = evaluate(FACTS, [of(*(Outcome("bad", f"host{n}") for n in range(6)))])
    assert line.sentence == "host0, host1, host2, host3 and 2 more are bad."
    assert len(line.assets) == 6


def test_a_good_half_is_no_line_of_its_own() -> None:
    lines = evaluate(FACTS, [of(Outcome("good", "a"), Outcome("poor", "b"))])
    assert [line.code for line in lines] == ["poor"]
    assert [line.code for line in evaluate(FACTS, [of(Outcome("good", "a"))])] == ["good"]


def test_what_does_not_apply_is_no_line() -> None:
    assert evaluate(FACTS, [of(Outcome("none", "a"))]) == ()


def test_the_worst_comes_first() -> None:
    lines = evaluate(
        FACTS,
        [
            of(Outcome("good", "a")),
            of(Outcome("unknown", "b", unknown=Unknown(Cause.TIMEOUT))),
            check(lambda facts: [Outcome("poor", "c")], "light", 1),
            check(lambda facts: [Outcome("poor", "d")], "heavy", 10),
            of(Outcome("bad", "e")),
        ],
    )
    assert [line.assets[0] for line in lines] == ["e", "d", "c", "b", "a"]


def test_each_cause_is_said_apart() -> None:
    outcomes = [Outcome("unknown", "a", unknown=Unknown(Cause.TIMEOUT, "no answer in 3 s")),
                Outcome("unknown", "b", unknown=Unknown(Cause.BOGUS))]  # fmt: skip
    lines = evaluate(FACTS, [of(*outcomes)])
    assert [line.sentence for line in lines] == [
        "Title: not known, because no answer came in time (no answer in 3 s).",
        "Title: not known, because the answer's signature does not hold.",
    ]


def test_a_check_that_breaks_says_so_and_takes_none_with_it() -> None:
    def broken(facts: Facts) -> Iterable[Outcome]:
        yield Outcome("poor", "a")
        raise RuntimeError("boom")

    lines = evaluate(FACTS, [check(broken), of(Outcome("good", "z"))])
    assert [(line.light, line.assets) for line in lines] == [
        (Light.AMBER, ("a",)),
        (Light.UNKNOWN, ("example.org",)),
        (Light.GREEN, ("z",)),
    ]
    assert "the check itself failed" in lines[1].sentence


def test_an_answer_that_nobody_gave_is_wanted_and_then_unknown() -> None:
    def asks(facts: Facts) -> Iterable[Outcome]:
        known(facts.answers, "example.org", "MX")
        yield Outcome("good", "a")

    assert wanted(FACTS, [check(asks)]) == {Question("example.org", "MX")}
    (line,) = evaluate(FACTS, [check(asks)])
    assert line.light is Light.UNKNOWN
    late = Facts("example.org", 0.0, unfinished=("mail:25",))
    (line,) = evaluate(late, [check(asks)])
    assert "the time of this look was over" in line.sentence


def test_a_code_that_the_file_does_not_know_is_a_defect() -> None:
    with pytest.raises(ValueError, match="has no outcome strange"):
        evaluate(FACTS, [of(Outcome("strange", "a"))])


def test_endless_outcomes_end() -> None:
    def endless(facts: Facts) -> Iterable[Outcome]:
        while True:
            yield Outcome("bad", "a")

    (line,) = evaluate(FACTS, [check(endless)])
    assert len(line.outcomes) == MAX_ASSETS


@given(st.text(max_size=80), st.text(max_size=80))
def test_values_are_never_formats_and_always_printable(asset: str, what: str) -> None:
    (line,) = evaluate(FACTS, [of(Outcome("bad", asset, {"what": what}))])
    assert line.sentence.isprintable()
    (two,) = evaluate(FACTS, [of(Outcome("bad", "{what.__class__}", {"what": "{asset}"}))])
    assert two.sentence == "{what.__class__} is bad: {asset}."


def test_a_place_without_a_value_stays_empty() -> None:
    assert filled("a {missing} b", {}) == "a  b"


def test_names_are_counted() -> None:
    assert named(["a"]) == "a"
    assert named(["a", "b"]) == "a and b"
    assert named(["a", "b", "c", "d", "e"]) == "a, b, c, d and 1 more"


def test_a_question_that_is_not_answered_raises_with_it() -> None:
    with pytest.raises(WantedError) as raised:
        known({}, "Example.ORG.", "MX")
    assert raised.value.questions == (Question("example.org", "MX"),)
