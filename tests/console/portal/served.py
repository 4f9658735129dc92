"""The portal on a port, for a browser: what the tests of it in Chromium share. The fixtures are in ``conftest``."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page

from console.portal.memory_desk import MemoryBackend
from gambeson.console.portal import ApplicationHost, MailService, PortalSettings, make_portal
from gambeson.playground import certificate


class Served:
    """The portal at https://login.localhost:PORT, and an application beside it that only says where one arrived."""

    def __init__(self, folder: Path) -> None:
        _, cert, key = certificate.ensure(folder, datetime.now(UTC))
        self.certificate = cert
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        self.host, self.application = f"login.localhost:{self.port}", f"mail.localhost:{self.port}"
        self.origin = f"https://{self.host}"
        self.backend = MemoryBackend(lambda: datetime.now(UTC).timestamp())
        settings = PortalSettings(
            self.origin,
            applications=(ApplicationHost(self.application, "Webmail", password=True),),
            mail=(
                MailService("imap", "mail.localhost", 993),
                MailService("submission", "mail.localhost", 465),
            ),
        )
        self.portal = make_portal(self.backend, settings)
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            ssl_certfile=str(cert),
            ssl_keyfile=str(key),
            lifespan="off",
            log_config=None,
            proxy_headers=False,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([sock])), daemon=True)
        self.thread.start()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if dict(scope["headers"]).get(b"host", b"").decode() == self.host:
            await self.portal(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"arrived"})


def submit(page: Page, action: str, then: str, **fields: str) -> None:
    """Fill in the form with that action, press its button, and wait until the page at ``then`` is there."""
    form = page.locator(f'form[action="{action}"]')
    for name, value in fields.items():
        form.locator(f'[name="{name}"]').fill(value)
    with page.expect_navigation(url=lambda url: then in url):
        form.locator("button").first.click()


def text(page: Page) -> str:
    """What a person reads."""
    return page.inner_text("body")
