"""The manners of a look: how many connections at once, how far apart, and when it is over.

A look must not be what takes a small server down, nor what its protection takes for an attack. So an address never has
more than a few connections from us and they begin apart; and every wait is cut by the end of the whole look.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PER_ADDRESS = 4  # connections at once
GAP = 0.03  # seconds between two that begin
TOTAL = 64  # connections at once, all addresses


class OutOfTimeError(Exception):
    """The look's time is over; what has not been asked stays unknown."""


@dataclass(slots=True)
class _Place:
    room: asyncio.Semaphore
    pace: asyncio.Lock = field(default_factory=asyncio.Lock)
    next: float = 0.0


class Manners:
    """For one look, in one event loop. ``deadline`` is in seconds from now on."""

    def __init__(
        self, deadline: float, *, per_address: int = PER_ADDRESS, gap: float = GAP, total: int = TOTAL
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + deadline
        self._per_address, self._gap = per_address, gap
        self._total = asyncio.Semaphore(total)
        self._places: dict[str, _Place] = {}
        self.connections = 0

    def left(self) -> float:
        """Seconds to the end, never negative."""
        return max(0.0, self._end - self._loop.time())

    def allowance(self, seconds: float) -> float:
        """``seconds``, or what is left where that is less."""
        return min(seconds, self.left())

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """A place for one connection to ``address``. Raises OutOfTimeError where none comes free in time."""
        place = self._places.setdefault(address, _Place(asyncio.Semaphore(self._per_address)))
        # The address first: who waits for a slow server must not hold a place that another could use.
        async with _acquired(place.room, self), _acquired(self._total, self):
            async with place.pace:
                wait = place.next - self._loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                place.next = self._loop.time() + self._gap
            if not self.left():
                raise OutOfTimeError
            self.connections += 1
            yield


@asynccontextmanager
async def _acquired(room: asyncio.Semaphore, manners: Manners) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(manners.left()):
            await room.acquire()
    except TimeoutError:
        raise OutOfTimeError from None
    try:
        yield
    finally:
        room.release()
