"""The worker's loop: publish snapshots, take in events, answer console and command line.

What is in a snapshot and where events go is the store's business above; it is handed in as a
:class:`WorkerStore` whose calls all run on one thread of their own, so that neither a locked database
nor a long query ever keeps a door waiting for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from gambeson.model.event import Event
from gambeson.model.snapshot import Snapshot

from .channel import Channel, ChannelGone, ChannelRefused
from .child import Life, Peer
from .command_socket import CommandSocket
from .ingestion import ROTATE_AT, Cursor, Ingestion
from .keeper_messages import PublicKeys, PublicKeysAsk, SignHeadAsk
from .messages import (
    FollowerHello,
    FromFollower,
    Health,
    HealthAsk,
    KillAsk,
    Killed,
    Message,
    Octets,
    PublishAsk,
    Published,
    Refused,
    SegmentClosed,
    SegmentOffer,
    Sessions,
    SessionsAsk,
    SnapshotAck,
    SnapshotAge,
    ThrottleAsk,
    ThrottleState,
    WorkerHello,
    WorkerRequest,
)
from .portal_messages import DeskAsk
from .publisher import Follower, Publisher, PublishError
from .snapshots import SnapshotFiles
from .throttle_shelf import ThrottleShelf, elder

REFRESH_SECONDS = 10.0
INGEST_SECONDS = 0.1
# Many events in one look: let more gather, since a transaction costs more than the events in it. Very many: a
# segment is read in parts, and the next is there already.
INGEST_BUSY, INGEST_BUSY_SECONDS, INGEST_BACKLOG = 50, 0.5, 2000
SHELVE_SECONDS = 5.0
FOLLOWERS = ("doors", "keeper")
PUBLISH_SECONDS = 1.0
_FROM_PORTAL = PublishAsk | HealthAsk | DeskAsk

R = TypeVar("R")
M = TypeVar("M", bound=Message)


def _pause(count: int) -> float:
    """Seconds to the next look at the spool, after one that found so many events."""
    if count >= INGEST_BACKLOG:
        return 0.0
    return INGEST_BUSY_SECONDS if count >= INGEST_BUSY else INGEST_SECONDS


class WorkerStore(Protocol):
    """What the worker needs of the store. Called on one thread; may block; may raise."""

    def build(self, number: int, now: float) -> Snapshot:
        """The present state as a snapshot of that number."""

    def ingest(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Store the events and the cursor in one transaction."""

    def cursors(self) -> Mapping[str, int]:
        """Every stored cursor: segment name to offset."""

    def forget(self, segment: str) -> None:
        """Drop one cursor; its segment is gone for good."""


