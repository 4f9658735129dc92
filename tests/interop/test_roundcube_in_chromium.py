"""A passkey at the portal, and the mailbox is open in Debian's Roundcube: no password is typed anywhere, in Chromium.

How Roundcube is signed in behind the door is the matter of test_roundcube.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from interop.sites import debian, open_folder
from interop.webmails import PORTAL, WEBMAIL, Webmail, webmail
from peers import missing_programs
from peers.chromium import Authenticator, Chromium
from peers.roundcube import Roundcube

pytestmark = [pytest.mark.peer("chromium", "dovecot", "postfix", "nginx", "roundcube"), pytest.mark.slow]
ANNA, PASSWORD = "anna@example.org", "a password that only the portal knows"
LETTER = (
    b"From: Sender <sender@example.net>\r\nTo: anna@example.org\r\nSubject: For anna alone\r\n"
    b"Message-ID: <1@example.net>\r\n\r\nHello\r\n"
)


@pytest.fixture(scope="module")
def place() -> Iterator[Webmail]:
    for need in ("chromium", "dovecot", "postfix", "nginx", "roundcube"):
        if why := missing_programs(need):
            pytest.skip(why)
    with open_folder("gix") as folder, debian(folder / "peers", {}) as peers, open_folder("giy") as data:
        peers.dovecot.deliver(ANNA, LETTER)
        roundcube = Roundcube(
            folder / "roundcube", peers.dovecot.ports["imap"], peers.postfix.ports["submission"]
        )
        application: dict[str, object] = {
            "name": "webmail",
            "product": "roundcube",
            "organisation": "example",
        }
        application |= {"address": roundcube.url, "sign_in": "token"}
        try:
            with webmail(peers, data, application, {ANNA: PASSWORD}) as found:
                yield found
        finally:
            roundcube.stop()


def sees_her_letter(page: Page) -> None:
    expect(page.locator("#messagelist")).to_contain_text("For anna alone")


def test_a_passkey_at_the_portal_opens_the_mailbox(place: Webmail) -> None:
    gambeson = place.gambeson
    port = gambeson.port("https")
    portal, mail = f"https://{PORTAL}:{port}", f"https://{WEBMAIL}:{port}"
    typed: list[str] = []
    certificate = Path(gambeson.ca).with_name("certificate.pem")
    with Chromium([certificate]) as chromium, chromium.visitor() as page:
        Authenticator(page)
        # Once: the password and a code of the app, to add the passkey.
        page.goto(f"{portal}/sign-in")
        page.fill("#address", ANNA)
        page.fill("#password", PASSWORD)
        page.click('form[action="/sign-in"] button')
        page.fill("#totp", place.codes[ANNA].next())
        page.click("text=Check the code")
        page.goto(f"{portal}/factors/new")
        page.fill("#passkey-name", "Laptop")
        page.click("text=Make a passkey")
        expect(page.locator("h1")).to_have_text("Second factors")
        page.goto(f"{portal}/")
        page.click("header button")
        expect(page.locator("h1")).to_have_text("You are signed out")

        # From then on: the mailbox's address, the finger, the mailbox.
        page.on("request", lambda request: typed.append(request.post_data or ""))
        page.goto(f"{mail}/")
        page.click("text=Sign in with a passkey")
        sees_her_letter(page)
        assert page.url.startswith(f"{mail}/")
        page.locator("#messagelist a", has_text="For anna alone").first.dblclick()
        expect(page.locator("body")).to_contain_text("Hello")
        assert not any("password" in each.lower() or PASSWORD in each for each in typed)

        # The session is ended elsewhere: what Roundcube's scripts ask next is refused within a second.
        gambeson.run("account", "disable", ANNA)
        began = time.monotonic()
        while page.evaluate("fetch('/?_task=mail&_mbox=INBOX').then((a) => a.url)").startswith(
            f"{mail}/?_task=mail"
        ):
            status = page.evaluate("fetch('/?_task=mail&_mbox=INBOX').then((a) => a.status)")
            if status in (401, 403):
                break
            assert time.monotonic() - began < 1
        page.goto(f"{mail}/")
        expect(page.locator("#messagelist")).to_have_count(0)
