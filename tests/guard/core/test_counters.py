import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.counters import Buckets, Sliding


@given(st.lists(st.floats(0, 50_000), max_size=60))
def test_never_less_than_what_happened_in_the_period_and_gone_a_slot_later(steps):
    counter, times, now = Sliding(7, 600.0), [], 0.0
    for step in sorted(steps):
        now = max(now, step)
        counter.add(now)
        times.append(now)
        total = counter.total(now)
        assert total >= sum(1 for t in times if now - t < 3600)
        assert total <= sum(1 for t in times if now - t < 4200)
    assert counter.total(now + 4200) == 0


def test_a_clock_set_back_forgets_nothing():
    counter = Sliding(7, 600.0)
    counter.add(100_000)
    assert counter.total(0) == 1
    counter.add(0)
    assert counter.total(100_000) == 2


def test_take_back():
    counter = Sliding(7, 600.0)
    counter.take_back()
    counter.add(10)
    counter.add(700)
    counter.take_back()
    assert counter.total(700) == 1
    counter.take_back()
    counter.take_back()
    assert counter.total(700) == 0


@pytest.mark.parametrize(
    "data",
    [None, [], [1], [1, [1]], ["1", [0] * 7], [1, [0.5] * 7], [1, [-1] * 7], [-1, [0] * 7], [1, [2**40] * 7]],
)
def test_what_is_no_dump_is_a_value_error(data):
    with pytest.raises(ValueError, match="saved"):
        Sliding(7, 600.0).load(data)


def test_buckets_keep_to_their_room_and_lose_the_oldest():
    buckets = Buckets(2, 3, 7, 600.0)
    for key in ("a", "b", "c", "a", "d"):
        buckets.charge(key, 0.0)
    assert len(buckets) == 3
    assert buckets.full("a", 0.0)
    assert not buckets.full("b", 0.0)
    copy = Buckets(2, 3, 7, 600.0)
    copy.load(buckets.dump())
    assert copy.dump() == buckets.dump()
    small = Buckets(2, 1, 7, 600.0)
    small.load(buckets.dump())
    assert len(small) == 1


def test_what_is_loaded_is_never_later_than_now() -> None:
    """A saved slot of the year 3000 would count for ever: it becomes the present one."""
    counter = Sliding(7, 600.0)
    counter.load([10**9, [0, 0, 0, 0, 0, 0, 5]], now=6000.0)
    assert counter.total(6000.0) == 5
    assert counter.total(6000.0 + 7 * 600) == 0


def test_only_the_newest_keys_are_dumped_where_asked() -> None:
    buckets = Buckets(3, 100, 7, 600.0)
    for key in "abcde":
        buckets.charge(key, 0.0)
    buckets.charge("a", 0.0)
    assert list(buckets.dump(newest=2)) == ["e", "a"]
    assert len(buckets.dump()) == 5
