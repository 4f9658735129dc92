"""Bounded memory of the web doors: what is remembered for a while, the least used is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Generic[T]):
    """At most ``most`` things, each until its own time (any clock, as long as it is one)."""

    __slots__ = ("_most", "_things")

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[Hashable]:
        """The keys, also of what has ended and was not swept away; they may be dropped meanwhile."""
        return iter(tuple(self._things))

    def get(self, key: Hashable, now: float) -> T | None:
        """What lies there and has not ended."""
        found = self._things.get(key)
        if found is None:
            return None
        if not now < found[0]:
            del self._things[key]
            return None
        self._things.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, thing: T, until: float, now: float) -> None:
        """Keep it until then. What has ended and comes first is swept away."""
        self._things[key] = (until, thing)
        self._things.move_to_end(key)
        while self._things:
            oldest = next(iter(self._things))
            if len(self._things) <= self._most and now < self._things[oldest][0]:
                break
            del self._things[oldest]

    def change(self, key: Hashable, thing: T) -> None:
        """Another thing in the place of one that lies there, until the same time."""
        if key in self._things:
            self._things[key] = (self._things[key][0], thing)

    def drop(self, key: Hashable) -> None:
        """Forget it."""
        self._things.pop(key, None)

    def sweep(self, now: float) -> None:
        """Forget everything that has ended."""
        for key in [k for k, (until, _) in self._things.items() if not now < until]:
            del self._things[key]

    def clear(self) -> None:
        """Forget everything."""
        self._things.clear()
