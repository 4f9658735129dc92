"""How long a version is looked after by its makers: the table and the arithmetic over intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from .versions import Interval, key


@dataclass(frozen=True, slots=True)
class Cycle:
    """Versions ``low <= v < high`` (an empty high: none) were looked after until ``end`` (None: still), and for those
    who pay for more, or by a long-term team, until ``extended``."""

    name: str
    low: str
    high: str = ""
    end: date | None = None
    extended: date | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """``component`` as observations name it, ``title`` as people do. ``distributed``: distributions look after versions
    that the makers have given up, under the same number."""

    component: str
    title: str
    cycles: tuple[Cycle, ...]
    distributed: bool = False
    source: str = ""


class Support(StrEnum):
    """What a version is on a day."""

    SUPPORTED = "supported"
    EXTENDED = "extended"  # only for those who pay for more, or by a long-term team
    ENDED = "ended"
    INDETERMINATE = "indeterminate"  # some possible versions are, some are not
    UNLISTED = "unlisted"


def lifecycle(component: str, data: Mapping[str, Any]) -> Lifecycle:
    """One table of the data file. Raises KeyError or TypeError where it is wrong."""
    return Lifecycle(
        component,
        data["title"],
        tuple(
            Cycle(row["name"], row["low"], row.get("high", ""), row.get("end"), row.get("extended"))
            for row in data["cycle"]
        ),
        data.get("distributed", False),
        data.get("source", ""),
    )


def support(interval: Interval, table: Lifecycle, today: date) -> tuple[Support, tuple[Cycle, ...]]:
    """What ``interval`` is on ``today``, and the cycles it may belong to, newest first."""
    if not interval.low and not interval.high:
        return Support.INDETERMINATE, ()
    possible = tuple(cycle for cycle in table.cycles if _overlap(interval, cycle))
    if not possible:
        return Support.UNLISTED, ()
    found = {_on(cycle, today) for cycle in possible}
    return (found.pop() if len(found) == 1 else Support.INDETERMINATE), possible


def _on(cycle: Cycle, today: date) -> Support:
    if cycle.end is None or today <= cycle.end:
        return Support.SUPPORTED
    return Support.EXTENDED if cycle.extended is not None and today <= cycle.extended else Support.ENDED


def _overlap(interval: Interval, cycle: Cycle) -> bool:
    if interval.exact:
        at = key(interval.low)
        return key(cycle.low) <= at and (not cycle.high or at < key(cycle.high))
    return (not interval.high or key(cycle.low) < key(interval.high)) and (
        not cycle.high or not interval.low or key(interval.low) < key(cycle.high)
    )
