"""Is a shield effective? What a walk measured of each: at the public door, and past it.

Effective means: the door refused the harmless shape with its own 400, 403 or 404, and no way around was found on which
the shape reached the server. Where one of the two could not be told, neither can the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .walk import Kind, Outcome, Record, Role

HELD, PASSED, UNTOLD, NOT_TRIED = "held", "passed", "untold", "not-tried"
CLOSED, REACHED = "closed", "reached"
_WORST = {PASSED: 3, REACHED: 3, UNTOLD: 2, HELD: 1, CLOSED: 1, NOT_TRIED: 0}


@dataclass(frozen=True, slots=True)
class Measured:
    """One shield. ``door`` is ``held``, ``passed``, ``untold`` or ``not-tried``; ``around`` ``closed``, ``reached``,
    ``untold`` or ``not-tried``; ``at`` the time of the measurement in seconds since 1970 (0: never)."""

    shield: str
    door: str = NOT_TRIED
    around: str = NOT_TRIED
    at: float = 0.0

    @property
    def effective(self) -> bool | None:
        """None: it cannot be told."""
        if self.door == PASSED or self.around == REACHED:
            return False
        return True if self.door == HELD and self.around == CLOSED else None

    @property
    def word(self) -> str:
        """For a table."""
        if self.effective is None:
            return (
                "not measured" if self.at == 0 else f"cannot say (door: {self.door}, around: {self.around})"
            )
        if self.effective:
            return "yes"
        return "no: past the door" if self.door != PASSED else "no: through the door"


def measured(records: Iterable[Record]) -> tuple[Measured, ...]:
    """What a walk's records say of shields; the worst of several doors or ways around counts."""
    found: dict[str, Measured] = {}
    nobody_there = False  # at a site's own address: then that way is closed, at least from here
    for record in records:
        attempt, outcome = record.attempt, record.reply.outcome
        if attempt.asks and attempt.place.role is Role.UPSTREAM and outcome is Outcome.UNREACHABLE:
            nobody_there = True
        if record.attempt.kind is not Kind.SHIELD:
            continue
        one = found.setdefault(record.attempt.mechanism, Measured(record.attempt.mechanism))
        at = max(one.at, record.at)
        if record.attempt.place.role is Role.DOOR:
            one = replace(one, door=_worse(one.door, _word(record, PASSED, HELD)), at=at)
        else:
            one = replace(one, around=_worse(one.around, _word(record, REACHED, CLOSED)), at=at)
        found[record.attempt.mechanism] = one
    if nobody_there:
        return tuple(replace(m, around=CLOSED) if m.around == NOT_TRIED else m for m in found.values())
    return tuple(found.values())


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
