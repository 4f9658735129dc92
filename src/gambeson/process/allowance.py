"""How often something may be done, by key. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict


class Allowance:
    """Token buckets by key; the least used are forgotten beyond ``most``."""

    def __init__(self, burst: float, per_second: float, most: int = 100_000) -> None:
        self._burst, self._per_second, self._most = burst, per_second, most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """One of ``key``'s, where there is one."""
        level, at = self._levels.pop(key, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - at) * self._per_second)
        good = level >= 1.0
        self._levels[key] = (level - 1.0 if good else level, now)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return good

    def give_back(self, key: str) -> None:
        """What was taken was not used up."""
        if key in self._levels:
            level, at = self._levels[key]
            self._levels[key] = (min(self._burst, level + 1.0), at)
