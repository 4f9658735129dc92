"""The web doors in Debian's Chromium, as a story on the playground: each test is one thing a person does or sees.

Passkeys come from a virtual authenticator. Behind the https door stands the Exchange emulator, which is no Exchange.
"""

from __future__ import annotations

import imaplib
import plistlib
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from playwright.sync_api import Page, expect

from peers.browser import Browser, Codes
from peers.chromium import PHONE, Authenticator, Chromium, accessibility, too_wide
from peers.clients import Login, imap
from peers.gambeson import Gambeson
from peers.process import wait_until

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow]
ALMA, BRUNO, CHIARA = (f"{name}@playground.example" for name in ("alma", "bruno", "chiara"))
LOOKS = {"light": (False, (1280, 900)), "dark, phone": (True, PHONE), "light, phone": (False, PHONE)}


@dataclass
class Stage:
    """The installation and the browser. ``passkeys`` are chiara's, with their counters."""

    gambeson: Gambeson
    chromium: Chromium
    passkeys: list[dict[str, Any]] = field(default_factory=list)
    recovery: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        ready = self.gambeson.ready
        self.portal = str(ready["portal"])
        self.mail = f"https://{ready['https_host']}:{self.gambeson.port('https')}"
        people = ready["playground"]["accounts"]
        self.passwords = {each["address"]: str(each["password"]) for each in people}
        self.apps = {each["address"]: Codes(str(each["totp"])) for each in people if each["totp"]}

    @contextmanager
    def chiara(self, **looks: Any) -> Iterator[Page]:
        """A page of chiara's, whose device has her passkey."""
        with self.chromium.visitor(**looks) as page:
            device = Authenticator(page, self.passkeys)
            try:
                yield page
            finally:
                self.passkeys = device.passkeys

    def first_step(self, page: Page, address: str) -> None:
        """Address and password, on the page that asks for them."""
        page.fill("#address", address)
        page.fill("#password", self.passwords[address])
        page.click('form[action="/sign-in"] button')
        expect(page.locator("h1")).to_have_text("One more step")

    def with_code(self, page: Page, address: str) -> None:
        """Password and a code of the authenticator app."""
        self.first_step(page, address)
        page.fill("#totp", self.apps[address].next())
        page.click("text=Check the code")

    def with_passkey(self, page: Page) -> None:
        """The portal's first page, by chiara's passkey alone."""
        page.goto(f"{self.portal}/sign-in")
        page.click("text=Sign in with a passkey")
        expect(page.locator("h1")).to_have_text("My things")

    def add_device(self, page: Page, name: str, program: str) -> str:
        """Adds a device; the link of the QR code. The page that shows it stays open."""
        page.goto(f"{self.portal}/devices/new")
        page.fill("#name", name)
        page.check(f"#program-{program}")
        page.click("main button")
        expect(page.locator("h1")).to_have_text(f"“{name}” is ready to be set up")
        return page.locator("p.link a").inner_text()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("browser")
    with (
        Gambeson(folder / "data") as gambeson,
        Chromium([gambeson.data / "tls" / "certificate.pem"]) as chromium,
    ):
        made = Stage(gambeson, chromium)
        enrol(made)
        yield made


def enrol(stage: Stage) -> None:
    """Chiara has a code from her administrator, and binds a passkey."""
    with stage.chiara() as page:
        page.goto(f"{stage.portal}/enrol")
        page.fill("#address", CHIARA)
        page.fill("#password", stage.passwords[CHIARA])
        page.fill("#code", str(stage.gambeson.json("account", "code", CHIARA)["code"]))
        page.click("text=Continue")
        page.fill("#passkey-name", "Laptop")
        page.click("text=Make a passkey")
        expect(page.locator("h1")).to_have_text("Your recovery codes")
        stage.recovery = page.locator("ol.codes li").all_inner_texts()
        page.click("text=I have kept them")
        expect(page.locator("h1")).to_have_text("My things")
        expect(page.locator("footer")).to_contain_text(CHIARA)


# -- coming in


def test_who_enrols_has_a_passkey_and_ten_recovery_codes(stage: Stage) -> None:
    assert [each["rpId"] for each in stage.passkeys] == ["login.localhost"]
    assert len(set(stage.recovery)) == 10
    assert all(re.fullmatch(r"[0-9a-z]{4}(-[0-9a-z]{4}){3}", each) for each in stage.recovery)
    kinds = [each["kind"] for each in stage.gambeson.json("account", "factors", CHIARA)["factors"]]
    assert "passkey" in kinds


