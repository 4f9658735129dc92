"""Is a shield effective? What a walk measured of each: at the public door, and past it.

Effective means: the door refused the harmless shape with its own 400, 403 or 404, and no way around was found on which
the shape reached the server. A shield that changes answers is effective only where the walk saw the change as well: on
a page that the server gave to the canary's own session through the door. Where one of these could not be told, neither
can the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .walk import Kind, Outcome, Record, Role
from .web.shield_source import Shield

HELD, PASSED, UNTOLD, NOT_TRIED = "held", "passed", "untold", "not-tried"
CLOSED, REACHED = "closed", "reached"
OBSERVED, MISSING, NONE = "observed", "missing", "none"
_WORST = {
    PASSED: 3,
    REACHED: 3,
    MISSING: 3,
    UNTOLD: 2,
    HELD: 1,
    CLOSED: 1,
    OBSERVED: 1,
    NOT_TRIED: 0,
    NONE: 0,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One shield. ``door`` is ``held``, ``passed``, ``untold`` or ``not-tried``; ``around`` ``closed``, ``reached``,
    ``untold`` or ``not-tried``; ``answer`` (what it does to answers) ``observed``, ``missing``, ``untold``,
    ``not-tried`` or ``none`` (it does nothing to them), with ``why`` where it was not measured; ``at`` the time of the
    measurement in seconds since 1970 (0: never)."""

    shield: str
    door: str = NOT_TRIED
    around: str = NOT_TRIED
    at: float = 0.0
    answer: str = NONE
    why: str = ""

    @property
    def effective(self) -> bool | None:
        """None: it cannot be told."""
        if self.door == PASSED or self.around == REACHED or self.answer == MISSING:
            return False
        told = self.door == HELD and self.around == CLOSED and self.answer in (OBSERVED, NONE)
        return True if told else None

    @property
    def word(self) -> str:
        """For a table."""
        if self.at == 0:
            return "not measured"
        if self.effective is None:
            answer = "" if self.answer in (OBSERVED, NONE) else f", answer: {self.answer}"
            why = f": {self.why}" if self.why else ""
            return f"cannot say (door: {self.door}, around: {self.around}{answer}){why}"
        if self.effective:
            return "yes, observed" if self.answer == OBSERVED else "yes"
        if self.answer == MISSING:
            return "no: answers pass unchanged"
        return "no: past the door" if self.door != PASSED else "no: through the door"

    def plain(self) -> dict[str, object]:
        """As JSON, without the time."""
        return {
            "id": self.shield,
            "effective": self.effective,
            "door": self.door,
            "around": self.around,
            "answer": self.answer,
            "why": self.why,
        }


def measured(
    records: Iterable[Record], shields: Iterable[Shield] = (), why: str = ""
) -> tuple[Measured, ...]:
    """What a walk's records say of shields; the worst of several doors or ways around counts. ``why`` is the reason
    where the walk had no session to see answers with."""
    found: dict[str, Measured] = {}
    answering = {shield.id for shield in shields if shield.answers}
    nobody_there = False  # at a site's own address: then that way is closed, at least from here
    for record in records:
        attempt, outcome = record.attempt, record.reply.outcome
        if attempt.asks and attempt.place.role is Role.UPSTREAM and outcome is Outcome.UNREACHABLE:
            nobody_there = True
        if attempt.kind not in (Kind.SHIELD, Kind.SHIELD_ANSWER):
            continue
        shield = attempt.mechanism
        one = found.setdefault(shield, Measured(shield, answer=NOT_TRIED if shield in answering else NONE))
        at = max(one.at, record.at)
        if attempt.place.role is not Role.DOOR:
            one = replace(one, around=_worse(one.around, _word(record, REACHED, CLOSED)), at=at)
        elif attempt.kind is Kind.SHIELD:
            one = replace(one, door=_worse(one.door, _word(record, PASSED, HELD)), at=at)
        else:
            word = _word(record, MISSING, OBSERVED)
            one = replace(one, answer=_worse(one.answer, word), at=at)
            if word in (UNTOLD, NOT_TRIED):
                one = replace(one, why=record.reply.said)
        found[shield] = one
    made = [replace(m, why=m.why or why) if m.answer == NOT_TRIED else m for m in found.values()]
    if nobody_there:
        made = [replace(m, around=CLOSED) if m.around == NOT_TRIED else m for m in made]
    return tuple(made)


def _word(record: Record, bad: str, good: str) -> str:
    match record.reply.outcome:
        case Outcome.ENTERED:
            return bad
        case Outcome.REFUSED:
            return good
        case Outcome.UNREACHABLE:
            return good if good == CLOSED else UNTOLD
        case Outcome.NOT_OFFERED:
            return NOT_TRIED
    return UNTOLD


def _worse(one: str, other: str) -> str:
    return max(one, other, key=_WORST.__getitem__)
