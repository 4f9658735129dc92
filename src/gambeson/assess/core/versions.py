"""Versions as intervals: what was seen bounds a version, it seldom names it. Pure arithmetic.

An interval is ``low <= v < high``; ``low == high`` is exactly that version; an empty bound is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .software import Observation

_NUMBER = re.compile(r"\d+")
_LONGEST = 12  # parts of a version that are looked at

Key = tuple[int, ...]


def key(version: str) -> Key:
    """The numbers of ``version`` in order, trailing zeros left out so that 15.2 equals 15.2.0."""
    numbers = [int(number[:9]) for number in _NUMBER.findall(version)[:_LONGEST]]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a version lies."""

    low: str = ""
    high: str = ""

    @property
    def exact(self) -> bool:
        """One version and no other."""
        return bool(self.low) and key(self.low) == key(self.high)

    def has(self, version: str) -> bool:
        """Whether it may be ``version``."""
        at = key(version)
        if self.exact:
            return at == key(self.low)
        return (not self.low or at >= key(self.low)) and (not self.high or at < key(self.high))

    @property
    def empty(self) -> bool:
        """No version lies in it."""
        return bool(self.low and self.high) and key(self.low) > key(self.high)

    def __str__(self) -> str:
        if self.exact:
            return self.low
        if self.low and self.high:
            return f"{self.low} up to (not with) {self.high}"
        return (
            f"{self.low} or newer" if self.low else f"older than {self.high}" if self.high else "any version"
        )


def meet(first: Interval, second: Interval) -> Interval | None:
    """What both allow; None where nothing is left, so that at least one of them saw something else (a proxy, two
    servers behind one name)."""
    for one, other in ((first, second), (second, first)):
        if one.exact:
            return one if other.has(one.low) else None
    low = max((first.low, second.low), key=key)
    highs = [high for high in (first.high, second.high) if high]
    high = min(highs, key=key) if highs else ""
    if high and low and key(low) >= key(high):
        return None
    return Interval(low, high)


def interval(observation: Observation) -> Interval:
    """The interval of one observation."""
    return Interval(observation.low, observation.high)


@dataclass(frozen=True, slots=True)
class Known:
    """What all observations of one component at one host say together. ``conflict``: they cannot all be of one server;
    then ``interval`` is the widest that covers them and ``seen`` are the ones that disagree."""

    component: str
    host: str
    interval: Interval
    seen: tuple[Observation, ...]
    conflict: bool = False


def together(observations: Iterable[Observation]) -> tuple[Known, ...]:
    """The observations of each component and host made one, in the order in which they were first seen."""
    groups: dict[tuple[str, str], list[Observation]] = {}
    for observation in observations:
        groups.setdefault((observation.component, observation.host), []).append(observation)
    return tuple(_known(component, host, seen) for (component, host), seen in groups.items())


def _known(component: str, host: str, seen: list[Observation]) -> Known:
    result = Known(component, host, interval(seen[0]), tuple(seen))
    for observation in seen[1:]:
        met = meet(result.interval, interval(observation))
        if met is None:
            return replace(result, interval=_cover(seen), conflict=True)
        result = replace(result, interval=met)
    return result


def _cover(seen: list[Observation]) -> Interval:
    seen = [o for o in seen if o.low or o.high]  # who says only that it is there bounds nothing
    lows = [o.low for o in seen]
    # an exact version ends at itself; the cover must still hold it, so it is open where the newest is exact
    newest = max(seen, key=lambda o: (not o.high, key(o.high)))
    high = "" if newest.exact or not newest.high else newest.high
    return Interval("" if "" in lows else min(lows, key=key), high)