def test_the_binding_code_works_once(stage: Stage) -> None:
    code = str(stage.gambeson.json("account", "code", CHIARA)["code"])
    for said in ("Add a second factor", "Set up your second factor"):
        with stage.chromium.visitor() as page:
            page.goto(f"{stage.portal}/enrol")
            page.fill("#address", CHIARA)
            page.fill("#password", stage.passwords[CHIARA])
            page.fill("#code", code)
            page.click("text=Continue")
            expect(page.locator("h1")).to_have_text(said)


def test_a_passkey_alone_is_enough(stage: Stage) -> None:
    before = stage.passkeys[0]["signCount"]
    with stage.chiara() as page:
        stage.with_passkey(page)
        expect(page.locator("footer")).to_contain_text(CHIARA)
        expect(page.locator("section[aria-labelledby=sessions]")).to_contain_text("Chrome on Linux")
    assert stage.passkeys[0]["signCount"] > before


def test_password_and_passkey_open_the_application_in_one_go(stage: Stage) -> None:
    with stage.chiara() as page:
        page.goto(f"{stage.mail}/owa/?ae=Folder&t=IPF.Note")
        assert page.url.startswith(f"{stage.portal}/sign-in")
        expect(page.locator("main")).to_contain_text("to go on to emulator")
        stage.first_step(page, CHIARA)
        page.click("text=Use my passkey")
        expect(page.locator("h1")).to_have_text("Inbox")
        assert page.url == f"{stage.mail}/owa/?ae=Folder&t=IPF.Note"
        expect(page.locator("body")).to_contain_text("Welcome behind the doors")


def test_after_a_passkey_alone_the_application_asks_for_the_password_once(stage: Stage) -> None:
    with stage.chiara() as page:
        stage.with_passkey(page)
        page.click("ul.applications a")
        expect(page.locator("h1")).to_have_text("Your password, once")
        page.fill("#password", stage.passwords[CHIARA])
        page.click("main button")
        expect(page.locator("h1")).to_have_text("Inbox")
        page.goto(f"{stage.mail}/owa/")
        expect(page.locator("h1")).to_have_text("Inbox")


def test_a_wrong_password_and_nobody_look_alike(stage: Stage) -> None:
    said = set()
    for address in (CHIARA, "nobody@playground.example"):
        with stage.chromium.visitor() as page:
            page.goto(f"{stage.portal}/sign-in")
            page.fill("#address", address)
            page.fill("#password", "wrong")
            page.click('form[action="/sign-in"] button')
            expect(page.locator("#error")).to_be_visible()
            said.add(page.content().replace(address, ""))
    assert len(said) == 1


def test_a_recovery_code_lets_in_once_and_only_to_a_new_factor(stage: Stage) -> None:
    code = stage.recovery[-1]
    for again in (False, True):
        with stage.chromium.visitor() as page:
            page.goto(f"{stage.portal}/sign-in")
            stage.first_step(page, CHIARA)
            page.fill("#recovery", code)
            page.click("text=Use a recovery code")
            if again:
                expect(page.locator("#error")).to_contain_text("used already")
            else:
                expect(page.locator("h1")).to_have_text("Add a second factor")
                page.goto(f"{stage.portal}/")
                expect(page.locator("h1")).to_have_text("Add a second factor")
                page.goto(f"{stage.mail}/owa/")
                expect(page.locator("h1")).to_have_text("Add a second factor")


# -- leaving


def test_signing_out_at_the_application_leaves_nothing_behind_the_back_button(stage: Stage) -> None:
    with stage.chromium.visitor() as page:
        page.goto(f"{stage.mail}/owa/")
        stage.with_code(page, ALMA)
        expect(page.locator("body")).to_contain_text(ALMA)
        page.goto(f"{stage.mail}/.gambeson/leave")
        page.click("button")
        expect(page.locator("h1")).to_have_text("Signed out")
        assert page.context.cookies(stage.mail) == []
        for _ in range(2):
            page.go_back()
            page.wait_for_load_state()
            assert ALMA not in page.content()
        page.goto(f"{stage.portal}/")
        expect(page.locator("h1")).to_have_text("Sign in")  # the session is over everywhere


def test_after_one_person_another_sees_nothing_of_theirs_in_the_same_browser(stage: Stage) -> None:
    with stage.chiara() as page:
        page.goto(f"{stage.mail}/owa/")
        stage.first_step(page, CHIARA)
        page.click("text=Use my passkey")
        expect(page.locator("p").first).to_have_text(CHIARA)
        page.evaluate(
            "localStorage.setItem('draft', 'of chiara'); sessionStorage.setItem('draft', 'of chiara')"
        )
        theirs = {each["name"]: each["value"] for each in page.context.cookies(stage.mail)}
        assert "UC" in theirs
        page.goto(f"{stage.portal}/")
        page.click("header button")
        expect(page.locator("h1")).to_have_text("You are signed out")
        # The application's host still has its cookies; its pages are closed all the same.
        page.goto(f"{stage.mail}/owa/")
        assert page.url.startswith(f"{stage.portal}/sign-in")
        stage.with_code(page, BRUNO)
        expect(page.locator("p").first).to_have_text(BRUNO)  # whose page it is; chiara wrote him a letter
        assert page.evaluate("localStorage.getItem('draft')") is None
        ours = {each["name"]: each["value"] for each in page.context.cookies(stage.mail)}
        assert not {value for value in theirs.values() if len(value) > 20} & set(ours.values())
        page.goto(f"{stage.portal}/")
        assert CHIARA not in page.content()


