"""Counters that forget: how many in the last hour or day, in bounded memory.

Time is cut into slots; a counter keeps one more slot than its period has, so that the sum is never *less*
than what happened in any full period (it may count up to one slot longer). A clock that is set back does
not forget anything.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

Dumped = list[object]


class Sliding:
    """Counts in the last ``slots - 1`` full slots of ``width`` seconds, and the running one."""

    __slots__ = ("_counts", "_last", "_width")

    def __init__(self, slots: int, width: float) -> None:
        self._counts = [0] * slots
        self._last = 0
        self._width = width

    def _roll(self, now: float) -> None:
        slot = int(now // self._width)
        if slot > self._last:
            gone = min(slot - self._last, len(self._counts))
            del self._counts[:gone]
            self._counts.extend([0] * gone)
            self._last = slot

    def total(self, now: float) -> int:
        """What counts at ``now``."""
        self._roll(now)
        return sum(self._counts)

    def add(self, now: float, many: int = 1) -> None:
        """Count ``many`` more."""
        self._roll(now)
        self._counts[-1] += many

    def take_back(self) -> None:
        """Uncount the newest one, if there is any."""
        for i in reversed(range(len(self._counts))):
            if self._counts[i]:
                self._counts[i] -= 1
                return

    def dump(self) -> Dumped:
        """Plain values for ``load``."""
        return [self._last, list(self._counts)]

    def load(self, data: object, now: float = math.inf) -> None:
        """Take over what ``dump`` gave; a slot later than ``now``'s would never end and becomes it. Raises
        ValueError for anything else."""
        match data:
            case [int(last), list(counts)] if len(counts) == len(self._counts) and last >= 0:
                if not all(isinstance(c, int) and 0 <= c < 1 << 31 for c in counts):
                    raise ValueError("a saved counter holds something that is no count")
                latest = last if now == math.inf else int(now // self._width)
                self._last, self._counts = min(last, latest), [int(c) for c in counts]
            case _:
                raise ValueError("a saved counter does not have the shape of one")


class Buckets:
    """A limit per key, for keys that a stranger can make up without end.

    At most ``capacity`` keys are kept; the one unused the longest goes. What is lost that way is only a
    count for one source or one pair: whoever can make that happen has more addresses than we have room for,
    and each new address starts at nought anyway. Counts that must not be lost are not kept here.
    """

    __slots__ = ("_capacity", "_counters", "_slots", "_width", "limit")

    def __init__(self, limit: int, capacity: int, slots: int, width: float) -> None:
        self.limit = limit
        self._capacity, self._slots, self._width = capacity, slots, width
        self._counters: OrderedDict[str, Sliding] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counters)

    def full(self, key: str, now: float) -> bool:
        """True where this key has reached its limit."""
        counter = self._counters.get(key)
        return counter is not None and counter.total(now) >= self.limit

    def charge(self, key: str, now: float) -> None:
        """Count one for this key."""
        counter = self._counters.get(key)
        if counter is None:
            while len(self._counters) >= self._capacity:
                self._counters.popitem(last=False)
            counter = self._counters[key] = Sliding(self._slots, self._width)
        else:
            self._counters.move_to_end(key)
        counter.add(now)

    def refund(self, key: str) -> None:
        """Uncount one for this key."""
        counter = self._counters.get(key)
        if counter is not None:
            counter.take_back()

    def dump(self, newest: int = 0) -> dict[str, Dumped]:
        """Plain values for ``load``, oldest first; only the ``newest`` (0: all)."""
        skipped = max(0, len(self._counters) - newest) if newest else 0
        return {key: counter.dump() for key, counter in islice(self._counters.items(), skipped, None)}

    def load(self, data: object, now: float = math.inf) -> None:
        """Take over what ``dump`` gave, the newest up to the capacity. Raises ValueError."""
        loaded: OrderedDict[str, Sliding] = OrderedDict()
        for key, value in _items(data):
            counter = Sliding(self._slots, self._width)
            counter.load(value, now)
            loaded[key] = counter
            if len(loaded) > self._capacity:
                loaded.popitem(last=False)
        self._counters = loaded


def _items(data: object) -> Iterator[tuple[str, object]]:
    if not isinstance(data, dict):
        raise ValueError("saved counters are not a table")
    for key, value in data.items():
        if not isinstance(key, str) or len(key) > 512:
            raise ValueError("a saved counter has a name that is none")
        yield key, value


def table(data: object, name: str) -> dict[str, object]:
    """The table ``name`` in saved data. Raises ValueError where it is none."""
    inner = data.get(name) if isinstance(data, dict) else None
    return dict(_items(inner))
