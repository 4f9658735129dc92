"""The portal over the real desk (a store on disk) and the real keeper, without processes between them: that the three
mean the same by every message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from console.portal.browser import MAIL, ORIGIN, OWA, STATE, Browser, Clock, app_code, codes_of, key_of
from console.portal.soft_authenticator import SoftAuthenticator
from gambeson.app.portal_desk import PortalDesk
from gambeson.console.portal import ApplicationHost, MailService, PortalSettings, make_portal
from gambeson.guard.core.session_token import open_token
from gambeson.guard.core.web.password_box import unseal
from gambeson.model.access import DoorKind
from gambeson.model.organisation import Organisation
from gambeson.model.server import Endpoint
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import Product, Site
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.keys import open_keys
from gambeson.process.portal_messages import (
    BINDING_CONTEXT,
    Person,
    RedeemAsk,
    RenewAsk,
    SessionGiven,
    SignOutAsk,
)
from gambeson.store.control import Store

ADDRESS, PASSWORD = "anna@example.org", "correct horse"


class Real:
    """A backend of the real parts, but for the password check."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.clock = Clock()
        by = {"by": "root", "at": self.clock.now}
        self.org = store.create_organisation("Sample", domains=["example.org"], id="org-1", **by)  # type: ignore[arg-type]
        self.account = self.org.accounts.create(ADDRESS, id="acc-1", **by)  # type: ignore[arg-type]
        self.keys = open_keys(folder, bytes(32), self.clock.now)
        self.core = KeeperCore(self.keys)
        self.answer_desk = PortalDesk(store, self._publish, clock=self.clock)
        self.published = 0
        sites = tuple(
            Site(host, Product.EXCHANGE, (host.partition(":")[0],), Endpoint(DoorKind.OWA, "x.example", 443))
            for host in (MAIL, OWA)
        )
        account = self.org.accounts.get("acc-1")
        organisation = Organisation("org-1", "Sample", ("example.org",))
        snapshot = Snapshot(1, self.clock.now, (organisation,), (account,), sites=sites)
        self.core.take(SnapshotIndex(snapshot))

    async def _publish(self) -> m.Published:
        self.published += 1
        return m.Published(number=self.published)

    async def desk(self, message: m.Message) -> m.Message:
        return await self.answer_desk(message)

    async def keeper(self, message: m.Message) -> m.Message:
        return self.core.answer("portal", "portal", message, self.clock.now)

    async def check_password(self, person: Person, password: str) -> bool:
        return person.known and password == PASSWORD

    async def verifier(self, device_secret: str) -> bytes:
        answer = await self.keeper(k.SecretVerifierAsk(secret=device_secret))
        assert isinstance(answer, m.Octets)
        return answer.value

    async def certificate(self, account: str, device: str, name: str, address: str, password: str) -> bytes:
        raise NotImplementedError

    async def publish(self) -> None:
        await self._publish()

    def binding_code(self, code: str = "0a1b-2c3d-4e5f-6g7h") -> str:
        ask = m_code(code, BINDING_CONTEXT + "acc-1")
        answer = self.core.answer("command", "command", ask, self.clock.now)
        assert isinstance(answer, m.Octets), answer
        self.org.binding_codes.make("acc-1", answer.value, by="root", at=self.clock.now)
        return code


def m_code(code: str, context: str) -> m.Message:
    from gambeson.process.portal_messages import CodeVerifierAsk

    return CodeVerifierAsk(code=code, context=context)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Store.open(f"sqlite:///{tmp_path / 'control.db'}") as store:
        made = Real(store, tmp_path / "keys")
        yield made
        made.answer_desk.close()


