"""A worker in the tests that answers how everyone is, over the real channel. ``held`` is what the doors hold.

with Worker(lab) as worker:
    worker.held = 3        # the newest snapshot is 4
    worker.stop()          # from now on nobody answers
"""

from __future__ import annotations

import asyncio
import threading

from console.lab import Lab
from gambeson.process.channel import Channel
from gambeson.process.messages import (
    Health,
    HealthAsk,
    KillAsk,
    Killed,
    Message,
    PublishAsk,
    Published,
    SessionInfo,
    Sessions,
    SessionsAsk,
)
from gambeson.process.packet import pair
from gambeson.process.worker_client import AdminWorker


class Worker:
    def __init__(self, lab: Lab) -> None:
        self.held = self.number = 4
        self.sessions: tuple[SessionInfo, ...] = ()
        self.killed: list[KillAsk] = []
        self._lab = lab
        ours, self._theirs = pair()
        ours.setblocking(True)
        self._ours = ours
        self._ended: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        assert self._ready.wait(10)
        self._lab.world.worker = AdminWorker(self._ours)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._ours.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            assert self._loop is not None
            assert self._ended is not None
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        asks = HealthAsk | PublishAsk | SessionsAsk | KillAsk
        channel = Channel(self._theirs, asks, self._answer, name="console", take_fds=False)
        self._ready.set()
        await self._ended.wait()
        channel.close()

    def _answer(self, message: Message, fds: tuple[int, ...]) -> Message:
        if isinstance(message, PublishAsk):
            return Published(number=self.number, acknowledged=("doors.1",))
        if isinstance(message, SessionsAsk):
            return Sessions(sessions=self.sessions)
        if isinstance(message, KillAsk):
            self.killed.append(message)
            return Killed(count=1)
        return Health(number=self.number, made_at=self._lab.clock.now, followers={"doors.1": self.held})
