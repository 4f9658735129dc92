"""axe (Deque's checker of accessibility) finds nothing on any page, in light and dark. It comes out of a wheel that
ships it; without one, or without Chromium, the test skips."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from console.portal.browser import app_code
from console.portal.chromium import Chromium
from console.portal.test_in_chromium import Served
from console.portal.test_things import phone
from gambeson.process.portal_messages import SignInLine

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]


def axe() -> str:
    """The script; empty where no wheel has it. Nothing of the wheel is imported."""
    for package in ("axe_core_python", "axe_playwright_python"):
        found = find_spec(package)
        if found is not None and found.submodule_search_locations:
            return Path(next(iter(found.submodule_search_locations)), "axe.min.js").read_text()
    return ""


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


def test_axe_finds_nothing(served: Served, chromium: Chromium) -> None:
    script = axe()
    if not script:
        pytest.skip("no wheel with axe is installed (axe-core-python)")
    found: list[str] = []
    chromium.call("Page.setBypassCSP", enabled=True)  # axe itself is a script of others

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            chromium.call("Emulation.setEmulatedMedia", features=features)
            chromium.run(f"{script};0")
            report = json.loads(chromium.run("axe.run(document).then(JSON.stringify)"))
            assert len(report["passes"]) > 10
            found.extend(
                f"{name} ({scheme}): {v['id']} {v['nodes'][0]['html'][:120]}" for v in report["violations"]
            )

    anna = served.backend.add("anna@example.org", "correct horse")
    chromium.go(f"{served.origin}/sign-in")
    look("sign-in")
    chromium.submit("/sign-in", "/sign-in", address="x@y.z", password="y")
    look("sign-in, wrong")
    code = served.backend.binding_code(anna)
    chromium.go(f"{served.origin}/enrol")
    look("enrol")
    chromium.submit("/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
    look("first factor")
    key = re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", chromium.text())[0].replace(" ", "")
    chromium.submit("/factors/totp", "/factors/totp", code=app_code(served.backend.clock(), key))
    look("recovery codes")
    phone(anna)
    anna.sign_ins.append(
        SignInLine(at=1.8e9, door="imap", outcome="deny", source="203.0.113.9", sentence="No.")
    )
    paths = [
        "/",
        "/?said=alarm",
        "/factors",
        f"/factors/{anna.factors[0].id}/remove",
        "/factors/new",
        "/devices/new",
    ]
    for path in [*paths, "/devices/dev-Phone/end?alarm=1", "/not-me", "/nothing"]:
        chromium.go(served.origin + path)
        look(path)
    chromium.go(f"{served.origin}/step-up")
    chromium.until("location.pathname === '/second'")
    look("step-up")
    chromium.submit("/second/code", "/second/code", code="000000")
    look("step-up, wrong")
    chromium.go(f"{served.origin}/devices/new")
    chromium.run("document.getElementById('program-other').checked = true")
    chromium.submit("/devices/new", "/devices/new", name="Laptop")
    look("device added")
    chromium.go(chromium.run("document.querySelector('p.link a').href"))
    look("link")
    chromium.run("document.querySelector('main button').click()")
    chromium.until("location.pathname.endsWith('/show') && document.readyState === 'complete'")
    look("table")
    chromium.go(f"{served.origin}/")
    chromium.submit("/sign-out", "/sign-out")
    look("signed out")
    assert found == []
