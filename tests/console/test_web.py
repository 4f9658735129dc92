"""The console over real TLS: its health report, what it refuses, which headers it carries."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.lab import Lab
from gambeson.console.admin.app import make_console
from gambeson.console.admin.open_routes import open_routes
from gambeson.console.health import Health, Line
from gambeson.console.serve import ConsoleServer
from gambeson.playground import certificate


class Console:
    def __init__(self, folder: Path, lab: Lab) -> None:
        self.lines = (Line("doors", "ok", "7 listeners open"), Line("<b>", "ok", "a & b"))
        self.ca, cert, key = certificate.ensure(folder, datetime.now(UTC))
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        lab.world.facts = replace(lab.world.facts, origin=f"https://localhost:{self.port}")
        self.server = ConsoleServer(make_console(lab.world, open_routes(lab.world, self.measure)), cert, key)
        self.server.load()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve(sock)), daemon=True)
        self.thread.start()

    def measure(self) -> Health:
        return Health("0.1.0", "2026-11-24T12:00:00Z", self.lines)

    def ask(self, method: str, path: str, accept: str = "*/*") -> tuple[http.client.HTTPResponse, str]:
        context = ssl.create_default_context(cafile=str(self.ca))
        client = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=10)
        client.request(method, path, headers={"accept": accept})
        response = client.getresponse()
        return response, response.read().decode()


@pytest.fixture
def console(tmp_path: Path, lab: Lab) -> Iterator[Console]:
    running = Console(tmp_path, lab)
    yield running
    running.server.stop()
    running.thread.join(10)
    assert not running.thread.is_alive()


def test_the_page_says_what_was_measured_and_escapes_it(console: Console) -> None:
    response, text = console.ask("GET", "/health", "text/html")
    assert response.status == 200
    assert "The doors stand." in text
    assert "&lt;b&gt;" in text
    assert "a &amp; b" in text
    assert "default-src 'none'" in (response.getheader("content-security-policy") or "")
    assert response.getheader("x-frame-options") == "DENY"


def test_a_failed_line_makes_the_answer_503(console: Console) -> None:
    console.lines = (Line("keeper", "failed", "no answer"),)
    response, text = console.ask("GET", "/health")
    assert response.status == 503
    assert json.loads(text)["state"] == "failed"


def test_who_is_not_signed_in_is_led_to_the_sign_in_and_sees_nothing(console: Console) -> None:
    response, text = console.ask("GET", "/")
    assert (response.status, text) == (303, "")
    assert response.getheader("location") == "/sign-in"


def test_it_takes_nothing_from_strangers(console: Console) -> None:
    assert console.ask("POST", "/")[0].status == 403
    assert console.ask("PUT", "/me")[0].status == 405
    assert console.ask("GET", "/../etc/passwd")[0].status == 404
    assert console.ask("HEAD", "/sign-in")[1] == ""
