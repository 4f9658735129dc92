"""Intervals of versions: what one observation bounds, what two allow together, and what contradicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.software import Observation
from gambeson.assess.core.versions import Interval, key, meet, together

VERSIONS = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
INTERVALS = st.one_of(
    VERSIONS.map(lambda v: Interval(v, v)),
    st.tuples(VERSIONS, VERSIONS).map(lambda p: Interval(*sorted(p, key=key))),
    VERSIONS.map(lambda v: Interval(v, "")),
    VERSIONS.map(lambda v: Interval("", v)),
    st.just(Interval()),
)


@given(INTERVALS, INTERVALS, VERSIONS)
def test_what_both_allow_is_what_their_meeting_allows(one: Interval, other: Interval, version: str) -> None:
    met = meet(one, other)
    both = one.has(version) and other.has(version)
    assert both == (met is not None and met.has(version))


@given(INTERVALS, INTERVALS)
def test_the_order_of_seeing_does_not_matter(one: Interval, other: Interval) -> None:
    first, second = meet(one, other), meet(other, one)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (key(first.low), key(first.high)) == (key(second.low), key(second.high))


@given(st.text(max_size=200))
def test_any_text_has_a_key(text: str) -> None:
    assert len(key(text)) <= 12


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval("4.96", "4.96"), "4.96"),
        (Interval("15.1.2507", "15.1.2508"), "15.1.2507 up to (not with) 15.1.2508"),
        (Interval("2.3", ""), "2.3 or newer"),
        (Interval("", "2.3"), "older than 2.3"),
        (Interval(), "any version"),
    ],
)
def test_an_interval_in_words(interval: Interval, words: str) -> None:
    assert str(interval) == words


def test_two_that_cannot_be_one_server_are_a_conflict() -> None:
    seen = [
        Observation("exchange", "mail.example.org", "15.1.2507.6", "15.1.2507.6"),
        Observation("exchange", "mail.example.org", "15.2.1748", "15.2.1749"),
        Observation("postfix", "mail.example.org"),
    ]
    exchange, postfix = together(seen)
    assert exchange.conflict
    assert exchange.interval.has("15.1.2507.6")
    assert not postfix.conflict


def test_bounds_close_in() -> None:
    seen = [
        Observation("exchange", "m", "15.1.2507", "15.1.2508"),
        Observation("exchange", "m", "15.1.2507.20"),
        Observation("exchange", "m"),
    ]
    (known,) = together(seen)
    assert known.interval == Interval("15.1.2507.20", "15.1.2508")
