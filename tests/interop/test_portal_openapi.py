"""Schemathesis reads the portal's document and tries what it can think of, at a running playground through the door."""

from __future__ import annotations

import importlib.util
import json
import os
import re
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
OPERATIONS = sum(len(methods) for methods in json.loads(DOCUMENT.read_text())["paths"].values())
ALMA = "alma@playground.example"
SESSION = "__Host-gambeson-portal"
# The door itself answers 501 to methods that it passes to nobody, such as TRACE; these reach the portal or end in 405.
SETTINGS = """
[phases.coverage]
unexpected-methods = ["PUT", "DELETE", "PATCH", "OPTIONS"]
[parameters]
"query.host" = "{host}"
"path.name" = "{name}"
"path.device" = "{device}"
"path.factor" = "{factor}"
"""
# Redirects are not followed: the 303 itself is judged.
# Names below localhost are this machine for browsers (RFC 6761 section 6.3), but not for every C library.
RUN = """
import requests, socket, sys
known = socket.getaddrinfo
here = lambda host: "127.0.0.1" if str(host).endswith(".localhost") else host
socket.getaddrinfo = lambda host, *more, **how: known(here(host), *more, **how)
asked = requests.Session.request
requests.Session.request = lambda self, *more, **how: asked(self, *more, **{**how, "allow_redirects": False})
from schemathesis.cli import schemathesis
sys.exit(schemathesis())
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("portal") / "data") as gambeson:
        yield gambeson


def tried(
    running: Gambeson, *args: str, document: Path = DOCUMENT, device: str = "none", factor: str = "none"
) -> tuple[int, str]:
    """How schemathesis ended and what it says. It is told things that are there, to come further."""
    origin = str(running.ready["portal"])
    settings = running.data.parent / "schemathesis.toml"
    host = f"{running.ready['https_host']}:{running.port('https')}"
    settings.write_text(SETTINGS.format(host=host, name="portal.css", device=device, factor=factor))
    done = subprocess.run(
        [
            *(sys.executable, "-c", RUN, "--config-file", str(settings), "run", str(document)),
            *("--url", origin, "--tls-verify", running.ca, "--header", f"Origin: {origin}"),
            *("--max-examples", "40", "--seed", "1", "--no-color", "--request-timeout", "30"),
            *("--phases", "examples,coverage,fuzzing"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_headers_conformance,unsupported_method", *args),
        ],
        env={**os.environ, "REQUESTS_CA_BUNDLE": running.ca, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    return done.returncode, done.stdout[-6000:] + done.stderr[-2000:]


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
    ended, said = tried(running)
    assert ended == 0, said
    assert f"Tested: {OPERATIONS}" in said


def test_a_signed_in_person_gets_what_the_document_says(running: Gambeson) -> None:
    browser, cookie = session(running)
    origin = running.ready["portal"]
    [device] = re.findall(r'href="/devices/([^/"]+)/end"', browser.get(f"{origin}/").text)
    [factor] = re.findall(r'"/factors/([^/"]+)/remove"', browser.get(f"{origin}/factors").text) or ["none"]
    more = ("--header", f"Cookie: {SESSION}={cookie}", "--exclude-path", "/sign-out")
    ended, said = tried(running, *more, device=device, factor=factor)
    assert ended == 0, said
    assert f"Tested: {OPERATIONS - 1}" in said
    assert "My things" in browser.get(f"{origin}/").text, "the session ended on the way"


def test_a_document_that_promises_something_else_is_found_out(running: Gambeson, tmp_path: Path) -> None:
    changed = json.loads(DOCUMENT.read_text())
    del changed["paths"]["/devices"]["get"]["responses"]["303"]
    false = tmp_path / "false.json"
    false.write_text(json.dumps(changed))
    ended, said = tried(running, "--include-path", "/devices", document=false)
    assert ended == 1
    assert "Received: 303" in said, said
