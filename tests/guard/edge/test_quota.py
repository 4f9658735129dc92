"""The sliding hour."""

from __future__ import annotations

import pytest

from gambeson.guard.edge.quota import HourlyQuota

NOON = 1_800_000_000.0


def test_the_hour_slides() -> None:
    quota = HourlyQuota()
    assert [quota.take({"a": (1, 3)}, NOON + n * 600) for n in range(5)] == ["", "", "", "a", "a"]
    assert quota.take({"a": (1, 3)}, NOON + 3660) == ""  # the first is an hour old
    assert quota.take({"a": (1, 3)}, NOON + 3660) == "a"


def test_all_or_nothing_over_several_keys() -> None:
    quota = HourlyQuota()
    assert quota.take({"account": (5, 10), "device": (1, 1)}, NOON) == ""
    assert quota.take({"account": (5, 10), "device": (1, 1)}, NOON) == "device"
    assert quota.used("account", NOON) == 5


def test_more_than_the_limit_at_once_never_fits_and_zero_is_no_limit() -> None:
    quota = HourlyQuota()
    assert quota.take({"a": (11, 10)}, NOON) == "a"
    assert quota.take({"a": (11, 0)}, NOON) == ""


def test_a_clock_set_back_blocks_nobody() -> None:
    quota = HourlyQuota()
    assert quota.take({"a": (1, 1)}, NOON + 86400) == ""
    assert quota.take({"a": (1, 1)}, NOON) == ""


def test_silent_keys_are_forgotten() -> None:
    quota = HourlyQuota()
    for n in range(5000):
        quota.take({f"k{n}": (1, 5)}, NOON + n)
    assert len(quota._counts) < 5000


def test_counters_go_on_in_the_next_process():
    first, second = HourlyQuota(), HourlyQuota()
    first.take({"a": (2, 3)}, NOON)
    second.load(first.dump(), NOON + 60)
    assert second.take({"a": (2, 3)}, NOON + 60) == "a"
    assert second.take({"a": (1, 3)}, NOON + 60) == ""
    assert second.used("a", NOON + 3600) == 1  # what came over ages as it did before


@pytest.mark.parametrize("lie", [None, [], {"a": 3}, {"a": {"x": "y"}}, {"a": [1]}])
def test_what_is_no_counter_is_not_taken(lie):
    with pytest.raises((TypeError, ValueError)):
        HourlyQuota().load(lie, NOON)


def test_counters_from_the_future_count_as_of_now_and_old_ones_not_at_all():
    """A clock that was set back between two processes opens no limit, and closes none for more than an hour."""
    quota = HourlyQuota()
    quota.load({"a": {int(NOON / 60) + 5: 100, int(NOON / 60) - 100: 100, 10**18: 1}}, NOON)
    assert quota.used("a", NOON) == 101
    assert quota.used("a", NOON + 3601) == 0