def test_a_session_that_is_ended_elsewhere_opens_nothing_more(stage: Stage) -> None:
    with stage.chiara() as laptop, stage.chromium.visitor() as other:
        other.goto(f"{stage.mail}/owa/")
        stage.with_code(other, ALMA)
        expect(other.locator("h1")).to_have_text("Inbox")
        with stage.chromium.visitor() as home:
            home.goto(f"{stage.portal}/sign-in")
            stage.with_code(home, ALMA)
            home.click("text=Sign out everywhere else")
            expect(home.locator("[role=status]")).to_contain_text("signed out everywhere else")
        began = time.monotonic()
        while other.goto(f"{stage.mail}/owa/") and other.url.startswith(stage.mail):
            assert time.monotonic() - began < 1
        assert other.url.startswith(f"{stage.portal}/sign-in")
        stage.with_passkey(laptop)  # another person's sessions are hers


# -- a phone


def unwrapped(signed: bytes, certificate: x509.Certificate) -> dict[str, Any]:
    """The profile inside the signature (CMS, DER), which carries the certificate."""
    from cryptography.hazmat.primitives.serialization import Encoding

    assert certificate.public_bytes(Encoding.DER) in signed
    start, end = signed.index(b"<?xml"), signed.index(b"</plist>") + len(b"</plist>")
    found: dict[str, Any] = plistlib.loads(signed[start:end])
    return found


def test_a_phone_is_added_by_its_code_and_taken_away_within_a_second(stage: Stage) -> None:
    gambeson = stage.gambeson
    phone = Browser(gambeson.port("https"), gambeson.ca)  # without a session
    with stage.chiara() as page:
        stage.with_passkey(page)
        link = stage.add_device(page, "Phone of chiara", "ios-mail-imap")
        expect(page.locator("svg.qr")).to_be_visible()
        assert link.startswith(f"{stage.portal}/d/")
        assert "gam-" not in page.content()  # the secret goes to the phone, not past the person's shoulder

        # The phone: it looks (which uses nothing up), loads the profile, once.
        for _ in range(2):
            shown = phone.get(link)
            assert shown.status == 200
            assert "Load the profile" in shown.text
            assert "gam-" not in shown.text
        profile = phone.get(f"{link}/profile")
        assert (profile.status, profile.header("content-type")) == (200, "application/x-apple-aspen-config")
        assert phone.get(f"{link}/profile").status == 404
        assert phone.get(link).status == 404
        leaf = x509.load_pem_x509_certificate((gambeson.data / "tls" / "certificate.pem").read_bytes())
        mail = next(
            part for part in unwrapped(profile.body, leaf)["PayloadContent"]
            if part["PayloadType"] == "com.apple.mail.managed"
        )  # fmt: skip
        assert mail["EmailAddress"] == CHIARA
        assert mail["IncomingMailServerPortNumber"] == gambeson.port("imaps")
        secret = mail["IncomingPassword"]

        client = imap(Login(gambeson, CHIARA, secret))
        client.login(CHIARA, secret)
        assert client.select("INBOX")[0] == "OK"
        row = page.locator("section[aria-labelledby=devices] tr", has_text="Phone of chiara")

        def shows_the_use() -> bool:
            page.goto(f"{stage.portal}/")
            return "127.0.0.1" in row.inner_text()

        wait_until(shows_the_use, "the device's last use")

        # "This wasn't me": the page asks, and only its button acts.
        row.get_by_text("This wasn’t me").click()
        expect(page.locator("h1")).to_have_text("This wasn’t me")
        assert client.noop()[0] == "OK"
        assert not _alarms(gambeson)
        page.click("text=It wasn’t me: end it")
        expect(page.locator("[role=status]")).to_contain_text("It was ended everywhere")
        began = time.monotonic()
        with pytest.raises((imaplib.IMAP4.abort, imaplib.IMAP4.error, ssl.SSLError, OSError)):
            _talk_on(client, seconds=5)
        again = imap(Login(gambeson, CHIARA, secret))
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            again.login(CHIARA, secret)
        assert time.monotonic() - began < 1
        assert len(_alarms(gambeson)) == 1


