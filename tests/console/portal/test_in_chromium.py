"""The portal in a real browser: its policy holds and does not stand in the way, forms carry their Origin, passkeys
are made and used, and one arrives at the application."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from console.portal.browser import app_code
from console.portal.chromium import Chromium
from console.portal.memory_desk import MemoryBackend
from gambeson.console.portal import ApplicationHost, MailService, PortalSettings, make_portal
from gambeson.playground import certificate

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
STATE = "ab" * 32


class Served:
    """The portal at https://login.localhost:PORT, and an application beside it that only says where one arrived."""

    def __init__(self, folder: Path) -> None:
        _, cert, key = certificate.ensure(folder, datetime.now(UTC))
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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    running.server.should_exit = True
    running.thread.join(10)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chromium]:
    browser = Chromium(tmp_path / "chromium")
    yield browser
    browser.close()


def complaints(chromium: Chromium) -> list[str]:
    """What the browser's console says, but for what it tells of every sign-out."""
    return [line for line in chromium.logged if "Clear-Site-Data" not in line]


def test_enrol_a_passkey_and_come_in_with_it(served: Served, chromium: Chromium) -> None:
    anna = served.backend.add("anna@example.org", "correct horse")
    chromium.authenticator()
    code = served.backend.binding_code(anna)
    chromium.go(f"{served.origin}/enrol")
    chromium.submit("/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
    chromium.submit("/factors/passkey", "/factors/passkey", name="My key")
    assert "recovery codes" in chromium.text()
    assert [f.name for f in anna.factors] == ["My key", ""]
    chromium.go(f"{served.origin}/")
    assert "My things" in chromium.text()
    chromium.submit("/sign-out", "/sign-out")
    assert "You are signed out" in chromium.text()

    # A passkey alone, from the application and back; the application needs the password, once.
    chromium.go(f"{served.origin}/enter?host={served.application}&state={STATE}&to=/mail")
    chromium.submit("/sign-in/passkey", "/enter")
    assert "needs your password" in chromium.text()
    chromium.submit(
        "/password", f"https://{served.application}/.gambeson/enter?code=", password=anna.password
    )
    assert chromium.text() == "arrived"

    # Password, then the passkey as the second step; and another step for a device.
    chromium.go(f"{served.origin}/")
    chromium.submit("/sign-out", "/sign-out")
    chromium.go(f"{served.origin}/enter?host={served.application}&state={STATE}&to=/mail")
    chromium.submit("/sign-in", "/second", address=anna.address, password=anna.password)
    chromium.submit("/second/passkey", f"https://{served.application}/.gambeson/enter?code=")
    assert served.backend.live(anna)[-1].rung == "device-key"
    chromium.go(f"{served.origin}/step-up?back=device")
    chromium.submit("/second/passkey", "/devices/new")
    chromium.run("document.getElementById('program-other').checked = true")
    chromium.submit("/devices/new", "/devices/new", name="Phone")
    assert "is ready to be set up" in chromium.text()
    assert chromium.run("document.querySelector('svg.qr').getBoundingClientRect().width") > 100
    assert complaints(chromium) == []


def test_it_works_without_javascript(served: Served, chromium: Chromium) -> None:
    anna = served.backend.add("anna@example.org", "correct horse")
    code = served.backend.binding_code(anna)
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    chromium.go(f"{served.origin}/enrol")
    chromium.submit("/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
    key = re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", chromium.text())[0].replace(" ", "")
    assert "Everything else here works without it." in chromium.text()
    chromium.submit("/factors/totp", "/factors/totp", code=app_code(served.backend.clock(), key))
    assert "recovery codes" in chromium.text()
    chromium.go(f"{served.origin}/")
    assert "anna@example.org" in chromium.text()
    assert complaints(chromium) == []


def test_the_policy_holds(served: Served, chromium: Chromium) -> None:
    chromium.go(f"{served.origin}/sign-in")
    chromium.run(
        "var s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)"
    )
    assert chromium.run("window.evil === undefined")
    chromium.run(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"evil()\">')"
    )
    assert chromium.run("fetch('https://evil.example/').then(() => 'sent', () => 'refused')") == "refused"
    assert sum("Content Security Policy" in line for line in chromium.logged) >= 3
