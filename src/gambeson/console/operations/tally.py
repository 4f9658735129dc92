"""The doors' decisions by day, counted by the database and remembered: a day that is over is counted once.

Days are days in UTC. The present day is counted anew once a minute; the one before it for another hour, as doors may
write late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from gambeson.store.control import Store

from .memory import remembered

DAY = 86400.0
FRESH, LATE = 60.0, 3600.0
ALLOWED = ("door.login.allowed", "door.web.admitted")
REFUSED = (
    "door.login.refused",
    "door.web.refused",
    "door.request.refused",
    "door.enter.refused",
    "door.eas.refused",
    "door.ews.refused",
    "door.message.refused",
)
SHIELDED = ("door.request.shielded",)
SPRAYS = ("door.spray",)
KINDS = (*ALLOWED, *REFUSED, *SHIELDED, *SPRAYS)


@dataclass(frozen=True, slots=True)
class Day:
    """One day, from ``start`` on (seconds since 1970): ``counts`` by door and kind of event."""

    start: float
    counts: Mapping[tuple[str, str], int]

    def of(self, kinds: Iterable[str], door: str = "") -> int:
        """How many of these kinds, at this door or at all."""
        wanted = frozenset(kinds)
        return sum(n for (where, kind), n in self.counts.items() if kind in wanted and door in ("", where))


def days(store: Store, organisation: str, now: float, many: int) -> tuple[Day, ...]:
    """The last ``many`` days of an organisation (its id), the present one last."""
    today = now - now % DAY
    return tuple(_day(store, organisation, today - DAY * back, now) for back in reversed(range(many)))


def by_kind(found: Iterable[Day]) -> dict[str, int]:
    """The sums by kind of event."""
    sums: dict[str, int] = {}
    for day in found:
        for (_, kind), n in day.counts.items():
            sums[kind] = sums.get(kind, 0) + n
    return sums


def _day(store: Store, organisation: str, start: float, now: float) -> Day:
    end = start + DAY
    over = now >= end + LATE

    def count() -> Day:
        found = store.across([organisation]).decision_counts(start, end, KINDS)
        return Day(start, {(door, kind): n for (_, door, kind), n in found.items()})

    return remembered(store, ("day", organisation, start, over), now, inf if over else FRESH, count)
