"""The console in Debian's Chromium, as stories on the playground: each test is one thing that somebody who looks after
mail does or sees. Passkeys come from a virtual authenticator. One installation, from its first run on.
The order counts.
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gambeson.model.access import DoorKind, Mode
from gambeson.store.control import Store
from peers.chromium import PHONE, Authenticator, Chromium, accessibility, heard, too_wide
from peers.clients import Login, mailbox
from peers.gambeson import Gambeson
from peers.process import wait_until

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"
LOOKS = {"light": (False, (1280, 900)), "dark, phone": (True, PHONE)}
OPEN = ("Organisation 017", "Organisation 042", "Organisation 099")  # those with open side doors
PAGES = (
    "today",
    "doors",
    "doors/modes",
    "doors/why",
    "people",
    "people/new",
    "people/quarantine",
    "people/import",
    "invitations",
    "findings",
    "actions",
    "servers",
    "policy",
    "policy/versions",
    "reports",
    "audit",
)
WHOLE = ("/organisations", "/staff", "/staff/break-glass", "/staff/tokens", "/settings", "/audit", "/me")


@dataclass
class Stage:
    """The installation, the browser and the owner's passkeys."""

    gambeson: Gambeson
    chromium: Chromium
    passkeys: list[dict[str, Any]] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return str(self.gambeson.ready["console"])

    @property
    def store(self) -> str:
        return f"sqlite:///{self.gambeson.data / 'store' / 'control.db'}"

    @property
    def org(self) -> str:
        """The path of the sample organisation's pages."""
        with Store.open(self.store, migrate=False) as store:
            found = next(o for o in store.organisations() if "playground.example" in o.domains)
        return f"{self.origin}/o/{found.id}"

    @contextmanager
    def owner(self, **looks: Any) -> Iterator[Page]:
        """A page of the owner's, signed in."""
        with self.chromium.visitor(**looks) as page:
            device = Authenticator(page, self.passkeys)
            try:
                page.goto(f"{self.origin}/sign-in")
                page.click('form[action="/sign-in/passkey"] button')
                expect(page.locator('form[action="/sign-out"]')).to_be_visible()
                yield page
            finally:
                self.passkeys = device.passkeys

    def login(self, address: str, secret: str) -> bool:
        """Whether the secret opens the IMAP door."""
        try:
            with mailbox(Login(self.gambeson, address, secret)):
                return True
        except imaplib.IMAP4.error:
            return False


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with (
        Gambeson(tmp_path_factory.mktemp("console") / "data") as gambeson,
        Chromium([gambeson.data / "tls" / "certificate.pem"]) as chromium,
    ):
        yield Stage(gambeson, chromium)


def test_from_the_first_run_to_the_first_guarded_mail(stage: Stage) -> None:
    link = str(stage.gambeson.ready["admin_link"])
    with stage.chromium.visitor() as page:
        device = Authenticator(page)
        page.goto(link)
        page.fill("#name", "Office laptop")
        page.click('form[action="/welcome"] button')
        expect(page.locator("h1")).to_have_text(re.compile("Today|hour", re.I))
        stage.passkeys = device.passkeys

        page.click('nav.side a[href$="/people"]')
        page.click(f'a:has-text("{ALMA}")')
        page.goto(f"{page.url}/device")
        page.fill("#name", "Alma's phone")
        page.check('[name="door-imap"]')
        page.click('main form button:has-text("egister")')
        found = re.search(r"gam-[0-9a-z]{8}-[0-9a-z]{32}", page.locator("main").inner_text())
    assert found
    secret = found[0]
    assert stage.login(ALMA, secret)

    # The link is used up.
    with stage.chromium.visitor() as page:
        page.goto(link)
        expect(page.locator("[role=alert]")).to_be_visible()

    # What the door decided is on the page of the doors.
    with stage.owner() as page:
        page.goto(f"{stage.org}/doors")
        expect(page.locator("main")).to_contain_text(ALMA)


def test_a_new_device_is_approved(stage: Stage) -> None:
    tablet = next(d for d in stage.gambeson.ready["playground"]["devices"] if d["state"] == "quarantined")
    assert not stage.login(BRUNO, tablet["secret"])
    with stage.owner() as page:
        page.goto(f"{stage.org}/people/quarantine")
        row = page.locator("tr", has_text=tablet["name"])
        row.locator('button[value^="approve"]').click()
        page.wait_for_load_state()
    wait_until(lambda: stage.login(BRUNO, tablet["secret"]), 10)


def test_a_lost_phone_is_shut_out(stage: Stage) -> None:
    secret = stage.gambeson.enrol(BRUNO, "Lost phone", doors="imap")
    assert stage.login(BRUNO, secret)
    with stage.owner() as page:
        page.goto(f"{stage.org}/people?q={BRUNO}")
        page.click(f'a:has-text("{BRUNO}")')
        page.on("dialog", lambda dialog: dialog.accept())
        page.locator("tr", has_text="Lost phone").locator(
            'button[value^="lose"], button[value^="revoke"]'
        ).first.click()
        page.wait_for_load_state()
    wait_until(lambda: not stage.login(BRUNO, secret), 10)


