"""The doctor, asked from a page: on a thread of its own, one examination at a time, its lines kept for a minute.

An examination speaks to mail servers that may not answer, so nobody waits for it: the page says that it goes on, and
shows it when it is done.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from gambeson.console.office import Office, World
from gambeson.model.staff import Verb

KEPT_SECONDS = 60.0
MAX_LINES = 500
_log = logging.getLogger("gambeson.console")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: ``state`` is ok, warning or failed."""

    name: str
    state: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known. ``at`` 0: nobody asked yet. ``running``: somebody asked, and it goes on."""

    at: float = 0.0
    running: bool = False
    lines: tuple[Line, ...] = ()

    def count(self, state: str) -> int:
        """How many lines are in a state."""
        return sum(line.state == state for line in self.lines)


_lock = threading.Lock()


def examined(office: Office) -> Examined:
    """The last examination. Raises RefusedError(404): it speaks of the whole installation."""
    office.installation(Verb.STAFF)
    return _known(office.world)


def examine(office: Office) -> Examined:
    """Begins an examination, unless one goes on or was done within a minute. Raises RefusedError(404)."""
    office.installation(Verb.STAFF)
    world, at = office.world, office.at
    with _lock:
        known = _known(world)
        if known.running or (known.at and 0 <= at - known.at < KEPT_SECONDS):
            return known
        begun = world.memo["doctor"] = Examined(known.at, True, known.lines)
    threading.Thread(target=_run, args=(world,), name="doctor", daemon=True).start()
    return begun


def _run(world: World) -> None:
    lines: list[Line] = []
    try:
        for check in world.doctor():
            lines.append(Line(check.name, str(check.state.value), check.text, check.remedy))
            if len(lines) >= MAX_LINES:
                break
    except Exception as error:
        _log.error("the doctor failed: %s", type(error).__name__, exc_info=error)
        lines.append(Line("doctor", "failed", "The examination broke off; see the log of gambeson up.", ""))
    with _lock:
        world.memo["doctor"] = Examined(world.clock(), False, tuple(lines))


def _known(world: World) -> Examined:
    found = world.memo.get("doctor")
    return found if isinstance(found, Examined) else Examined()
