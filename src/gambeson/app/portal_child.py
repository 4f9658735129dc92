"""The portal process: where members sign in with a browser, on its socket behind the doors."""

from __future__ import annotations

import asyncio

import uvloop

from gambeson.guard.edge.directory import OpenError
from gambeson.process import messages
from gambeson.process.channel import Channel
from gambeson.process.child import Birth
from gambeson.process.family import KEEPER, PORTAL, WORKER

from .portal_backend import ChannelBackend
from .portal_process import PortalProcess


def run_portal(birth: Birth) -> int:
    """Until told to stop."""
    try:
        portal = PortalProcess(birth.parameters)
    except (OpenError, OSError, ValueError) as error:
        return birth.fail(f"portal: it cannot be served: {error}")
    birth.drop()
    uvloop.run(_serve(birth, portal))
    return 0


async def _serve(birth: Birth, portal: PortalProcess) -> None:
    async with birth.attend() as life:
        worker, keeper = (
            Channel(birth.peers[name].sock, messages.Done, lambda _m, _f: None, name=name, take_fds=False)
            for name in (WORKER, KEEPER)
        )
        portal.open(ChannelBackend(worker, keeper, portal.directory))
        life.on_peer, life.on_peer_gone = portal.add_peer, portal.remove_peer
        for peer in birth.peers.values():
            portal.add_peer(peer)
        serving = asyncio.ensure_future(portal.serve(birth.listeners[PORTAL]))
        life.ready()
        await life.stopped.wait()
        portal.stop()
        await asyncio.wait([serving], timeout=5)