def test_a_provider_finds_the_three_with_open_side_doors(stage: Stage) -> None:
    with Store.open(stage.store, migrate=False) as store:
        by: dict[str, Any] = {"by": "root", "at": time.time()}
        for number in range(100):
            made = store.create_organisation(
                f"Organisation {number:03}", domains=[f"o{number}.example"], **by
            )
            made.accounts.create(f"ann@o{number}.example", **by)
            if f"Organisation {number:03}" in OPEN:
                made.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=time.time() + 86400, **by)
    with stage.owner() as page:
        page.goto(f"{stage.origin}/organisations")
        page.locator("main a", has_text=re.compile(r"3 of 101 .*side door", re.I)).first.click()
        shown = page.locator("main table")
        for name in OPEN:
            expect(shown.first).to_contain_text(name)
        expect(shown.first).not_to_contain_text("Organisation 001")


def test_a_policy_is_tried_saved_and_rolled_back(stage: Stage) -> None:
    secret = stage.gambeson.enrol(ALMA, "Laptop", doors="imap")
    assert stage.login(ALMA, secret)
    with stage.owner() as page:
        page.goto(f"{stage.org}/policy")
        shut = '[[rule]]\nname = "no-imap-for-a-while"\nopinion = "deny"\ndoors = ["imap"]\n\n'
        text = page.locator("textarea").first.input_value()
        page.locator("textarea").first.fill(text.replace("[[rule]]", f"{shut}[[rule]]", 1))
        page.click('button[name="act"][value="look"]')
        expect(page.locator("main")).to_contain_text(re.compile(r"would have refused [1-9]", re.I))
        expect(page.locator("main")).to_contain_text(ALMA)
        assert stage.login(ALMA, secret)  # nothing is saved yet

        page.fill("#note", "Shut for the night")
        page.locator('form[action$="/save"] button').last.click()
        page.wait_for_url(re.compile(r"/policy(/versions/1)?([?#].*)?$"))
        wait_until(lambda: not stage.login(ALMA, secret), 10)

        # A second version is the first one's opposite; then back to the first.
        page.goto(f"{stage.org}/policy")
        page.locator("textarea").first.fill(text)
        page.click('button[name="act"][value="look"]')
        page.locator('form[action$="/save"] button').last.click()
        wait_until(lambda: stage.login(ALMA, secret), 10)
        page.goto(f"{stage.org}/policy/versions/1")
        expect(page.locator("main")).to_contain_text("Shut for the night")
        page.locator('form[action$="/activate"] button').first.click()
        wait_until(lambda: not stage.login(ALMA, secret), 10)
    stage.gambeson.run("policy", "roll-back", "2", "--org", "playground")
    wait_until(lambda: stage.login(ALMA, secret), 10)


def test_broken_glass_opens_tells_and_ends(stage: Stage) -> None:
    with stage.owner() as page:
        page.goto(f"{stage.origin}/staff/break-glass")
        page.click('form[action="/staff/break-glass"] button')
        stage.codes = page.locator(".codes code").all_inner_texts()
    assert len(stage.codes) == 8
    with stage.chromium.visitor() as page:
        page.goto(f"{stage.origin}/break-glass")
        page.fill("#code", stage.codes[3].lower())
        page.click('form[action="/break-glass"] button')
        fresh = page.locator(".codes code").all_inner_texts()
        assert len(fresh) == 8
        assert not set(fresh) & set(stage.codes)
        page.goto(f"{stage.org}/people/new")
        expect(page.locator("[role=alert]")).to_be_visible()  # neither people nor devices
        page.goto(f"{stage.org}/findings")
        expect(page.locator("main")).to_contain_text(re.compile("break-glass", re.I))
    with stage.chromium.visitor() as page:
        page.goto(f"{stage.origin}/break-glass")
        page.fill("#code", stage.codes[4])
        page.click('form[action="/break-glass"] button')
        expect(page.locator("[role=alert]")).to_be_visible()


@pytest.mark.parametrize("looks", LOOKS)
def test_every_page_can_be_used_by_everybody(stage: Stage, looks: str) -> None:
    dark, size = LOOKS[looks]
    with stage.owner(dark=dark, size=size) as page:
        lines = heard(page)
        paths = [f"{stage.org}/{path}" for path in PAGES] + [f"{stage.origin}{path}" for path in WHOLE]
        for path in paths:
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            assert accessibility(page) == [], path
            assert not too_wide(page), path
            assert page.locator("h1").count() == 1, path
        assert lines == []


def test_every_page_works_without_a_script(stage: Stage) -> None:
    """A session's cookie, taken from a browser with scripts, since a passkey needs them."""
    with stage.owner() as page:
        cookies = page.context.cookies()
        with stage.chromium.visitor(javascript=False) as plain:
            plain.context.add_cookies(cookies)
            for path in PAGES:
                answer = plain.goto(f"{stage.org}/{path}")
                assert answer is not None
                assert answer.status == 200, path
                expect(plain.locator("h1")).to_be_visible()
