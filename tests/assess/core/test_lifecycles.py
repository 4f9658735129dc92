"""Which versions are looked after on a day, and the table that says so."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.lifecycles import Cycle, Lifecycle, Support, lifecycle, support
from gambeson.assess.core.versions import Interval, key
from gambeson.assess.edge.reference import reference

TABLE = Lifecycle(
    "thing",
    "Thing",
    (
        Cycle("3", "3.0"),
        Cycle("2", "2.0", "3.0", date(2026, 6, 30), date(2028, 6, 30)),
        Cycle("1", "1.0", "2.0", date(2024, 6, 30)),
    ),
)
TODAY = date(2026, 11, 24)


def exactly(version: str) -> Interval:
    return Interval(version, version)


@pytest.mark.parametrize(
    ("interval", "day", "expected", "names"),
    [
        (exactly("3.1"), TODAY, Support.SUPPORTED, ["3"]),
        (exactly("2.9.9"), TODAY, Support.EXTENDED, ["2"]),
        (exactly("2.0"), date(2026, 6, 30), Support.SUPPORTED, ["2"]),  # the last day counts
        (exactly("2.0"), date(2026, 7, 1), Support.EXTENDED, ["2"]),
        (exactly("2.0"), date(2028, 7, 1), Support.ENDED, ["2"]),
        (exactly("1.0"), TODAY, Support.ENDED, ["1"]),
        (exactly("1.10"), TODAY, Support.ENDED, ["1"]),  # not below 1.9
        (exactly("0.9"), TODAY, Support.UNLISTED, []),
        (Interval("2.0", "3.0"), TODAY, Support.EXTENDED, ["2"]),
        (Interval("2.5", "3.5"), TODAY, Support.INDETERMINATE, ["3", "2"]),
        (Interval("1.0", "2.0"), TODAY, Support.ENDED, ["1"]),
        (Interval("", "2.0"), TODAY, Support.ENDED, ["1"]),
        (Interval("3.0", ""), TODAY, Support.SUPPORTED, ["3"]),
        (Interval("", ""), TODAY, Support.INDETERMINATE, []),
    ],
)
def test_support(interval: Interval, day: date, expected: Support, names: list[str]) -> None:
    found, cycles = support(interval, TABLE, day)
    assert (found, [cycle.name for cycle in cycles]) == (expected, names)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4), st.lists(st.integers(0, 40), min_size=1, max_size=4)
)
def test_a_wider_interval_never_says_more(one: list[int], two: list[int]) -> None:
    """What is said of a version is said of every interval around it, or nothing certain is."""
    low, high = sorted((".".join(map(str, one)), ".".join(map(str, two))), key=key)
    narrow, _ = support(exactly(low), TABLE, TODAY)
    if key(low) < key(high):
        wide, _ = support(Interval(low, high), TABLE, TODAY)
        assert wide in (narrow, Support.INDETERMINATE) or narrow is Support.UNLISTED


@pytest.mark.parametrize(
    "data", [{}, {"title": "T"}, {"title": "T", "cycle": [{"name": "1"}]}, {"title": "T", "cycle": 3}]
)
def test_a_wrong_table_is_no_table(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        lifecycle("thing", data)


TABLES = reference().lifecycles


@pytest.mark.parametrize("table", TABLES, ids=[table.component for table in TABLES])
def test_the_table_holds_together(table: Lifecycle) -> None:
    assert table.title
    assert table.cycles
    for cycle in table.cycles:
        assert not cycle.high or key(cycle.low) < key(cycle.high), cycle
        assert cycle.extended is None or (cycle.end is not None and cycle.end <= cycle.extended), cycle
    for one in table.cycles:
        for two in table.cycles:
            if one is not two and one.high and two.high:
                apart = key(one.high) <= key(two.low) or key(two.high) <= key(one.low)
                assert apart, (one, two)
    found, _ = support(exactly(table.cycles[0].low), table, TODAY)
    assert found is not Support.UNLISTED
