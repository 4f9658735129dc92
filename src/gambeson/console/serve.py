"""Runs the console under uvicorn, on a socket that was bound before privileges were dropped."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import uvicorn

from .web.shell import Application


class ConsoleServer:
    """``load`` reads certificate and key and imports what will be needed; ``serve`` runs until ``stop``."""

    def __init__(self, app: Application, certificate: Path, key: Path) -> None:
        self._config = uvicorn.Config(
            app,
            ssl_certfile=str(certificate),
            ssl_keyfile=str(key),
            http="httptools",
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody stands before it, so no header says who asks: throttle and audit log go by the connection.
            proxy_headers=False,
            date_header=True,
            limit_concurrency=256,
            timeout_keep_alive=15,
            h11_max_incomplete_event_size=16384,
        )
        self._server = uvicorn.Server(self._config)

    def load(self) -> None:
        """Read files and import, while that is still allowed. Raises OSError, ssl.SSLError."""
        self._config.load()
        if self._config.ssl is not None:
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2

    async def serve(self, sock: socket.socket) -> None:
        """Serve until ``stop`` is called. Signals stay with the caller."""
        if not self._config.loaded:
            self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[sock])
        await self._server.main_loop()
        await self._server.shutdown(sockets=[sock])

    def stop(self) -> None:
        """End ``serve`` after the requests under way."""
        self._server.should_exit = True
