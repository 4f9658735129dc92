"""The playground process: the embedded mail server on its abstract Unix sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import uvloop

from gambeson.playground import notices, serve
from gambeson.process.child import Birth


def run_playground(birth: Birth) -> int:
    """Until told to stop."""
    parameters = birth.parameters
    try:
        public_key = Path(parameters["token_key"]).read_bytes()
        sockets = serve.listening_sockets(parameters["instance"])
        letterbox = notices.listening_socket(parameters["instance"])
    except OSError as error:
        return birth.fail(f"playground: {error}")
    serve.preload()
    birth.drop()
    uvloop.run(_serve(birth, sockets, letterbox, public_key))
    return 0


async def _serve(birth: Birth, sockets: serve.Sockets, letterbox: socket.socket, public_key: bytes) -> None:
    async with birth.attend() as life:
        boxes = serve.open_mailboxes(Path(birth.parameters["root"]), serve.now())
        servers = await serve.serve(sockets, boxes, public_key, birth.parameters["uids"])
        servers.append(await notices.serve(letterbox, boxes, serve.peer_is, birth.parameters["notice_uids"]))
        life.ready()
        await life.stopped.wait()
        for server in servers:
            server.close()
