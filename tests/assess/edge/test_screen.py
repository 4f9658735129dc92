"""The answer on a terminal: it fits, nothing is left out unsaid, and colours are only colours."""

from __future__ import annotations

import re

import pytest

from assess.weak_domain import NAMES, judged, weak
from gambeson.assess.core.check import Check, Light, Outcome, Text
from gambeson.assess.core.evaluate import evaluate
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.report import Report, report
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.edge.screen import screen
from gambeson.model.finding import Severity

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def typical() -> Report:
    return weak()


def words(text: str) -> str:
    """The words alone, however they are wrapped."""
    return " ".join(text.replace("->", " ").split())


@pytest.mark.parametrize(("width", "height"), [(80, 50), (80, 60), (100, 45), (110, 40), (200, 50)])
def test_a_bad_answer_fits_one_screen(typical: Report, width: int, height: int) -> None:
    text = screen(typical, width=width, height=height)
    assert len(text.splitlines()) < height  # one row is the prompt's
    assert max(map(len, text.splitlines())) <= min(width, 110)
    assert "--all" in text


def test_nothing_is_left_out_unsaid(typical: Report) -> None:
    text = words(screen(typical, width=80, height=50))
    for line in typical.lines:
        assert words(line.sentence) in text or line.check.title in text
    assert words(typical.lines[0].step) in text
    for sentence in typical.sentences:
        assert words(sentence) in text
    assert "DNSSEC: signed answers (there was no way to it from here)" in text  # the reason stays
    assert "9 red, 14 amber, 9 green, 2 unknown" in text


def test_without_a_height_everything_is_said_whole(typical: Report) -> None:
    text = words(screen(typical))
    for line in typical.lines:
        if line.light is not Light.GREEN:
            assert words(line.sentence) in text
            assert words(line.step) in text
    assert "--all" not in text
    assert "Also:" not in text


def test_the_worst_comes_first_and_low_terminals_still_say_three(typical: Report) -> None:
    text = screen(typical, width=80, height=5)
    assert len(re.findall(r"^RED    (?!Also)", text, re.MULTILINE)) == 3
    assert text.index("mail doors offer") < text.index("Exchange's remote control")


def test_a_higher_terminal_says_more(typical: Report) -> None:
    said = [screen(typical, height=height).count("->") for height in (30, 50, 70, 200)]
    assert said == sorted(said)
    assert said[0] < said[1] < said[2] < said[3] == sum(bool(line.step) for line in typical.lines)


def test_colour_changes_no_letter(typical: Report) -> None:
    for height in (None, 50):
        plain, coloured = screen(typical, height=height), screen(typical, height=height, colour=True)
        assert "\x1b" not in plain
        assert COLOURS.sub("", coloured) == plain
        assert coloured != plain


@pytest.mark.parametrize("width", [1, 20, 40, 63])
def test_narrow_terminals_wrap(typical: Report, width: int) -> None:
    assert max(map(len, screen(typical, width=width, height=50).splitlines())) <= max(width, 40)


def test_a_good_answer_is_short() -> None:
    good = Check(
        "ID", "n", "Doors", "?", "access", {"ok": Text(Light.GREEN, Severity.INFO, "Fine.")},
        run=lambda facts: [Outcome("ok", "a")],
    )  # fmt: skip
    facts = Facts("example.org", 0.0, probed=True)
    text = screen(report(facts, evaluate(facts, [good])), height=24)
    assert "green  Doors." in text
    assert "0 red, 0 amber, 1 green, 0 unknown" in text
    assert len(text.splitlines()) < 12


def test_without_consent_it_says_so_once() -> None:
    text = words(screen(judged(NAMES, Facts("example.org", 1.795e9)), height=60))
    assert text.count("because nobody agreed to it") == 1


def test_unknown_is_never_shown_without_its_reason() -> None:
    lost = Check(
        "ID", "n", "Doors", "?", "access", {},
        run=lambda facts: [Outcome("unknown", str(cause), unknown=Unknown(cause)) for cause in Cause],
    )  # fmt: skip
    facts = Facts("example.org", 0.0, probed=True)
    for height in (None, 10):
        text = words(screen(report(facts, evaluate(facts, [lost])), height=height))
        for reason in ("no answer came in time", "the server asked us to stop", "the check itself failed"):
            assert reason in text
