"""Schemathesis reads the portal's document and tries what it can think of, at a running playground through the door."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.browser import Browser, Codes
from peers.gambeson import Gambeson

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
    ),
]
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/schemas/portal-api.json"
ALMA = "alma@playground.example"
SESSION = "__Host-gambeson-portal"
# Names below localhost are this machine for browsers (RFC 6761 section 6.3), but not for every C library.
# The door itself answers 501 to methods that it passes to nobody, such as TRACE; these reach the portal or end in 405.
METHODS = """
[phases.coverage]
unexpected-methods = ["PUT", "DELETE", "PATCH", "QUERY"]
"""
RUN = """
import socket, sys
known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **how: known("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **how)
from schemathesis.cli import schemathesis
sys.exit(schemathesis())
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("portal") / "data") as gambeson:
        yield gambeson


def tried(running: Gambeson, *args: str) -> str:
    """What schemathesis says; it must have found nothing."""
    origin = str(running.ready["portal"])
    methods = running.data.parent / "schemathesis.toml"
    methods.write_text(METHODS)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-c",
                RUN,
                "--config-file",
                str(methods),
                "run",
                str(DOCUMENT),
                "--url",
                origin,
                "--tls-verify",
                running.ca,
            ),
            *("--header", f"Origin: {origin}", "--max-examples", "40", "--seed", "1", "--no-color"),
            *("--phases", "examples,coverage,fuzzing", "--request-timeout", "30"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_headers_conformance,unsupported_method", *args),
        ],
        env={**os.environ, "REQUESTS_CA_BUNDLE": running.ca, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def session(running: Gambeson) -> tuple[Browser, str]:
    """A browser that signed in at the portal, and its session's cookie."""
    browser = Browser(running.port("https"), running.ca)
    alma = next(a for a in running.ready["playground"]["accounts"] if a["address"] == ALMA)
    origin = str(running.ready["portal"])
    form, filled = browser.get(f"{origin}/sign-in").fields("/sign-in")
    page = browser.post(form, {**filled, "address": ALMA, "password": str(alma["password"])})
    form, filled = page.fields("/second/code")
    page = browser.post(form, {**filled, "kind": "totp", "code": Codes(str(alma["totp"])).next()})
    assert "My things" in page.text
    return browser, browser.jar["login.localhost"][SESSION]


def test_a_stranger_gets_what_the_document_says(running: Gambeson) -> None:
    said = tried(running)
    assert "No issues found" in said


def test_a_signed_in_person_gets_what_the_document_says(running: Gambeson) -> None:
    browser, cookie = session(running)
    said = tried(running, "--header", f"Cookie: {SESSION}={cookie}", "--exclude-path", "/sign-out")
    assert "No issues found" in said
    assert "My things" in browser.get(f"{running.ready['portal']}/").text, "the session ended on the way"
