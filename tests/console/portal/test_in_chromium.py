"""The portal in a real browser: its policy holds and does not stand in the way, forms carry their Origin, passkeys
are made and used, and one arrives at the application."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from console.portal.browser import app_code
from console.portal.served import Served, submit, text
from peers.chromium import Authenticator, Chromium, heard
from peers.process import wait_until

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
STATE = "ab" * 32


def complaints(page: Page) -> list[str]:
    """What the browser's console says from now on, but for what it tells of every sign-out."""
    return heard(page, lambda line: "Clear-Site-Data" not in line)


def test_enrol_a_passkey_and_come_in_with_it(served: Served, page: Page) -> None:
    anna = served.backend.add("anna@example.org", "correct horse")
    Authenticator(page)
    said = complaints(page)
    code = served.backend.binding_code(anna)
    page.goto(f"{served.origin}/enrol")
    submit(page, "/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
    submit(page, "/factors/passkey", "/factors/passkey", name="My key")
    assert "recovery codes" in text(page)
    assert [f.name for f in anna.factors] == ["My key", ""]
    page.goto(f"{served.origin}/")
    assert "My things" in text(page)
    submit(page, "/sign-out", "/sign-out")
    assert "You are signed out" in text(page)

    # A passkey alone, from the application and back; the application needs the password, once.
    page.goto(f"{served.origin}/enter?host={served.application}&state={STATE}&to=/mail")
    submit(page, "/sign-in/passkey", "/enter")
    assert "needs your password" in text(page)
    entered = f"https://{served.application}/.gambeson/enter?code="
    submit(page, "/password", entered, password=anna.password)
    assert text(page) == "arrived"

    # Password, then the passkey as the second step; and another step for a device.
    page.goto(f"{served.origin}/")
    submit(page, "/sign-out", "/sign-out")
    page.goto(f"{served.origin}/enter?host={served.application}&state={STATE}&to=/mail")
    submit(page, "/sign-in", "/second", address=anna.address, password=anna.password)
    submit(page, "/second/passkey", entered)
    assert served.backend.live(anna)[-1].rung == "device-key"
    page.goto(f"{served.origin}/step-up?back=device")
    submit(page, "/second/passkey", "/devices/new")
    page.check("#program-other")
    submit(page, "/devices/new", "/devices/new", name="Phone")
    assert "is ready to be set up" in text(page)
    box = page.locator("svg.qr").bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert said == []


def test_it_works_without_javascript(served: Served) -> None:
    anna = served.backend.add("anna@example.org", "correct horse")
    code = served.backend.binding_code(anna)
    with Chromium([served.certificate]) as chromium, chromium.visitor(javascript=False) as page:
        said = complaints(page)
        page.goto(f"{served.origin}/enrol")
        submit(page, "/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
        key = re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", text(page))[0].replace(" ", "")
        assert "Everything else here works without it." in text(page)
        submit(page, "/factors/totp", "/factors/totp", code=app_code(served.backend.clock(), key))
        assert "recovery codes" in text(page)
        page.goto(f"{served.origin}/")
        assert "anna@example.org" in text(page)
        assert said == []


def test_the_policy_holds(served: Served, page: Page) -> None:
    said = heard(page, lambda line: "Content Security Policy" in line)
    page.goto(f"{served.origin}/sign-in")
    page.evaluate(
        "var s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)"
    )
    assert page.evaluate("window.evil === undefined")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"evil()\">')"
    )
    assert page.evaluate("fetch('https://evil.example/').then(() => 'sent', () => 'refused')") == "refused"
    wait_until(lambda: page.evaluate("true") and len(said) >= 3, what="three complaints of the browser")