class Worker:
    """One worker over ``folder`` (the data directory; ``snapshots/`` and ``spool/`` are ours).
    ``chores`` are coroutines that run beside, as long as the worker does. ``desk`` answers what the portal asks
    (:data:`gambeson.process.portal_messages.DeskAsk`), which is taken from the portal's channel and from no other."""

    desk: Callable[[Message], Awaitable[Message]] | None = None

    def __init__(
        self,
        store: WorkerStore,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        rotate_at: int = ROTATE_AT,
    ) -> None:
        self._store, self._clock = store, clock
        self._thread = ThreadPoolExecutor(1, "store")
        self._folder, self._rotate_at = folder, rotate_at
        self._publisher = Publisher(SnapshotFiles(folder / "snapshots"), self._build, clock)
        self._ingestion: Ingestion | None = None
        self._shelf = ThrottleShelf(folder / "throttle")
        self._lives: dict[str, int] = {}
        self._ages: dict[
            str, tuple[float, float]
        ] = {}  # of each follower's snapshot, and when we heard of it
        self._greetings: set[asyncio.Task[None]] = set()
        self._others: dict[str, Channel] = {}
        self._gone: set[str] = set()
        self._command: CommandSocket | None = None
        self.problem = ""

    async def start(
        self, peers: Sequence[Peer], command: socket.socket | None = None, owner: int = 0
    ) -> None:
        """Read where we stopped, greet everyone, publish the first snapshot (a store that cannot be
        read is a problem to be reported, not a reason to end)."""
        cursors = await self._on_thread(self._store.cursors)
        spool = self._folder / "spool"
        self._ingestion = Ingestion(spool, self._ingest, self._forget, cursors, self._rotate_at)
        for peer in peers:
            if peer.name not in self._gone:  # it may have left while we read the store
                self.add_peer(peer)
        self._ingestion.keep_only(set(self._publisher.followers))
        if command is not None:
            self._command = CommandSocket(command, owner, WorkerRequest, self._asked)
        with contextlib.suppress(PublishError):
            await self._publisher.publish(0.0)

    def add_peer(self, peer: Peer) -> None:
        """A door, the keeper, the portal or the console; anyone else has no business here."""
        name = peer.name
        if peer.role in FOLLOWERS:
            channel = Channel(peer.sock, FromFollower, lambda m, f: self._followed(name, m, f), name=name)
            self._publisher.followers[name] = Follower(peer.role, channel)
            with contextlib.suppress(ChannelGone):
                channel.send(WorkerHello(), keep=5.0)
        elif peer.role == "portal":
            self._others[name] = Channel(peer.sock, _FROM_PORTAL, self._portal, name=name, take_fds=False)
        elif peer.role == "console":
            self._others[name] = Channel(peer.sock, WorkerRequest, self._console, name=name, take_fds=False)
        else:
            peer.sock.close()

    def remove_peer(self, name: str) -> None:
        """That door is gone for good; what it wrote is still taken in."""
        self._gone.add(name)
        self._ages.pop(name, None)
        follower = self._publisher.followers.pop(name, None)
        channel = follower.channel if follower is not None else self._others.pop(name, None)
        if channel is not None:
            channel.close()
        if self._ingestion is not None:
            self._ingestion.keep_only(set(self._publisher.followers))

    async def run(self, life: Life, chores: Sequence[Awaitable[None]] = ()) -> None:
        """Serve until the supervisor says stop, then take in what is left."""
        own = (self._refreshing(), self._ingesting(), self._shelving())
        tasks = [asyncio.ensure_future(t) for t in (*own, *chores)]
        try:
            await life.stopped.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._last_words()

    async def _last_words(self) -> None:
        with contextlib.suppress(OSError):
            self._shelf.write(self._shelf.take_unwritten())
        if self._ingestion is not None:
            with contextlib.suppress(Exception):
                while await self._ingestion.step():
                    pass
            self._ingestion.close()
        if self._command is not None:
            self._command.close()
        for follower in self._publisher.followers.values():
            follower.channel.close()
        for channel in self._others.values():
            channel.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _refreshing(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS if not self._publisher.problem else 1.0)
            with contextlib.suppress(PublishError):
                await self._publisher.refresh()

    async def _ingesting(self) -> None:
        assert self._ingestion is not None
        while True:
            try:
                count = await self._ingestion.step()
                for owner, life in self._ingestion.full():
                    self._offer_segment(owner, life)
                self.problem = ""
            except Exception as error:
                # Whatever the store's fault is, the spool keeps the events; say so and try again.
                self.problem = f"events cannot be stored: {error}"
                await asyncio.sleep(1.0)
                continue
            await asyncio.sleep(_pause(count))

    async def _shelving(self) -> None:
        while True:
            await asyncio.sleep(SHELVE_SECONDS)
            changed = self._shelf.take_unwritten()
            with contextlib.suppress(OSError):  # a full disk: they are in memory, and said again in a minute
                await self._on_thread(self._shelf.write, changed)

    async def _on_thread(self, call: Callable[..., R], *args: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args))

    async def _build(self, number: int, now: float) -> Snapshot:
        return await self._on_thread(self._store.build, number, now)

    async def _ingest(self, events: Sequence[Event], cursor: Cursor) -> None:
        await self._on_thread(self._store.ingest, events, cursor)

    async def _forget(self, segment: str) -> None:
        await self._on_thread(self._store.forget, segment)

    def _followed(self, name: str, message: FromFollower, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        assert self._ingestion is not None
        match message:
            case FollowerHello(life=life, number=number, segment=segment):
                if self._lives.get(name) != life and self._is_door(name):
                    self._soon(self._hand_counts(name, life))
                self._lives[name] = life
                if self._ingestion.hello(name, life, segment):
                    self._offer_segment(name, life)
                self._publisher.hello(name, number)
            case SnapshotAck(number=number):
                self._publisher.acknowledge(name, number)
                if number == self._publisher.number:
                    age = max(0.0, self._clock() - self._publisher.made_at)
                    self._ages[name] = (age, asyncio.get_running_loop().time())
            case SegmentClosed(segment=segment):
                self._ingestion.close_segment(name, segment)
            case SnapshotAge(seconds=seconds):
                self._ages[name] = (seconds, asyncio.get_running_loop().time())
            case ThrottleState(data=data) if self._is_door(name):
                self._shelf.put(name, data, self._publisher.followers)

    def _is_door(self, name: str) -> bool:
        follower = self._publisher.followers.get(name)
        return follower is not None and follower.role == "doors"

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _hand_counts(self, name: str, life: int) -> None:
        """Give a new door the throttle counters of the one before it: its own from before a crash, else those of the
        door that it replaces as they stand now, else what is kept."""
        followers = self._publisher.followers
        before = elder(name, [other for other in followers if self._is_door(other)])
        if before and not self._shelf.said_by(name):
            with contextlib.suppress(ChannelGone, ChannelRefused):
                answer = await followers[before].channel.request(ThrottleAsk(), ThrottleState, 1.0)
                if answer.data:
                    self._shelf.put(name, answer.data, followers)
        follower = followers.get(name)
        if follower is not None and self._lives.get(name) == life:
            with contextlib.suppress(ChannelGone):
                follower.channel.send(ThrottleState(data=self._shelf.get(name)), keep=5.0)

    def snapshot_ages(self) -> dict[str, float]:
        """How many seconds ago each follower's snapshot was last known to be true, as far as it says so; one that
        falls silent gets older."""
        now = asyncio.get_running_loop().time()
        return {name: age + now - heard for name, (age, heard) in self._ages.items()}

    def _offer_segment(self, name: str, life: int) -> None:
        follower = self._publisher.followers.get(name)
        if follower is None or self._ingestion is None or self._lives.get(name) != life:
            return
        try:
            segment, fd = self._ingestion.offer(name, life)
        except OSError as error:
            self.problem = f"no event segment could be opened: {error.strerror}"
            return
        try:
            with contextlib.suppress(ChannelGone):
                follower.channel.send(SegmentOffer(segment=segment), (fd,), keep=5.0)
        finally:
            os.close(fd)

    async def publish(self, seconds: float = PUBLISH_SECONDS) -> Published:
        """A new snapshot to everyone; says who acted on it within ``seconds``. Raises PublishError."""
        return await self._publisher.publish(seconds)

    async def _console(self, message: WorkerRequest, fds: tuple[int, ...]) -> Message:
        return await self._asked(message, fds)

    async def _portal(self, message: PublishAsk | HealthAsk | DeskAsk, fds: tuple[int, ...]) -> Message:
        if isinstance(message, PublishAsk | HealthAsk):
            return await self._asked(message, fds)
        if self.desk is None:
            return Refused(reason="no-portal", sentence="There is no portal here.")
        return await self.desk(message)

    async def _asked(self, message: WorkerRequest, fds: tuple[int, ...]) -> Message:
        match message:
            case PublishAsk(seconds=seconds):
                try:
                    return await self._publisher.publish(min(max(seconds, 0.0), 30.0))
                except PublishError as error:
                    return Refused(reason="store", sentence=str(error)[:4000])
            case SessionsAsk():
                lists, missing = await self._ask_doors(message, Sessions)
                return Sessions(sessions=tuple(s for one in lists for s in one.sessions), missing=missing)
            case KillAsk():
                if not (message.session or message.device or message.account or message.organisation):
                    return Refused(reason="nothing-named", sentence="Say which session, device or account.")
                counts, missing = await self._ask_doors(message, Killed)
                return Killed(count=sum(k.count for k in counts), missing=missing)
            case HealthAsk():
                return self.health()

    async def sign_head(self, payload: bytes) -> bytes:
        """The keeper's signature of an audit head. Raises ChannelGone and ChannelRefused."""
        return (await self._keeper().request(SignHeadAsk(payload=payload), Octets)).value

    async def public_keys(self) -> PublicKeys:
        """The keeper's public keys. Raises ChannelGone and ChannelRefused."""
        return await self._keeper().request(PublicKeysAsk(), PublicKeys)

    def _keeper(self) -> Channel:
        for follower in self._publisher.followers.values():
            if follower.role == "keeper":
                return follower.channel
        raise ChannelGone("there is no keeper")

    @property
    def rejected(self) -> int:
        """Events thrown away since the start because their writer may not say such things."""
        return self._ingestion.rejected if self._ingestion is not None else 0

    def health(self) -> Health:
        """How it stands: who holds which snapshot, and what is wrong, if anything."""
        damaged = self._ingestion.damaged + self._ingestion.rejected if self._ingestion is not None else 0
        return Health(
            number=self._publisher.number,
            made_at=self._publisher.made_at,
            followers={n: f.number for n, f in self._publisher.followers.items()},
            damaged=damaged,
            problem=(self._publisher.problem or self.problem)[:4000],
        )

    async def _ask_doors(self, ask: Message, answers: type[M]) -> tuple[list[M], tuple[str, ...]]:
        doors = [(n, f) for n, f in sorted(self._publisher.followers.items()) if f.role == "doors"]
        results = await asyncio.gather(
            *(f.channel.request(ask, answers, 1.0) for _, f in doors), return_exceptions=True
        )
        given: list[M] = []
        missing: list[str] = []
        for (name, _), result in zip(doors, results, strict=True):
            if isinstance(result, ChannelGone | ChannelRefused):
                missing.append(name)
            elif isinstance(result, BaseException):
                raise result
            else:
                given.append(result)
        return given, tuple(missing)