def test_a_whole_day_with_the_real_parts(real: Real) -> None:
    settings = PortalSettings(
        ORIGIN,
        applications=(ApplicationHost(MAIL, "Webmail", password=True), ApplicationHost(OWA, "Outlook")),
        mail=(
            MailService("imap", "mail.example.org", 993),
            MailService("submission", "mail.example.org", 465),
        ),
    )
    app = make_portal(real, settings, clock=real.clock)
    browser = Browser(app)

    # Enrol: a wrong code first, then the right one as people type it.
    real.binding_code()
    form = {"address": ADDRESS, "password": PASSWORD}
    assert browser.post("/enrol", code="0000-0000-0000-0000", **form).status == 403
    page = browser.follow(browser.post("/enrol", code="OA1B 2C3D 4E5F 6G7H", **form))
    key = key_of(page)
    done = browser.post("/factors/totp", code=app_code(real.clock.now, key))
    codes = codes_of(done)
    assert len(codes) == 10

    # A passkey beside it, at once.
    assert browser.get("/factors/new").status == 200
    keys = SoftAuthenticator(ORIGIN)
    credential = keys.create(browser.options("create").text)
    assert browser.post("/factors/passkey", credential=credential, name="Key").location == "/factors"
    assert "Key" in browser.get("/factors").text

    # Step up with it; the cookie is new and the old one is over.
    old = dict(browser.cookies)
    real.clock.now += 400
    assert browser.get("/devices/new").location == "/step-up?back=device"
    browser.get("/step-up?back=device")
    done = browser.post("/second/passkey", credential=keys.get(browser.options("get").text))
    assert done.location == "/devices/new"
    assert Browser(app, cookies=old).get("/").location == "/sign-in"
    added = browser.post("/devices/new", name="Phone", program="other")
    assert re.search(r"gam-[0-9a-z]{8}-[0-9a-z]{32}", added.text)
    assert "Phone" in browser.get("/").text

    # To an application: code, token, box, renewal.
    sent = browser.get(f"/enter?host={MAIL}&state={STATE}&to=/mail")
    code = parse_qs(urlsplit(sent.location).query)["code"][0]
    given = asyncio.run(app.answer(RedeemAsk(code=code, host="mail.example.org", state=STATE)))
    assert isinstance(given, SessionGiven), given
    public = real.keys.session.public_key()
    claims = open_token(given.token, public, "mail.example.org", real.clock.now)
    assert (claims.account, claims.rung.word) == ("acc-1", "device-key")
    assert unseal(given.box, given.key, claims.session, "mail.example.org:8443") == PASSWORD
    real.clock.now += 700
    real.core.take(SnapshotIndex(real.core.index.snapshot))  # type: ignore[union-attr]
    renewed = asyncio.run(app.answer(RenewAsk(token=given.token)))
    assert isinstance(renewed, SessionGiven), renewed
    assert open_token(renewed.token, public, "mail.example.org", real.clock.now).session == claims.session

    # It was not me: the device is gone. Signed out at the application: the session is over.
    device = re.findall(r'href="/devices/([^/"]+)/end\?alarm=1"', browser.get("/").text)[0]
    assert browser.post(f"/devices/{device}/end", alarm="1").location == "/?said=alarm"
    page = browser.get("/").text
    assert ">blocked</td>" in page
    assert f"/devices/{device}/end?alarm=1" not in page
    asyncio.run(app.answer(SignOutAsk(token=renewed.token)))
    assert browser.get("/").location == "/sign-in"

    # Back with app, with recovery code, and with the passkey alone; each proof once.
    real.clock.now += 60
    for kind, proof in (("totp", app_code(real.clock.now, key)), ("recovery", codes[0])):
        for expected in (303, 403):
            another = Browser(app, f"198.51.100.{expected % 200}")
            assert another.post("/sign-in", **form).location == "/second"
            assert another.post("/second/code", kind=kind, code=proof).status == expected, kind
    alone = Browser(app, "203.0.113.8")
    credential = keys.get(alone.options("alone").text)
    assert alone.post("/sign-in/passkey", credential=credential).location == "/"
    assert "Signed in as anna@example.org" in alone.get("/").text
    assert alone.post("/sign-in/passkey", credential=credential).status == 403
