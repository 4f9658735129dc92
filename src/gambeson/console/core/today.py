"""Your hour this week: what to do first, what Gambeson did alone, and how things stand in two words.

Everything that is known to be wrong or unfinished becomes a *chore* with a risk and minutes. Chores are ordered by the
risk that a minute takes away, a critical one before all others, and fitted into the hours that the owner set: five at
most, together no longer than that time, except that the first is always there. The rest is a count.

**Risk** (0 to 100) is severity times exposure. The severity of each kind stands in ``chores.KINDS`` with its reason.
Exposure is how much of the organisation is concerned: a quarter for one of many accounts, up to the whole for all of
them; what concerns a door, the record or Gambeson itself concerns everybody. **Minutes** are what it takes to open the
page and understand it, and then so much for each thing; both stand beside the severity.

Blind outranks every good word and hides no bad one: where something is not measured, nothing is said to be fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .availability import Up, combined
from .chores import Chore, Facts, chores

MAX_CHORES = 5
HIGH_RISK = 40  # from this risk on exposure is high


class Exposure(StrEnum):
    """How exposed the organisation is, in one word."""

    NONE = "none"
    LOW = "low"
    HIGH = "high"
    CRITICAL = "critical"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class State:
    """Availability beside exposure."""

    availability: Up
    exposure: Exposure

    @property
    def blind(self) -> bool:
        """True where one of the two is not known."""
        return self.availability is Up.BLIND or self.exposure is Exposure.BLIND

    @property
    def favicon(self) -> str:
        """Which of ``charts.favicon``'s pictures says it."""
        if self.availability is Up.DOWN or self.exposure is Exposure.CRITICAL:
            return "danger"
        if self.availability is Up.DEGRADED or self.exposure is Exposure.HIGH:
            return "attention"
        if self.blind:
            return "blind"
        return "ok" if self.exposure is Exposure.NONE else "attention"


@dataclass(frozen=True, slots=True)
class Alone:
    """What Gambeson did by itself in the period, as counts."""

    refused: int = 0  # sign-ins and requests that policy or proof kept out
    throttled: int = 0  # guesses that a closed throttle answered
    shielded: int = 0  # known attacks that a shield stopped
    sprays: int = 0  # one password tried on many accounts, recognised
    sessions_ended: int = 0  # open sessions that a revocation cut
    findings_closed: int = 0  # findings that were measured again and are gone

    @property
    def total(self) -> int:
        """All of them."""
        return (
            self.refused
            + self.throttled
            + self.shielded
            + self.sprays
            + self.sessions_ended
            + self.findings_closed
        )


@dataclass(frozen=True, slots=True)
class Today:
    """The page's and the weekly mail's content. ``chores`` are to be done, ``rest`` counts those left out and
    ``rest_minutes`` what they would take, ``minutes`` what those shown take of ``budget``."""

    chores: tuple[Chore, ...]
    rest: int
    minutes: int
    rest_minutes: int
    budget: int
    alone: Alone
    state: State

    @property
    def nothing_needed(self) -> bool:
        """ "Nothing needs you": nothing is to be done, all is up, and nothing is blind."""
        return not self.chores and self.state == State(Up.UP, Exposure.NONE)


def today(facts: Facts, hours: float, doors: Iterable[Up], alone: Alone | None = None) -> Today:
    """The week. ``hours`` is what the owner set, ``doors`` the present state of each door that is served (none: blind),
    ``alone`` what :func:`did_alone` counted."""
    every = chores(facts)
    budget = int(60 * hours) if 0 <= hours <= 168 else 60  # what is no number of hours is one hour
    shown = fitted(every, budget)
    left = [chore for chore in every if chore not in shown]
    return Today(
        chores=shown,
        rest=len(left),
        minutes=sum(chore.minutes for chore in shown),
        rest_minutes=sum(chore.minutes for chore in left),
        budget=budget,
        alone=alone or Alone(),
        state=state_of(doors, every, blind=bool(facts.unmeasured)),
    )


def fitted(every: Iterable[Chore], budget: int) -> tuple[Chore, ...]:
    """Those to be done within ``budget`` minutes: critical ones first, then by risk taken away a minute. One that is
    too long for what is left gives way to shorter ones after it; the first gives way to none."""
    ordered = sorted(every, key=lambda c: (not c.critical, -c.risk / max(1, c.minutes), -c.risk, c.key))
    shown: list[Chore] = []
    for chore in ordered:
        if len(shown) == MAX_CHORES:
            break
        if not shown or sum(c.minutes for c in shown) + chore.minutes <= budget:
            shown.append(chore)
    return tuple(shown)


def state_of(doors: Iterable[Up], every: Iterable[Chore], *, blind: bool) -> State:
    """The two words. ``doors`` as in :func:`today`; ``blind``: something that exposure hangs on is not measured."""
    found = tuple(every)
    if any(chore.critical for chore in found):
        exposure = Exposure.CRITICAL
    elif any(chore.risk >= HIGH_RISK and not chore.blind for chore in found):
        exposure = Exposure.HIGH
    elif blind:
        exposure = Exposure.BLIND
    else:
        exposure = Exposure.LOW if any(chore.risk for chore in found) else Exposure.NONE
    return State(combined(doors), exposure)


_REFUSALS = frozenset(
    (
        "door.login.refused",
        "door.web.refused",
        "door.request.refused",
        "door.enter.refused",
        "door.eas.refused",
        "door.ews.refused",
        "door.message.refused",
    )
)


def did_alone(
    counts: Mapping[str, int], *, throttled: int = 0, sessions_ended: int = 0, findings_closed: int = 0
) -> Alone:
    """What was done alone, from the number of events of each kind in the period. ``throttled`` are those of the
    refusals whose reason was a closed throttle; ``sessions_ended`` closed sessions whose cause was a revocation;
    ``findings_closed`` findings that a measurement closed."""
    refused = sum(counts.get(kind, 0) for kind in _REFUSALS)
    return Alone(
        refused=max(0, refused - throttled),
        throttled=throttled,
        shielded=counts.get("door.request.shielded", 0),
        sprays=counts.get("door.spray", 0),
        sessions_ended=sessions_ended,
        findings_closed=findings_closed,
    )