def _talk_on(client: imaplib.IMAP4, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        client.noop()


def _alarms(gambeson: Gambeson) -> list[dict[str, Any]]:
    import json

    found = json.loads(gambeson.run("finding", "list", "--json", "--fail-on", "never").stdout)
    return [each for each in found["findings"] if "not-me" in json.dumps(each)]


def test_another_program_gets_a_table_to_type_from_and_the_secret_once(stage: Stage) -> None:
    with stage.chiara() as page, stage.chromium.visitor(size=PHONE) as phone:
        stage.with_passkey(page)
        link = stage.add_device(page, "Tablet", "other")
        secret = page.locator("code.secret").inner_text()
        phone.goto(link)
        assert secret not in phone.content()
        phone.click("text=Show the secret")
        expect(phone.locator("code.secret")).to_have_text(secret)
        phone.goto(link)
        expect(phone.locator("[role=alert]")).to_contain_text("This link was used")
        page.goto(f"{stage.portal}/")
        page.locator("tr", has_text="Tablet").get_by_text("Remove").click()
        page.click("text=Remove the device")
        expect(page.locator("[role=status]")).to_contain_text("The device was removed")
        client = imap(Login(stage.gambeson, CHIARA, secret))
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(CHIARA, secret)


# -- without scripts, and for everybody


def test_everything_but_passkeys_works_without_javascript(stage: Stage) -> None:
    with stage.chromium.visitor(javascript=False) as page:
        page.goto(f"{stage.mail}/owa/")
        assert page.url.startswith(f"{stage.portal}/sign-in")
        expect(page.locator("noscript p")).to_be_visible()
        expect(page.get_by_text("Sign in with a passkey")).to_be_hidden()
        stage.with_code(page, BRUNO)
        expect(page.locator("h1")).to_have_text("Inbox")
        page.goto(f"{stage.portal}/")
        expect(page.locator("h1")).to_have_text("My things")
        for name in ("Add a device", "Second factors", "My things"):
            page.click(f"nav >> text={name}")
            expect(page.locator("h1")).to_have_text(name)
        stage.add_device(page, "Desk", "thunderbird")
        expect(page.locator("svg.qr")).to_be_visible()
        page.goto(f"{stage.portal}/")
        page.locator("tr", has_text="Desk").get_by_text("Remove").click()
        page.click("text=Remove the device")
        expect(page.locator("[role=status]")).to_contain_text("The device was removed")
        page.click("nav >> text=Second factors")
        page.click("text=Make new recovery codes")
        expect(page.locator("h1")).to_have_text("Your recovery codes")
        page.goto(f"{stage.mail}/.gambeson/leave")
        page.click("button")
        expect(page.locator("h1")).to_have_text("Signed out")


@pytest.mark.parametrize("looks", LOOKS)
def test_axe_finds_nothing_on_any_page(stage: Stage, looks: str) -> None:
    """And no page scrolls sideways."""
    found: dict[str, list[str]] = {}
    dark, size = LOOKS[looks]

    def look(page: Page, name: str) -> None:
        if wrong := accessibility(page) + (["it scrolls sideways"] if too_wide(page) else []):
            found[name] = wrong

    with stage.chiara(dark=dark, size=size) as page:
        for name in ("sign-in", "enrol", "nothing"):
            page.goto(f"{stage.portal}/{name}")
            look(page, name)
        page.goto(f"{stage.portal}/sign-in")
        stage.first_step(page, CHIARA)
        look(page, "second step")
        page.click("text=Use my passkey")
        expect(page.locator("h1")).to_have_text("My things")
        stage.add_device(page, f"Laptop, {looks}", "other")
        look(page, "device added")
        link = page.locator("p.link a").inner_text()
        for name in ("", "?said=alarm", "factors", "factors/new", "devices/new", "not-me"):
            page.goto(f"{stage.portal}/{name}")
            look(page, name)
        page.goto(f"{stage.portal}/step-up")
        look(page, "step-up")
        page.goto(f"{stage.portal}/factors")
        page.click("text=Make new recovery codes")
        look(page, "recovery codes")
        page.goto(link)
        look(page, "link")
        page.click("text=Show the secret")
        look(page, "table")
        page.goto(f"{stage.portal}/")
        page.locator("tr", has_text=f"Laptop, {looks}").get_by_text("This wasn’t me").click()
        look(page, "this wasn't me")
        page.goto(f"{stage.mail}/.gambeson/leave")
        look(page, "leave")
        page.click("button")
        expect(page.locator("h1")).to_have_text("Signed out")
        look(page, "left")
        page.goto(f"{stage.portal}/")
        page.click("header button")
        expect(page.locator("h1")).to_have_text("You are signed out")
        look(page, "signed out")
    assert found == {}
