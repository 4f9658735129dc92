"""An IMAP server for thousands of idle sessions: one thread, one loop, everyone with a token is let in."""

from __future__ import annotations

import asyncio
import threading

from faults.upstream import GREETING


class _Session(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(GREETING["imap"])

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            extra = b"* CAPABILITY IMAP4rev1 IDLE\r\n" if b"CAPABILITY" in line.upper() else b""
            self.transport.write(extra + line.split(b" ")[0] + b" OK done\r\n")


class IdleServer:
    """See above. ``port`` is where."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(_Session, "127.0.0.1", 0, backlog=1024)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
