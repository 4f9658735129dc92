"""How much an account, or a machine's device, may send in an hour.

A sliding window of sixty one-minute counters a key. Only keys of the snapshot are ever counted
(accounts and devices that signed in), so the table is bounded by them; keys silent for an hour go.
"""

from __future__ import annotations

_SLOTS = 60
_SLOT = 60.0  # seconds
_MAX_LOADED = 200_000
_SWEEP = 4096  # after this many keys, forget the silent ones


class HourlyQuota:
    """Counters in this process. ``take`` counts one message if every given limit has room."""

    __slots__ = ("_counts", "_sweep_at")

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, int]] = {}
        self._sweep_at = _SWEEP

    def take(self, wanted: dict[str, tuple[int, int]], now: float) -> str:
        """``wanted`` maps a key to (how many, limit an hour; 0 or less: none). Returns the empty string and
        counts for each key, or returns the first key without room and counts nothing."""
        minute = int(now / _SLOT)
        for key, (many, limit) in wanted.items():
            if limit > 0 and self._used(key, minute) + many > limit:
                return key
        for key, (many, _) in wanted.items():
            slots = self._counts.setdefault(key, {})
            slots[minute] = slots.get(minute, 0) + many
        if len(self._counts) > self._sweep_at:
            self._sweep(minute)
        return ""

    def used(self, key: str, now: float) -> int:
        """What was counted for ``key`` in the last hour."""
        return self._used(key, int(now / _SLOT))

    def dump(self) -> dict[str, dict[int, int]]:
        """The counters as plain values, for whoever comes after us."""
        return {key: dict(slots) for key, slots in self._counts.items() if slots}

    def load(self, counts: object, now: float) -> None:
        """Go on from what :meth:`dump` gave, added to what was counted here; a minute later than ``now``'s (the clock
        was set back) becomes it. Raises TypeError, ValueError."""
        if not isinstance(counts, dict) or len(counts) > _MAX_LOADED:
            raise ValueError("these are no counters of an hourly limit")
        minute = int(now / _SLOT)
        for key, slots in counts.items():
            taken = self._counts.setdefault(str(key)[:128], {})
            for slot, many in dict(slots).items():
                at = min(int(slot), minute)
                if minute - _SLOTS < at and 0 < int(many) < 1 << 31:
                    taken[at] = taken.get(at, 0) + int(many)

    def _used(self, key: str, minute: int) -> int:
        slots = self._counts.get(key)
        if slots is None:
            return 0
        # A slot from the future can only come of a clock that was set back: it must not block for long.
        for old in [m for m in slots if m <= minute - _SLOTS or m > minute]:
            del slots[old]
        return sum(slots.values())

    def _sweep(self, minute: int) -> None:
        for key in [k for k, slots in self._counts.items() if max(slots, default=0) <= minute - _SLOTS]:
            del self._counts[key]
        self._sweep_at = len(self._counts) + _SWEEP
