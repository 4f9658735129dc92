"""The program of one door process: be born, load, drop rights, serve, end.

Order: certificates and everything imported while there are still rights; then the drop; then the channels to
worker and keeper. Listening begins with the first snapshot, so that nobody meets a door that knows nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
from collections.abc import Sequence

import msgspec
import uvloop

from gambeson.guard.core.web.clients import load_clients
from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shields import load_shields
from gambeson.model.snapshot import SnapshotIndex
from gambeson.process.child import Birth, Life, Peer
from gambeson.process.family import KEEPER, PORTAL, WORKER
from gambeson.process.keeper_client import DoorKeeper, KeeperGone, KeeperRefused
from gambeson.process.messages import KillAsk, SessionInfo
from gambeson.process.worker_link import WorkerLink

from .door_server import DoorServer
from .door_settings import DoorSettings
from .plan import DoorPlan, PlanError
from .web.exchange import install
from .web.gate import WebGate, WebRules
from .web.portal_link import PortalLink

_KEPT_BUCKETS = 10_000  # of each kind, for the door after this one: some 2 MB at most
_TELL_SECONDS = 1.0
_FIRST_SNAPSHOT = 60.0  # seconds; the supervisor starts us again after that


def run_doors(birth: Birth) -> int:
    """The whole life of a door process; returns its exit status."""
    try:
        settings = DoorPlan.from_plain(birth.parameters).load()
    except PlanError as error:
        return birth.fail(str(error))
    names = [each.name for each in settings.listeners]
    names += settings.decision_api.listeners if settings.decision_api is not None else ()
    missing = [name for name in names if name not in birth.listeners]
    if missing:
        return birth.fail(f"{birth.name}: no socket came for {', '.join(missing)}")
    _allow_descriptors()
    rules = WebRules(load_grammars(), load_shields(), load_clients())
    birth.drop()
    # What is loaded now stays: the collector needs not look at it again, and not after every other login.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(birth, settings, rules))


def _allow_descriptors() -> None:
    """As many open files as the machine allows: a session takes two, and a shell's usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _live(birth: Birth, settings: DoorSettings, rules: WebRules) -> int:
    async with birth.attend() as life:
        keeper = DoorKeeper(_peer(birth, KEEPER).sock)
        process = DoorProcess(birth.name, settings, keeper, _peer(birth, WORKER))
        portal = next((peer for peer in birth.peers.values() if peer.role == PORTAL), None)
        process.open_web(rules, PortalLink(portal.sock) if portal is not None else None)
        try:
            await process.serve(life, birth)
        except TimeoutError:
            return birth_failed(birth)
        finally:
            await process.close()
            keeper.close()
    return 0


def birth_failed(birth: Birth) -> int:
    """No snapshot came: say so on the way out."""
    os.write(2, f"gambeson: {birth.name}: no snapshot came from the worker\n".encode())
    return 3


def _peer(birth: Birth, role: str) -> Peer:
    return next(peer for peer in birth.peers.values() if peer.role == role)


