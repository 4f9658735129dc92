"""A door's (or the keeper's) side of its channel to the worker: snapshots in, events out.

Says hello until it holds a snapshot and a segment to write to; takes every newer snapshot, has the
caller close what is no longer admitted, and only then acknowledges; answers for its sessions. When
the worker dies nothing stops here: the snapshot ages, events go on to the open segment.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

from gambeson.model.snapshot import SnapshotIndex

from .channel import Channel, ChannelGone
from .keeper_messages import PublicKeysAsk, SignHeadAsk, WorkerAsks
from .messages import (
    FollowerHello,
    KillAsk,
    Killed,
    Message,
    Refused,
    SegmentClosed,
    SegmentOffer,
    SessionInfo,
    Sessions,
    SessionsAsk,
    SnapshotAck,
    SnapshotAge,
    SnapshotFresh,
    SnapshotOffer,
    ThrottleAsk,
    ThrottleState,
    ToFollower,
)
from .snapshots import SnapshotError, SnapshotHolder
from .spool import SpoolWriter

STALE_SECONDS = 25.0  # no word for so long: say hello again
AGE_SECONDS = 5.0  # how often the worker is told how old our snapshot is
COUNTS_SECONDS = 60.0  # how often the worker gets the throttle's counters
COUNTS_PATIENCE = 2.0  # wait no longer for those of the door before us: a worker before an upgrade has none


class WorkerLink:
    """``on_snapshot(index)`` (plain or coroutine) is done with a new snapshot when it returns: only then
    is it acknowledged. ``on_fresh(index)`` gets the same snapshot with a later ``made_at``.
    ``sessions(organisation)`` lists, ``kill(ask)`` closes and counts; ``asked`` answers what the worker
    may ask of the keeper. ``counts()`` gives the throttle's counters for whoever comes after us, ``on_counts(data)``
    takes those of the one before, once, before :meth:`first` returns. ``spool`` is ready to take
    events from the start, ``index`` is None until the first snapshot came."""

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        *,
        on_snapshot: Callable[[SnapshotIndex], Awaitable[None] | None],
        on_fresh: Callable[[SnapshotIndex], None] | None = None,
        sessions: Callable[[str], Sequence[SessionInfo]] | None = None,
        kill: Callable[[KillAsk], int] | None = None,
        asked: Callable[[Message], Message] | None = None,
        counts: Callable[[], bytes] | None = None,
        on_counts: Callable[[bytes], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._life = time.time_ns()
        self.spool = SpoolWriter(name, self._life)
        self.holder = SnapshotHolder()
        self.problem = ""
        self._name = name
        self._on_snapshot, self._on_fresh = on_snapshot, on_fresh
        self._sessions, self._kill, self._asked, self._clock = sessions, kill, asked, clock
        self._counts, self._on_counts = counts, on_counts
        self._counts_until = 0.0 if on_counts is None else time.monotonic() + COUNTS_PATIENCE
        self._turn = asyncio.Lock()
        self._first = asyncio.Event()
        self._channel = Channel(sock, ToFollower | WorkerAsks, self._take, name="worker")
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    @property
    def index(self) -> SnapshotIndex | None:
        """The snapshot held, with the time at which it was last known to be true."""
        return self.holder.index

    async def first(self, seconds: float = 30.0) -> SnapshotIndex:
        """Wait for the first snapshot and for a segment. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._first.wait()
        assert self.holder.index is not None
        return self.holder.index

    def tell_counts(self) -> None:
        """Give the worker the throttle's counters, for the door after this one."""
        if self._counts is not None and self._first.is_set():
            self._tell(ThrottleState(data=self._counts()))

    async def close(self) -> None:
        """Stop listening; events still in memory get a last chance."""
        self._ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticker
        self.spool.close()
        self._channel.close()

    def _hello(self) -> None:
        with contextlib.suppress(ChannelGone):
            self._channel.send(
                FollowerHello(life=self._life, number=self.holder.number, segment=self.spool.segment),
                keep=5.0,
            )

    async def _tick(self) -> None:
        self._hello()
        said = self._clock()
        aged = counted = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            passed = time.monotonic()
            if passed - aged >= AGE_SECONDS:
                aged = passed
                self._tell_age()
            if passed - counted >= COUNTS_SECONDS:
                counted = passed
                self.tell_counts()
            self._arrived()
            if not self.spool.healthy:
                self.spool.retry()
            index, now = self.holder.index, self._clock()
            wanting = (
                not self._first.is_set() or index is None or now - index.snapshot.made_at > STALE_SECONDS
            )
            if wanting and not 0 <= now - said < (5.0 if self._first.is_set() else 1.0):
                self._hello()
                said = now

    def _take(
        self, message: ToFollower | WorkerAsks, fds: tuple[int, ...]
    ) -> Message | Awaitable[None] | None:
        match message:
            case SnapshotOffer(number=number) if fds:
                return self._snapshot(number, fds)
            case SegmentOffer(segment=segment) if len(fds) == 1:
                if segment == self.spool.segment:
                    os.close(fds[0])
                else:
                    before = self.spool.use(segment, fds[0])
                    if before:
                        self._tell(SegmentClosed(segment=before))
                self._arrived()
                return None
        for fd in fds:
            os.close(fd)
        match message:
            case SnapshotFresh(number=number, at=at):
                index = self.holder.freshen(number, at)
                if index is None:
                    self._hello()
                elif self._on_fresh is not None:
                    self._on_fresh(index)
            case SessionsAsk(organisation=organisation):
                found = self._sessions(organisation) if self._sessions is not None else ()
                return Sessions(sessions=tuple(found))
            case KillAsk():
                return Killed(count=self._kill(message) if self._kill is not None else 0)
            case ThrottleAsk():
                return ThrottleState(data=self._counts() if self._counts is not None else b"")
            case ThrottleState(data=data):
                self._predecessor(data)
            case SignHeadAsk() | PublicKeysAsk():
                return self._asked(message) if self._asked is not None else Refused(reason="not-for-you")
            case _:
                self._hello()
        return None

    def _arrived(self) -> None:
        counted = time.monotonic() >= self._counts_until
        if counted and self.holder.index is not None and self.spool.segment:
            self._counts_until = 0.0  # whatever comes from now on would undo what we counted ourselves
            self._first.set()

    def _predecessor(self, data: bytes) -> None:
        """How the door before us stood: taken once, and only before we count ourselves."""
        if self._on_counts is None or not self._counts_until:
            return
        self._counts_until = 0.0
        if data:
            self._on_counts(data)
        self._arrived()

    def _tell_age(self) -> None:
        index = self.holder.index
        if index is not None:
            self._tell(SnapshotAge(seconds=max(0.0, self._clock() - index.snapshot.made_at)))

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(ChannelGone):
            self._channel.send(message)

    async def _snapshot(self, number: int, fds: tuple[int, ...]) -> None:
        try:
            async with self._turn:
                index = self.holder.take(number, fds[0])
                if index is not None:
                    done = self._on_snapshot(index)
                    if inspect.isawaitable(done):
                        await done
                self.problem = ""
        except SnapshotError as error:
            self.problem = str(error)
            return
        finally:
            for fd in fds:
                os.close(fd)
        self._arrived()
        if number == self.holder.number:
            self._tell(SnapshotAck(number=number))
        elif number < self.holder.number:
            self._hello()
