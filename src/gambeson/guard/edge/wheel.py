"""A coarse timer wheel: thousands of time-outs, one timer.

Anything with a ``due(now)`` method can be put in. Once a tick the wheel asks the items whose time has
come; an item answers with the time when it wants to be asked again, or 0.0 to be forgotten. A session
that moves data only writes ``wheel.now`` into its own field: no timer is touched for a chunk.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

TICK = 1.0  # seconds; time-outs are late by at most this much


class Timed(Protocol):
    """Something with a time-out. ``spoke`` is the wheel's own mark of where the item stands."""

    spoke: int

    def due(self, now: float) -> float:
        """The time has come, perhaps: act, and return when to ask again (0.0: never)."""


class Wheel:
    """``now`` is the loop's time at the last tick, good enough to note activity with."""

    __slots__ = ("_handle", "_loop", "_next", "_spokes", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spokes: dict[int, set[Timed]] = {}
        self.now = loop.time()
        self._next = int(self.now / TICK)
        self._handle: asyncio.TimerHandle | None = loop.call_later(TICK, self._tick)

    def put(self, item: Timed, at: float) -> None:
        """Ask ``item`` at or soon after ``at``."""
        spoke = max(int(at / TICK) + 1, self._next + 1)
        item.spoke = spoke
        self._spokes.setdefault(spoke, set()).add(item)

    def remove(self, item: Timed) -> None:
        """Forget ``item``; it may be in the wheel or not."""
        waiting = self._spokes.get(item.spoke)
        if waiting is not None:
            waiting.discard(item)
            if not waiting:
                del self._spokes[item.spoke]
        item.spoke = 0

    def stop(self) -> None:
        """Ask nobody any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._spokes.clear()

    def _tick(self) -> None:
        self._handle = self._loop.call_later(TICK, self._tick)
        self.now = now = self._loop.time()
        current = int(now / TICK)
        while self._next <= current:
            items = self._spokes.pop(self._next, None)
            self._next += 1
            for item in items or ():
                item.spoke = 0
                again = item.due(now)
                if again:
                    self.put(item, again)