class DoorProcess:
    """The doors and their two channels. To be made inside the running loop."""

    def __init__(self, name: str, settings: DoorSettings, keeper: DoorKeeper, worker: Peer) -> None:
        self._name = name
        self._keeper = keeper
        self.link = WorkerLink(
            worker.sock,
            name,
            on_snapshot=self._snapshot,
            on_fresh=self._fresh,
            sessions=self._sessions,
            kill=self._kill,
            counts=self._counts,
            on_counts=self._take_counts,
        )
        self.server = DoorServer(settings, keeper=keeper, spool=self.link.spool, device_key=b"", name=name)
        self.server.door.before_directory = self._before_directory
        self._gate: WebGate | None = None
        self._link_to_portal: PortalLink | None = None
        self._told_soon: asyncio.TimerHandle | None = None
        self._more_to_tell = False
        self._key = asyncio.get_running_loop().create_task(self._fetch_key())

    async def serve(self, life: Life, birth: Birth) -> None:
        """Until the supervisor says stop or drain. Raises TimeoutError when no snapshot comes."""
        orders = [
            asyncio.create_task(life.stopped.wait(), name="stop"),
            asyncio.create_task(life.draining.wait(), name="drain"),
        ]
        first = asyncio.create_task(self._first())
        await asyncio.wait([*orders, first], return_when=asyncio.FIRST_COMPLETED)
        try:
            if not first.done():
                return
            first.result()
            self.server.start(birth.listeners)
            life.ready()
            await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
            if life.draining.is_set() and not life.stopped.is_set():
                self.link.tell_counts()
                await self._drain(life, orders[0])
            await self.server.stop(max(0.5, min(life.seconds, 10.0)))
        finally:
            for task in (*orders, first):
                task.cancel()

    def open_web(self, rules: WebRules, link: PortalLink | None) -> None:
        """Judge HTTP requests by these rules; ``link`` leads to the portal."""
        settings = self.server.door.settings
        self._gate = WebGate(self.server.door, rules, portal=settings.portal, link=link)
        if rules.clients is not None:
            install(self._gate, self.server.door, rules.clients, servers=settings.mail_names)
        self._link_to_portal = link
        self.server.door.gate = self._gate

    async def close(self) -> None:
        """Let go of the channels; events and counters still in memory get a last chance."""
        self._key.cancel()
        if self._gate is not None:
            self._gate.close()
        if self._link_to_portal is not None:
            self._link_to_portal.close()
        self.link.tell_counts()
        await self.link.close()

    async def _first(self) -> None:
        """A snapshot, a place for events, and the key."""
        await self.link.first(_FIRST_SNAPSHOT)
        async with asyncio.timeout(_FIRST_SNAPSHOT):
            await asyncio.shield(self._key)

    async def _drain(self, life: Life, stopped: asyncio.Task[bool]) -> None:
        """Wait for the last session, or the order to stop after all."""
        draining = asyncio.create_task(self.server.drain(life.seconds))
        await asyncio.wait([draining, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            draining.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await draining

    async def _fetch_key(self) -> None:
        """The keys of device secrets and session tokens, from a keeper that may only be starting."""
        while True:
            try:
                keys = await self._keeper.hello()
            except (KeeperGone, KeeperRefused):
                await asyncio.sleep(0.2)
                continue
            if self._gate is not None and keys.session_pem:
                self._gate.use_session_key(keys.session_pem)
            self.server.door.device_key = keys.key
            return

    async def _snapshot(self, index: SnapshotIndex) -> None:
        await self.server.apply_snapshot(index)
        self.server.ask_servers(index)

    def _fresh(self, index: SnapshotIndex) -> None:
        self.server.freshen(index)
        self.server.ask_servers(index)

    def _counts(self) -> bytes:
        """The throttle, what the directory saw, the hourly limits, and who was seen where, as octets; what was least
        used is left out where it would be long."""
        door = self.server.door
        counts = door.throttle.dump(newest=_KEPT_BUCKETS)
        if door.settings.directory is not None:
            counts["directory"] = door.settings.directory.budget.dump()
        counts["quota"] = door.quota.dump()
        counts["sightings"] = door.sightings.dump(newest=_KEPT_BUCKETS)
        return msgspec.msgpack.encode(counts)

    def _before_directory(self) -> None:
        """What a directory sees of passwords must be known to whoever comes after us, however we end: told at once, or
        a second after the last time."""
        if self._told_soon is None:
            self.link.tell_counts()
            self._told_soon = asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell_again)
        else:
            self._more_to_tell = True

    def _tell_again(self) -> None:
        self._told_soon = None
        if self._more_to_tell:
            self._more_to_tell = False
            self._before_directory()

    def _take_counts(self, data: bytes) -> None:
        """Go on counting where the door before us stopped. It may have been anybody's by then: what does not have
        the shape of counters is not taken, and what has it can make throttle and risk harder or softer, nothing
        else."""
        try:
            counts, door = msgspec.msgpack.decode(data), self.server.door
            now = door.counting()
            door.throttle.load(counts, now)
            if door.settings.directory is not None and "directory" in counts:
                door.settings.directory.budget.load(counts["directory"], now)
            if "quota" in counts:
                door.quota.load(counts["quota"], now)
            if "sightings" in counts:
                door.sightings.load(counts["sightings"], now)
        except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            self.server.door.recorder.record("door.throttle.unusable", why=str(error)[:200])

    def _sessions(self, organisation: str) -> Sequence[SessionInfo]:
        return [
            SessionInfo(
                id=view.id,
                door=view.door.value,
                organisation=view.organisation,
                account=view.account,
                address=view.address,
                device=view.device,
                source=view.source,
                since=view.since,
                process=self._name,
                server=view.server,
            )
            for view in self.server.sessions(organisation)
        ]

    def _kill(self, ask: KillAsk) -> int:
        return self.server.kill(
            session=ask.session, device=ask.device, account=ask.account, organisation=ask.organisation
        )
