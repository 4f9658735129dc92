"""Looking at a ClientHello before the handshake: which name the client asks for."""

from __future__ import annotations

import asyncio
import socket

from gambeson.wire.tls_hello import MAX_HELLO, server_name

_PATIENCE = (
    0.005,
    0.02,
    0.1,
)  # seconds between looks at a hello that is not whole; the last for all further ones


async def asked_name(sock: socket.socket, seconds: float) -> str:
    """The name in the hello that waits in the socket, which stays there; empty for none, or where none comes in time.
    Raises OSError."""
    try:
        async with asyncio.timeout(seconds):
            return await _look(sock)
    except TimeoutError:
        return ""


async def _look(sock: socket.socket) -> str:
    tries = 0
    while True:
        await _readable(sock)
        octets = sock.recv(MAX_HELLO, socket.MSG_PEEK)
        if not octets:
            return ""
        name = server_name(octets)
        if name is not None:
            return name
        # The socket stays readable, so waiting for that would be a busy loop.
        await asyncio.sleep(_PATIENCE[min(tries, len(_PATIENCE) - 1)])
        tries += 1


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock.fileno(), set_ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())
