"""Builds of Exchange Server, and which flaws a build has.

The order of builds is not the order of patches: a security update for an old cumulative update has a lower number
than a newer cumulative update without it, and the updates of March 2021 for old cumulative updates mended four flaws
and left the others. So a build is mended where it is at or above the mend of the newest cumulative update that got one,
or at or above the mend of its own; a cumulative update that got none has the flaw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from .versions import Interval, Key, key


@dataclass(frozen=True, slots=True)
class Build:
    """One build. ``kind`` is RTM, CU, RU, SU or HU."""

    build: str
    name: str
    kind: str
    date: str
    article: str

    @property
    def cumulative(self) -> Key:
        """The cumulative update it belongs to: the first three numbers."""
        return key(self.build)[:3]

    @property
    def product(self) -> str:
        """Such as ``Exchange 2019``."""
        return " ".join(self.name.split()[:2])


@dataclass(frozen=True, slots=True)
class Fix:
    """The builds that mend one flaw, one for each cumulative update that got a mend. ``setting`` says what must be set
    besides, empty where the build is enough."""

    cve: str
    builds: tuple[str, ...]
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Exploited:
    """A flaw that is known to be exploited, ``since`` when, and whether by ransomware."""

    fix: Fix
    name: str
    since: date
    since_source: str = ""
    ransomware: bool = False


class Status(StrEnum):
    """What a build is to a flaw. ``SETTING``: the build is new enough, and what must be set besides does not show."""

    AFFECTED = "affected"
    FIXED = "fixed"
    SETTING = "fixed-if-set"
    NOT_AFFECTED = "not-affected"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Tables:
    """Our own tables. ``builds`` are oldest first; ``as_of`` is the day of the newest entry."""

    builds: tuple[Build, ...]
    fixes: Mapping[str, Fix]
    exploited: tuple[Exploited, ...]

    @property
    def as_of(self) -> str:
        """The release date of the newest build that the tables know."""
        return max(build.date for build in self.builds)


def tables(builds: Mapping[str, Any], fixes: Mapping[str, Any], exploited: Mapping[str, Any]) -> Tables:
    """The three data files as values. Raises KeyError or ValueError where one is wrong."""
    known = {
        row["cve"]: Fix(row["cve"], tuple(row["builds"]), row.get("setting", "")) for row in fixes["fix"]
    }
    for row in exploited["exploited"]:
        if "builds" in row:
            known[row["cve"]] = Fix(row["cve"], tuple(row["builds"]), row.get("setting", ""))
    return Tables(
        tuple(Build(*row) for row in sorted(builds["builds"], key=lambda row: key(row[0]))),
        known,
        tuple(
            Exploited(
                known[row["cve"]],
                row["name"],
                row["since"],
                row.get("since_source", ""),
                row.get("ransomware", False),
            )
            for row in exploited["exploited"]
        ),
    )


def affected(build: str, fix: Fix) -> Status:
    """What exactly ``build`` is to ``fix``."""
    at = key(build)
    mends = sorted(key(mend) for mend in fix.builds if key(mend)[:2] == at[:2])
    if not mends:
        # A product that got no mend: newer than the flaw, or so old that nobody mends it.
        older = at < min(key(mend) for mend in fix.builds)
        return Status.INDETERMINATE if older else Status.NOT_AFFECTED
    mended = Status.SETTING if fix.setting else Status.FIXED
    if at >= mends[-1]:
        return mended
    own = [mend for mend in mends if mend[:3] == at[:3]]
    return mended if own and at >= own[0] else Status.AFFECTED


def status(interval: Interval, fix: Fix, known: Sequence[Build]) -> Status:
    """What a build somewhere in ``interval`` is to ``fix``: certain only where every possible build is the same."""
    if interval.exact:
        return affected(interval.low, fix)
    if not interval.low and not interval.high:
        return Status.INDETERMINATE
    possible = {build.build for build in known if interval.has(build.build)}
    if interval.low:
        possible.add(interval.low)
    found = {affected(build, fix) for build in possible}
    return found.pop() if len(found) == 1 else Status.INDETERMINATE


def named(interval: Interval, known: Sequence[Build]) -> str:
    """What people call it: ``Exchange 2019 CU15 Aug26SU`` for an exact build, else what the possible ones share."""
    possible = [build for build in known if interval.has(build.build)]
    if not possible:
        older = [build for build in known if interval.low and key(build.build) <= key(interval.low)]
        return f"{older[-1].product}, a build that is not in our table" if older else "Exchange"
    if len(possible) == 1:
        return possible[0].name
    if len({build.cumulative for build in possible}) == 1:
        return f"{' '.join(possible[0].name.split()[:3])} with or without security updates"
    products = list(dict.fromkeys(build.product for build in possible))
    return products[0] if len(products) == 1 else f"{products[0]} to {products[-1]}"


def behind(interval: Interval, known: Sequence[Build]) -> tuple[Build, ...]:
    """The security updates that came out for the same cumulative update after the newest build in ``interval``."""
    possible = [build for build in known if interval.has(build.build)]
    if not possible:
        return ()
    last = possible[-1]
    return tuple(
        build
        for build in known
        if build.cumulative == last.cumulative and build.kind == "SU" and key(build.build) > key(last.build)
    )
