"""An ASGI application under uvicorn on a Unix socket, for processes of listed users only.

An abstract socket has no file mode, so the kernel is asked who connects before a single octet is read.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .unix_listen import peer_user

# Connections, idle ones too, and requests: more than the doors let in, for they choose who has to go. A lower limit
# here would let whoever holds connections open turn everybody else away.
MOST = 16_384


def guarded(uids: Collection[int]) -> type[HttpToolsProtocol]:
    """uvicorn's protocol for HTTP/1.1, which closes connections of other users' processes."""
    listed = frozenset(uids)

    class GuardedHttp(HttpToolsProtocol):
        """See :func:`guarded`."""

        _admitted = False

        def connection_made(self, transport: Any) -> None:
            """The connection stands: whose is it?"""
            try:
                self._admitted = peer_user(transport.get_extra_info("socket")) in listed
            except OSError:
                self._admitted = False
            if self._admitted:
                super().connection_made(transport)
            else:
                transport.abort()

        def data_received(self, data: bytes) -> None:
            """Octets came."""
            if self._admitted:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            """The connection is gone."""
            if self._admitted:
                super().connection_lost(exc)

        def eof_received(self) -> None:
            """The peer has finished sending."""
            if self._admitted:
                super().eof_received()

    return GuardedHttp


class UnixHttpServer:
    """Made, and everything imported, before the process gives up its rights; ``serve`` runs until ``stop``.
    ``keep_alive`` is how many seconds a connection may wait for its next request."""

    def __init__(self, application: Any, uids: Collection[int], keep_alive: int = 75) -> None:
        self._config = uvicorn.Config(
            application,
            http=guarded(uids),
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MOST,
            timeout_keep_alive=keep_alive,
        )
        self._server = uvicorn.Server(self._config)
        self._config.load()

    async def serve(self, sock: socket.socket) -> None:
        """Serve until ``stop`` is called. Signals stay with the caller."""
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[sock])
        await self._server.main_loop()
        await self._server.shutdown(sockets=[sock])

    def stop(self) -> None:
        """End ``serve``; polls that wait are cut."""
        self._server.should_exit = True
        self._server.force_exit = True
