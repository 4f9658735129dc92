"""A door process learns its keys from the keeper and gets its gate: the parts as ``main`` joins them."""

from __future__ import annotations

import asyncio
import time

from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.edge.door_settings import DoorSettings
from gambeson.guard.edge.main import DoorProcess
from gambeson.guard.edge.plan import CertificatePlan, DoorPlan, ListenerSettings
from gambeson.guard.edge.web.gate import WebGate, WebRules
from gambeson.guard.edge.web.portal import Portal
from gambeson.guard.edge.web.portal_link import PortalLink
from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.process import keeper_messages as k
from gambeson.process.channel import Channel
from gambeson.process.child import Peer
from gambeson.process.family import WORKER
from gambeson.process.keeper_client import DoorKeeper
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.packet import pair
from guard.edge.doors import run
from guard.edge.web.gates import MAIL, PORTAL, keys

PLACE = Portal(PORTAL, f"https://{PORTAL}", Endpoint(DoorKind.PORTAL, unix="@portal", tls=UpstreamTls.NONE))


def test_the_plan_carries_the_portal_to_the_doors():
    listener = ListenerSettings("https", Listener.HTTPS)
    plan = DoorPlan(
        hostname=MAIL, listeners=(listener,), certificates=(CertificatePlan("c", "k"),), portal=PLACE
    )
    assert DoorPlan.from_plain(plan.plain()).portal == PLACE
    assert DoorPlan.from_plain(DoorPlan(hostname=MAIL, listeners=(listener,)).plain()).portal is None


def test_a_door_process_gets_its_gate_and_both_keys():
    async def main() -> None:
        core = KeeperCore(keys())
        ours, theirs = pair()
        answering = Channel(
            theirs,
            k.KeeperHello | k.CredentialAsk,
            lambda message, fds: core.answer("doors", "doors.1", message, time.time()),
        )
        keeper = DoorKeeper(ours)
        worker, workers_end = pair()
        console, consoles_end = pair()
        settings = DoorSettings(MAIL, (), portal=PLACE)
        process = DoorProcess("doors.1", settings, keeper, Peer("worker", WORKER, worker))
        process.open_web(WebRules(load_grammars(), load_shields()), PortalLink(console))
        gate = process.server.door.gate
        assert isinstance(gate, WebGate)
        assert gate.people.portal == f"https://{PORTAL}"
        async with asyncio.timeout(5):
            while not process.server.door.device_key:
                await asyncio.sleep(0.01)
        assert process.server.door.device_key == keys().device
        assert gate.people.sessions.key is not None
        assert gate.people.sessions.key.public_bytes_raw() == keys().session.public_key().public_bytes_raw()
        await process.close()
        keeper.close()
        answering.close()
        for sock in (workers_end, consoles_end):
            sock.close()

    run(main)
