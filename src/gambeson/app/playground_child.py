"""The playground process: the embedded mail server on its abstract Unix sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import uvloop

from gambeson.model.access import DoorKind
from gambeson.playground import notices, serve
from gambeson.playground.exchange.front_end import FrontEnd
from gambeson.playground.exchange.logs import ExchangeLogs
from gambeson.playground.exchange.serve import application
from gambeson.process.child import Birth
from gambeson.process.unix_http import UnixHttpServer


def run_playground(birth: Birth) -> int:
    """Until told to stop."""
    parameters = birth.parameters
    try:
        public_key = Path(parameters["token_key"]).read_bytes()
        sockets = serve.listening_sockets(parameters["instance"])
        letterbox = notices.listening_socket(parameters["instance"])
        web = serve.listening_socket(parameters["instance"], DoorKind.WEBMAIL)
    except OSError as error:
        return birth.fail(f"playground: {error}")
    serve.preload()
    boxes = serve.boxes_at(Path(parameters["root"]))
    front = FrontEnd(boxes, parameters["passwords"])
    logs = ExchangeLogs(Path(parameters["root"]) / "exchange")
    emulator = UnixHttpServer(application(front, logs), parameters["uids"], keep_alive=3700)
    birth.drop()
    uvloop.run(_serve(birth, sockets, letterbox, web, emulator, public_key))
    return 0


async def _serve(
    birth: Birth,
    sockets: serve.Sockets,
    letterbox: socket.socket,
    web: socket.socket,
    emulator: UnixHttpServer,
    public_key: bytes,
) -> None:
    async with birth.attend() as life:
        boxes = serve.open_mailboxes(Path(birth.parameters["root"]), serve.now())
        servers = await serve.serve(sockets, boxes, public_key, birth.parameters["uids"])
        servers.append(await notices.serve(letterbox, boxes, serve.peer_is, birth.parameters["notice_uids"]))
        serving = asyncio.ensure_future(emulator.serve(web))
        life.ready()
        await life.stopped.wait()
        emulator.stop()
        await asyncio.wait([serving], timeout=3)
        for server in servers:
            server.close()
