"""axe (Deque's checker of accessibility) finds nothing on any page, in light and dark."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Page

from console.portal.browser import app_code
from console.portal.served import Served, submit, text
from console.portal.test_things import phone
from gambeson.process.portal_messages import SignInLine
from peers.chromium import accessibility

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def test_axe_finds_nothing(served: Served, page: Page) -> None:
    found: list[str] = []

    def look(name: str) -> None:
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found.extend(f"{name} ({scheme}): {each}" for each in accessibility(page))

    anna = served.backend.add("anna@example.org", "correct horse")
    page.goto(f"{served.origin}/sign-in")
    look("sign-in")
    submit(page, "/sign-in", "/sign-in", address="x@y.z", password="y")
    look("sign-in, wrong")
    code = served.backend.binding_code(anna)
    page.goto(f"{served.origin}/enrol")
    look("enrol")
    submit(page, "/enrol", "/factors/new", address=anna.address, password=anna.password, code=code)
    look("first factor")
    key = re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", text(page))[0].replace(" ", "")
    submit(page, "/factors/totp", "/factors/totp", code=app_code(served.backend.clock(), key))
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
        page.goto(served.origin + path)
        look(path)
    page.goto(f"{served.origin}/step-up")
    page.wait_for_url("**/second")
    look("step-up")
    submit(page, "/second/code", "/second/code", code="000000")
    look("step-up, wrong")
    page.goto(f"{served.origin}/devices/new")
    page.check("#program-other")
    submit(page, "/devices/new", "/devices/new", name="Laptop")
    look("device added")
    page.goto(page.locator("p.link a").inner_text())
    look("link")
    page.click("main button")
    page.wait_for_url("**/show")
    look("table")
    page.goto(f"{served.origin}/")
    submit(page, "/sign-out", "/sign-out")
    look("signed out")
    assert found == []
