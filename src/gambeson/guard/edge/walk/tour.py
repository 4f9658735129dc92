"""The walk itself: every attempt at every place, at a polite pace.

At each place the control goes first: once the canary's own device got in, its network counts as known to the throttle
and what fails afterwards counts against nobody else. On this machine each place is visited from an address of its own
in 127/8 for the same reason; no person's bucket is touched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from gambeson.guard.core.walk import Attempt, Outcome, Place, Record, Reply, Role
from gambeson.guard.core.walk_http import merged
from gambeson.guard.core.walk_plan import Canary, attempts
from gambeson.model.access import Listener, Rung

from .connection import converse, loopback
from .http import exchange

MIN_AT_ONCE, MAX_AT_ONCE = 8, 64  # a refusal takes a door most of a second
WEB_AT_ONCE = 24  # at one host: all come from one address, and a door takes 50 strangers of one
CONTROL_RETRIES, CONTROL_PAUSE = 4, 0.5


class _Pace:
    """At most so many beginnings a second."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next = 0.0

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        await asyncio.sleep(at - now)


async def walk(
    places: Iterable[Place],
    canary: Canary,
    floor: Callable[[Place], Rung],
    *,
    nonce: str,
    per_second: float = 20.0,
    web: Iterable[tuple[Place, Sequence[Attempt]]] = (),
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Sequence[Record]:
    """Try everything. ``floor`` gives the rung that a place's door asks for, ``told`` is called with how many
    attempts are done, of how many; ``web`` are ready plans of the web doors, each a host's."""
    pace, many = _Pace(per_second), asyncio.Semaphore(int(min(MAX_AT_ONCE, max(MIN_AT_ONCE, per_second))))
    plans: list[tuple[Place, Sequence[Attempt]]] = [
        (place, attempts(place, canary, floor(place), nonce)) for place in places
    ]
    plans += web
    alone = asyncio.Lock()
    total = sum(len(plan) for _, plan in plans)
    done: list[Record] = []

    async def one(attempt: Attempt, source: str) -> Record:
        async with many:
            await pace.wait()
            talk = exchange if attempt.asks else converse
            record = Record(attempt, await talk(attempt, source), time.time())
        done.append(record)
        told(len(done), total)
        return record

    async def opening(attempt: Attempt, source: str) -> Record:
        """The first attempt. Controls go one by one and are tried again: POP3 opens a mailbox for one at a time."""
        if not attempt.control:
            return await one(attempt, source)
        async with alone:
            record = await one(attempt, source)
            for _ in range(CONTROL_RETRIES):
                if record.reply.outcome is not Outcome.CANNOT_SAY:
                    break
                done.remove(record)
                await asyncio.sleep(CONTROL_PAUSE)
                record = await one(attempt, source)
        return record

    async def visit(number: int, place: Place, plan: Sequence[Attempt]) -> list[Record]:
        source = source_of(place, number, nonce)
        first = await opening(plan[0], source)
        if first.reply.outcome is Outcome.UNREACHABLE:
            return [_nobody_there(first)]
        few = asyncio.Semaphore(WEB_AT_ONCE if place.listener is Listener.HTTPS else MAX_AT_ONCE)

        async def next_one(attempt: Attempt) -> Record:
            async with few:
                return await one(attempt, source)

        return [first, *await asyncio.gather(*(next_one(attempt) for attempt in plan[1:]))]

    visits = [visit(number, place, plan) for number, (place, plan) in enumerate(plans) if plan]
    return merged([record for group in await asyncio.gather(*visits) for record in group])


def _nobody_there(record: Record) -> Record:
    """A port that was only looked for is rightly closed, and a socket of this machine that nobody listens on opens
    nothing."""
    if record.attempt.place.role is Role.FOUND or record.attempt.place.unix:
        return Record(record.attempt, Reply(Outcome.NOT_OFFERED, record.reply.said), record.at)
    return record


def source_of(place: Place, number: int, nonce: str) -> str:
    """An address of 127/8 in a prefix that no other walk of the hour is likely to use; empty elsewhere."""
    if place.unix or not loopback(place) or ":" in place.host:
        return ""
    seed = sum(ord(c) * (i + 1) for i, c in enumerate(nonce))
    return f"127.{seed % 253 + 1}.{number % 250 + 1}.7"
