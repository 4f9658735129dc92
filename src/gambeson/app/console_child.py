"""The console process: the health page, measured by asking the worker, and the portal on its socket behind the door."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from gambeson import __version__
from gambeson.console.health import Health, Line
from gambeson.console.serve import ConsoleServer
from gambeson.guard.edge.directory import OpenError
from gambeson.process import messages
from gambeson.process.channel import Channel, ChannelGone, ChannelRefused
from gambeson.process.child import Birth
from gambeson.process.family import CONSOLE, KEEPER, WORKER

from .portal_backend import ChannelBackend
from .portal_process import PortalProcess
from .web_plan import PORTAL


def run_console(birth: Birth) -> int:
    """Until told to stop."""
    measuring = _Measuring(float(birth.parameters["warn_age"]))
    parameters = birth.parameters
    server = ConsoleServer(measuring.measure, Path(parameters["certificate"]), Path(parameters["key"]))
    try:
        server.load()
        portal = PortalProcess(parameters["portal"]) if parameters.get("portal") else None
    except (OSError, ssl.SSLError) as error:
        return birth.fail(f"console: the certificate {parameters['certificate']} cannot be used: {error}")
    except (OpenError, ValueError) as error:
        return birth.fail(f"console: the portal cannot be served: {error}")
    birth.drop()
    uvloop.run(_serve(birth, server, measuring, portal))
    return 0


async def _serve(
    birth: Birth, server: ConsoleServer, measuring: _Measuring, portal: PortalProcess | None
) -> None:
    async with birth.attend() as life:
        worker = Channel(
            birth.peers[WORKER].sock, messages.Done, lambda _m, _f: None, name=WORKER, take_fds=False
        )
        measuring.worker = worker
        serving = [
            asyncio.ensure_future(server.serve(sock))
            for name, sock in birth.listeners.items()
            if name.partition("#")[0] == CONSOLE
        ]
        if portal is not None:
            keeper = Channel(
                birth.peers[KEEPER].sock, messages.Done, lambda _m, _f: None, name=KEEPER, take_fds=False
            )
            portal.open(ChannelBackend(worker, keeper, portal.directory))
            life.on_peer, life.on_peer_gone = portal.add_peer, portal.remove_peer
            for peer in birth.peers.values():
                portal.add_peer(peer)
            serving.append(asyncio.ensure_future(portal.serve(birth.listeners[PORTAL])))
        life.ready()
        await life.stopped.wait()
        server.stop()
        if portal is not None:
            portal.stop()
        await asyncio.wait(serving, timeout=5)


class _Measuring:
    def __init__(self, warn_age: float) -> None:
        self._warn_age = warn_age
        self.worker: Channel | None = None

    async def measure(self) -> Health:
        """A fresh report."""
        measured = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Health(__version__, measured, tuple(await self._lines()))

    async def _lines(self) -> list[Line]:
        assert self.worker is not None
        try:
            health = await self.worker.request(messages.HealthAsk(), messages.Health, 2.0)
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
