"""The console process: pages and API for those who look after organisations, over the store.

Everything is read and imported before the drop, the store opened after it. It runs as the worker's user, because both
write the databases; it holds no key, and what it asks of keeper and worker is decided there, by its channel.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gambeson import __version__
from gambeson.console import sheets
from gambeson.console.admin.app import ConsoleApp, make_console
from gambeson.console.admin.open_routes import open_routes
from gambeson.console.health import Health, Line
from gambeson.console.office import Facts, World
from gambeson.console.probes import Network, Prober
from gambeson.console.serve import ConsoleServer
from gambeson.console.works import Works
from gambeson.guard.edge.walk.keeping import kept_shields
from gambeson.model.event import Event
from gambeson.model.snapshot import SnapshotIndex
from gambeson.process import messages
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.child import Birth
from gambeson.process.family import CONSOLE, KEEPER, WORKER
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.worker_client import AdminWorker
from gambeson.settings import SettingsError, load
from gambeson.store.control import Store
from gambeson.store.errors import StoreError

from .console_doctor import ConsoleDoctor
from .place import Place
from .plan import read_secret
from .publishing import build_snapshot, rehearse
from .worker_child import with_password


def run_console(birth: Birth) -> int:
    """Until told to stop."""
    parameters = birth.parameters
    try:
        url = with_password(parameters["store"], read_secret(parameters["store_password"]))
        file = Path(parameters["settings_file"]) if parameters["settings_file"] else None
        config = load(file)
    except SettingsError as error:
        return birth.fail(f"console: {error}")
    try:
        store = Store.open(url, migrate=False)
        world = _world(birth, store)
        world.doctor = ConsoleDoctor(world, Place(Path(parameters["data"])), config, file).examine
        app = make_console(world, open_routes(world, Measuring(world, float(parameters["warn_age"])).measure))
        server = ConsoleServer(app, Path(parameters["certificate"]), Path(parameters["key"]))
        server.load()
        rehearse()
        sheets.rehearse()
        asyncio.run(_knock(app))
        store.close()
        birth.drop()
        world.store = Store.open(url, migrate=False)
    except StoreError as error:
        return birth.fail(f"console: {error}", 3)
    except ssl.SSLError as error:
        return birth.fail(f"console: the certificate {parameters['certificate']} cannot be used: {error}")
    except OSError as error:
        return birth.fail(f"console: it cannot be served: {error}")
    with world.store:
        uvloop.run(_serve(birth, server, world.probes))
    return 0


def _world(birth: Birth, store: Store) -> World:
    """What the pages share."""
    facts = msgspec.convert(birth.parameters["facts"], Facts)
    facts = replace(facts, version=__version__)

    def build() -> SnapshotIndex:
        now = time.time()
        parts = world.store.load_snapshot_parts(now)
        made, _ = build_snapshot(parts, facts.servers, 0, now, birth.parameters["enrolment_url"], facts.sites)
        return SnapshotIndex(made)

    world = World(
        store=store,
        keeper=AdminKeeper(birth.peers[KEEPER].sock),
        worker=AdminWorker(birth.peers[WORKER].sock),
        facts=facts,
        build=build,
        clock=time.time,
        random=secrets.token_bytes,
        works=Works(secrets.token_bytes, time.time),
        shields=lambda: kept_shields(Path(birth.parameters["data"])),
    )

    def append(events: list[Event]) -> int:
        return world.store.events.append(events)

    start = f"{time.time_ns():x}"
    world.probes = Prober(facts.listeners, append, Network(facts), time.time, start)
    return world


async def _knock(app: ConsoleApp) -> None:
    """Ask for the first page once, while everything may still be read and imported."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_event: Any) -> None:
        return None

    for path in ("/sign-in", "/api/v1/openapi.json", "/health", "/nowhere"):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", app.services.world.facts.origin.removeprefix("https://").encode())],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "state": {},
        }
        await app(scope, receive, send)


async def _serve(birth: Birth, server: ConsoleServer, prober: Prober | None) -> None:
    async with birth.attend() as life:
        serving = [
            asyncio.ensure_future(server.serve(sock))
            for name, sock in birth.listeners.items()
            if name.partition("#")[0] == CONSOLE
        ]
        probing = asyncio.ensure_future(prober.run()) if prober is not None else None
        life.ready()
        await life.stopped.wait()
        if probing is not None:
            probing.cancel()
        server.stop()
        if serving:
            await asyncio.wait(serving, timeout=5)


class Measuring:
    """The health report, measured by asking the worker."""

    def __init__(self, world: World, warn_age: float) -> None:
        self._world, self._warn_age = world, warn_age

    def measure(self) -> Health:
        """A fresh report. It may wait for the worker."""
        measured = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Health(__version__, measured, tuple(self._lines()))

    def _lines(self) -> list[Line]:
        try:
            health = self._world.worker.health()
        except (ChannelGone, ChannelRefused):
            return [Line("worker", "failed", "It does not answer; see the log of gambeson up.")]
        lines = [self._snapshot(health)]
        for name, number in sorted(health.followers.items()):
            current = number == health.number
            text = f"Holds snapshot {number}." if number else "Holds no snapshot yet."
            lines.append(Line(name, "ok" if current else "warning", text))
        if not any(name.startswith("doors") for name in health.followers):
            lines.append(Line("doors", "failed", "No door process is there."))
        if health.problem:
            lines.append(Line("worker", "failed", health.problem))
        if health.damaged:
            lines.append(Line("events", "warning", f"{health.damaged} records were damaged or not allowed."))
        return lines

    def _snapshot(self, health: messages.Health) -> Line:
        age = max(0.0, time.time() - health.made_at)
        state = "ok" if age <= self._warn_age else "failed"
        return Line("snapshot", state, f"Number {health.number}, {age:.0f} s old.")
