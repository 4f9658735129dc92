"""The mail doors as the process around them sees them: start, a new snapshot, list, kill, drain, stop.

A snapshot is acknowledged only after what it no longer admits was closed. Whoever is signed in is judged again every
half minute too: credentials, exceptions and modes also end by time alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping

from gambeson.model.snapshot import SnapshotIndex

from .decision_api import DecisionApi
from .decision_listener import DecisionListener
from .door import Door
from .door_settings import DoorSettings
from .listener import DoorListener
from .ports import Keeper, Spool
from .registry import SessionView
from .tls import DoorTls
from .upstream import Unreachable

_JUDGE_EVERY = 30.0  # seconds
_REVOKED = "Access from this device has changed; please sign in again."
_STOPPING = "The mail door is closing; please connect again in a moment."


class DoorServer:
    """One for a process. Make it inside the running loop."""

    def __init__(
        self, settings: DoorSettings, *, keeper: Keeper, spool: Spool, device_key: bytes, name: str = "doors"
    ) -> None:
        self.door = Door(settings, keeper=keeper, spool=spool, device_key=device_key, name=name)
        self.listeners: list[DoorListener | DecisionListener] = []
        self._judging: asyncio.TimerHandle | None = None
        self._rounds: set[asyncio.Task[int]] = set()

    def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Begin to accept at every listener of the settings; ``sockets`` are bound, by listener name, and become
        ours. Raises KeyError for one that is missing."""
        listeners: list[DoorListener | DecisionListener] = [
            DoorListener(self.door, s, sockets[s.name]) for s in self.door.settings.listeners
        ]
        engines = self.door.settings.decision_api
        if engines is not None:
            api = DecisionApi(self.door, engines)
            listeners += [
                DecisionListener(self.door, api, name, sockets[name], engines.uid)
                for name in engines.listeners
            ]
        for listener in listeners:
            listener.start()
        self.listeners += listeners
        self._judge_later()

    async def apply_snapshot(self, index: SnapshotIndex) -> int:
        """Judge by ``index`` from now on and close what it no longer admits. Returns how many were closed; when it
        returns the snapshot may be acknowledged."""
        door = self.door
        door.use(index)
        door.throttle.on_snapshot(index, door.counting())
        door.sightings.on_snapshot(index)
        for servers in index.servers.values():
            for endpoint in (e for s in servers for e in s.endpoints):
                try:
                    door.trust.prepare(endpoint)
                except Unreachable as error:
                    door.recorder.record("door.server.unusable", why=str(error)[:300])
        for site in index.site.values():
            try:
                door.trust.prepare(site.endpoint)
            except Unreachable as error:
                door.recorder.record("door.server.unusable", why=str(error)[:300], server=site.name)
        return await self._judge(index)

    def ask_servers(self, index: SnapshotIndex) -> None:
        """Learn what the submission servers offer that nobody has signed in at yet."""
        door = self.door
        door.offers.ask(index, door.trust, door.patience, door.settings.hostname)

    def freshen(self, index: SnapshotIndex) -> None:
        """The same snapshot, known to be true until later."""
        self.door.use(index)

    def set_tls(self, tls: DoorTls) -> None:
        """Offer these certificates to whoever connects from now on."""
        self.door.use_tls(tls)

    def sessions(self, organisation: str = "") -> list[SessionView]:
        """The signed-in sessions (of one organisation)."""
        index = self.door.index
        accounts = index.account if index is not None else {}

        def address(account: str) -> str:
            return accounts[account].address if account in accounts else ""

        views = self.door.registry.views(address)
        return [v for v in views if organisation in ("", v.organisation)]

    def kill(self, *, session: str = "", device: str = "", account: str = "", organisation: str = "") -> int:
        """Close every session that fits all that is given; nothing given fits none. Returns how many."""
        if not (session or device or account or organisation):
            return 0
        ended = 0
        for one in self.door.registry:
            who = one.identity
            if (
                not one.ending
                and session in ("", one.id)
                and device in ("", who.device)
                and account in ("", who.account)
                and organisation in ("", who.organisation)
            ):
                one.close("closed by an administrator", "This session was closed by an administrator.")
                ended += 1
        return ended

    async def drain(self, seconds: float) -> None:
        """Accept nobody new and wait for the last session, at most ``seconds``; then stop."""
        self._stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.door.admission.empty.wait()
        await self.stop(10.0)

    async def stop(self, seconds: float = 10.0) -> None:
        """Accept nobody new, say goodbye to everyone, and be gone within ``seconds``."""
        self._stop_accepting()
        door = self.door
        for count, session in enumerate(door.registry, 1):
            session.close("door stops", _STOPPING)
            if count % 100 == 0:
                await asyncio.sleep(0)
        for waiting in door.admission.all():
            waiting.shut_down(_STOPPING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.1, seconds - 1.0)):
                await door.admission.empty.wait()
        for session in door.registry:
            if session.link is not None:
                session.link.cut()
        for waiting in door.admission.all():
            waiting.drop("door stops")
        await asyncio.sleep(0)
        if self._judging is not None:
            self._judging.cancel()
        if door.request_log is not None:
            door.request_log.close()
        door.wheel.stop()

    def _stop_accepting(self) -> None:
        self.door.stopping = True
        for listener in self.listeners:
            listener.stop()
        for connection in tuple(self.door.web):
            connection.drain()

    async def _judge(self, index: SnapshotIndex) -> int:
        return await self.door.registry.judge_again(index, time.time(), _REVOKED)

    def _judge_later(self) -> None:
        loop = asyncio.get_running_loop()
        if self.door.index is not None:
            task = loop.create_task(self._judge(self.door.index))
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
        for listener in self.listeners:
            if listener.turned_away:
                # One event a round, not one a connection: a flood must not fill the disk.
                self.door.recorder.record(
                    "door.connections.refused", listener=listener.name, counts=dict(listener.turned_away)
                )
                listener.turned_away.clear()
        if refused := self.door.web_refusals.take():
            self.door.recorder.record("door.web.refused.more", counts=refused)
        if throttled := self.door.flood.take():
            self.door.recorder.record("door.logins.throttled", counts=throttled)
        self._judging = loop.call_later(_JUDGE_EVERY, self._judge_later)
