"""Were the doors up: the last hour anew every time, days that are over once.

What the prober wrote down is much (a record of each listener every ten minutes), so a period is put together from its
days in UTC, each reckoned by itself. An outage over midnight is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from gambeson.console.core.availability import SILENCE, Availability, DoorTime, Outage, availability
from gambeson.store.control import Store

from .memory import remembered

DAY = 86400.0
FRESH = 60.0
MAX_PROBES = 10_000  # of one day
_LATE = 3600.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Fractions of a time (0..1, together 1)."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    blind: float = 0.0

    @property
    def measured(self) -> float:
        """The fraction in which somebody looked."""
        return self.up + self.degraded + self.down

    @property
    def up_of_measured(self) -> float:
        """The fraction of the measured time in which it was up; 0 where nobody looked."""
        return min(1.0, self.up / self.measured) if self.measured > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` to ``end``: all doors as one, each door, the outages by start, and each day's state by itself."""

    start: float
    end: float
    whole: Shares
    doors: tuple[tuple[str, Shares], ...]
    outages: tuple[Outage, ...]
    days: tuple[Availability, ...]


def present(store: Store, listening: Sequence[str], now: float) -> Availability:
    """The last hour, as far as somebody looked."""
    events = store.events.recent("door.probe", now - 2 * SILENCE, MAX_PROBES)
    return availability((e for e in events if e.at <= now), now - SILENCE, now, listening)


def past(store: Store, listening: Sequence[str], now: float, days: int) -> Period:
    """The last ``days`` days in UTC, the present one being the last."""
    today = now - now % DAY
    found = [_day(store, tuple(listening), today - DAY * back, now) for back in reversed(range(days))]
    names = dict.fromkeys(door.door for each in found for door in each.doors)
    doors = []
    for name in names:
        mine = [(a, next((d for d in a.doors if d.door == name), None)) for a in found]
        doors.append(
            (name, _sum((a.end - a.start, _of(d) if d is not None else Shares(blind=1.0)) for a, d in mine))
        )
    return Period(
        found[0].start,
        found[-1].end,
        _sum((a.end - a.start, _of(a)) for a in found),
        tuple(doors),
        _joined(found),
        tuple(found),
    )


def _day(store: Store, listening: tuple[str, ...], start: float, now: float) -> Availability:
    end = min(start + DAY, max(now, start + 1.0))
    over = now >= start + DAY + _LATE

    def look() -> Availability:
        events = store.events.recent("door.probe", start - SILENCE, MAX_PROBES, end)
        return availability(events, start, end, listening)

    return remembered(store, ("up", listening, start, over), now, inf if over else FRESH, look)


def _of(found: Availability | DoorTime) -> Shares:
    return Shares(found.up, found.degraded, found.down, found.blind)


def _sum(parts: Iterable[tuple[float, Shares]]) -> Shares:
    every = list(parts)
    length = sum(seconds for seconds, _ in every) or 1.0
    return Shares(
        up=sum(seconds * s.up for seconds, s in every) / length,
        degraded=sum(seconds * s.degraded for seconds, s in every) / length,
        down=sum(seconds * s.down for seconds, s in every) / length,
        blind=sum(seconds * s.blind for seconds, s in every) / length,
    )


def _joined(found: Sequence[Availability]) -> tuple[Outage, ...]:
    """An outage that ran at the end of a day goes on with the one that begins there."""
    every: list[Outage] = []
    for each in found:
        for outage in each.outages:
            before = next(
                (
                    o
                    for o in reversed(every)
                    if (o.door, o.end, o.state) == (outage.door, outage.start, outage.state)
                ),
                None,
            )
            if before is None:
                every.append(outage)
            else:
                every[every.index(before)] = replace(before, end=outage.end, running=outage.running)
    now = max((each.end for each in found), default=0.0)
    return tuple(replace(o, running=o.running and o.end >= now) for o in every)
