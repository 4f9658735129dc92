"""Publishing: the worker's side of snapshots. Build, write, send to everyone, wait for their word.

Whoever asks gets a snapshot that was built after the question; questions that wait share one build.
A snapshot counts as acknowledged by a door only when it has also closed what it no longer admits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gambeson.model.snapshot import Snapshot

from .channel import Channel, ChannelGone
from .messages import Published, SnapshotFresh, SnapshotOffer
from .snapshots import SnapshotFiles, likeness


class PublishError(RuntimeError):
    """No snapshot could be made or written. One sentence."""


class Follower:
    """A door or the keeper: its channel and the number it has acknowledged."""

    def __init__(self, role: str, channel: Channel) -> None:
        self.role, self.channel, self.number = role, channel, 0


class Publisher:
    """``build(number, now)`` reads the store (a coroutine); ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        files: SnapshotFiles,
        build: Callable[[int, float], Awaitable[Snapshot]],
        clock: Callable[[], float],
    ) -> None:
        self.followers: dict[str, Follower] = {}
        self.number, self.made_at, self.problem = files.last(), 0.0, ""
        self._files, self._build, self._clock = files, build, clock
        self._likeness = b""
        self._fd, self._offered = -1, 0
        self._turn = asyncio.Lock()
        self._asked = self._covered = 0
        self._heard = asyncio.Event()

    async def publish(self, seconds: float = 1.0) -> Published:
        """A new snapshot, built from now on, to everyone; waits up to ``seconds`` for their
        acknowledgement. Raises PublishError."""
        deadline = asyncio.get_running_loop().time() + seconds
        self._asked += 1
        mine = self._asked
        async with self._turn:
            if self._covered < mine:
                covers = self._asked
                await self._make(always=True)
                self._covered = covers
        return await self._acknowledged(self.number, deadline)

    async def refresh(self) -> None:
        """Publish where something changed, else tell everyone that their snapshot still holds.
        Raises PublishError."""
        async with self._turn:
            await self._make(always=False)

    def hello(self, name: str, number: int) -> None:
        """A follower has come (back): give it what we have. The keeper's number is believed, so that
        numbers go on growing even where the folder of snapshots was lost; a door's is not."""
        follower = self.followers.get(name)
        if follower is None:
            return
        if follower.role == "keeper" and self.number < number < 2**62:
            self.number = number
            self._likeness = b""
        if self._fd >= 0:
            self._offer(follower)

    def acknowledge(self, name: str, number: int) -> None:
        """A follower holds ``number``."""
        follower = self.followers.get(name)
        if follower is not None and number <= self.number:
            follower.number = number
            self._heard.set()

    async def _make(self, always: bool) -> None:
        now = self._clock()
        try:
            snapshot = replace(await self._build(self.number + 1, now), number=self.number + 1, made_at=now)
            same = likeness(snapshot)
            if not always and same == self._likeness and self._fd >= 0:
                self.made_at = now
                for follower in self.followers.values():
                    with contextlib.suppress(ChannelGone):
                        follower.channel.send(SnapshotFresh(number=self.number, at=now), keep=5.0)
                self.problem = ""
                return
            fd = self._files.write(snapshot)
        except Exception as error:
            self.problem = f"no snapshot could be published: {error}"
            raise PublishError(self.problem) from error
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._offered, self._likeness = fd, snapshot.number, same
        self.number, self.made_at, self.problem = snapshot.number, now, ""
        for follower in self.followers.values():
            self._offer(follower)

    def _offer(self, follower: Follower) -> None:
        with contextlib.suppress(ChannelGone):
            follower.channel.send(SnapshotOffer(number=self._offered), (self._fd,), keep=5.0)

    async def _acknowledged(self, number: int, deadline: float) -> Published:
        while True:
            self._heard.clear()
            missing = tuple(sorted(n for n, f in self.followers.items() if f.number < number))
            left = deadline - asyncio.get_running_loop().time()
            if not missing or left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._heard.wait()
        there = tuple(sorted(n for n in self.followers if n not in missing))
        return Published(number=number, acknowledged=there, missing=missing)
