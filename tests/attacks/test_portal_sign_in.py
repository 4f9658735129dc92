"""The portal under attack, over the real desk and the real keeper: what one may learn before signing in, and what
happens when two do the same at the same moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from console.portal.browser import FORM, ORIGIN, Answer, Browser, World, _serve, app_code, codes_of, key_of
from console.portal.soft_authenticator import SoftAuthenticator
from console.portal.test_real_desk import ADDRESS, PASSWORD, Real
from gambeson.console.portal import MailService, PortalApp, PortalSettings, make_portal
from gambeson.process.messages import Octets
from gambeson.process.portal_messages import BINDING_CONTEXT, CodeVerifierAsk
from gambeson.store.control import Store

MAIL = (MailService("imap", "mail.example.org", 993), MailService("submission", "mail.example.org", 465))
PLACES = (f"10.{i // 250}.{i % 250}.1" for i in itertools.count())


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Store.open(f"sqlite:///{tmp_path / 'control.db'}") as store:
        made = Real(store, tmp_path / "keys")
        yield made
        made.answer_desk.close()


def portal(real: Real) -> PortalApp:
    return make_portal(real, PortalSettings(ORIGIN, mail=MAIL, refusal_seconds=0.0), clock=real.clock)


def enrolled(real: Real, app: PortalApp) -> tuple[Browser, str, list[str]]:
    """A browser that is signed in, the app's key and the recovery codes."""
    browser = Browser(app)
    code = real.binding_code()
    page = browser.follow(browser.post("/enrol", address=ADDRESS, password=PASSWORD, code=code))
    key = key_of(page)
    done = browser.post("/factors/totp", code=app_code(real.clock.now, key))
    assert done.status == 200, done.text
    return browser, key, codes_of(done)


def at_once(asked: Sequence[tuple[Browser, str, dict[str, str]]]) -> list[Answer]:
    """Forms that are sent at the same moment, each from its browser."""

    async def all_of_them() -> list[Answer]:
        return await asyncio.gather(*(_post(*each) for each in asked))

    return asyncio.run(all_of_them())


async def _post(browser: Browser, path: str, form: dict[str, str]) -> Answer:
    headers = [("host", browser.host), ("origin", ORIGIN), ("x-gambeson-source", browser.source), *FORM]
    headers.append(("cookie", "; ".join(f"{k}={v}" for k, v in browser.cookies.items())))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in headers],
        "client": ("unix", 0),
        "server": ("portal", 0),
    }
    return await _serve(browser.app, scope, urlencode(form).encode(), 1)


# -- before signing in ---------------------------------------------------------------------------------


def test_made_up_names_at_the_enrolment_never_answer_otherwise_than_known_ones(real: Real) -> None:
    app = portal(real)

    def enrol(address: str) -> Answer:
        return Browser(app, next(PLACES)).post("/enrol", address=address, password="x", code="0000")

    # More than the keeper makes verifiers of one context for: they must not share one.
    for i in range(110):
        assert enrol(f"nobody{i}@example.org").status == 403
    unknown, known = enrol("none@example.org"), enrol(ADDRESS)
    assert (unknown.status, unknown.headers) == (known.status, known.headers)
    assert unknown.text.replace("none@", "") == known.text.replace("anna@", "")


def test_where_the_keeper_makes_no_more_verifiers_it_is_too_many_and_nothing_else(real: Real) -> None:
    ask = CodeVerifierAsk(code="0", context=f"{BINDING_CONTEXT}acc-1")
    while isinstance(real.core.answer("console", "console", ask, real.clock.now), Octets):
        pass
    answer = Browser(portal(real)).post("/enrol", address=ADDRESS, password="x", code="0000")
    assert answer.status == 429


@pytest.mark.parametrize("path", ["/sign-in", "/enrol"])
def test_every_refusal_takes_the_same_time(real: Real, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left to wait is from the beginning on, whoever it was and however long the questions took."""
    app = make_portal(real, PortalSettings(ORIGIN, refusal_seconds=5.0), clock=real.clock)
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("gambeson.console.portal.sign_in.asyncio.sleep", sleep)
    for address, password in ((ADDRESS, "x"), (ADDRESS, PASSWORD), ("nobody@example.org", "x")):
        answer = Browser(app, next(PLACES)).post(path, address=address, password=password, code="0")
        assert answer.status == 403
    assert len(waited) == 3
    assert all(0.0 < seconds < 5.0 for seconds in waited)


def test_a_form_that_trickles_takes_nobody_elses_place() -> None:
    world = World(body_seconds=0.05)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/sign-in",
        "query_string": b"",
        "headers": [(b"host", world.settings.host.encode()), (b"origin", ORIGIN.encode())],
    }
    asyncio.run(asyncio.wait_for(world.app(scope, receive, send), 10))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_source_cannot_be_made_up_in_another_header() -> None:
    """Only what the door says counts; headers that others believe are not read."""
    world = World()
    world.person()
    refused = 0
    for i in range(40):
        browser = world.browser("192.0.2.66")
        form = urlencode({"address": "anna@example.org", "password": "wrong"}).encode()
        headers = [
            *FORM,
            ("origin", ORIGIN),
            ("x-forwarded-for", f"198.51.100.{i}"),
            ("x-real-ip", f"203.0.113.{i}"),
        ]
        refused += browser.send("POST", "/sign-in", form, headers).status == 429
    assert refused == 30


# -- at the same moment --------------------------------------------------------------------------------


def test_one_code_of_the_app_opens_one_session(real: Real) -> None:
    app = portal(real)
    _, key, _ = enrolled(real, app)
    real.clock.now += 60
    several = [Browser(app, f"198.51.100.{i}") for i in range(6)]
    for browser in several:
        assert browser.post("/sign-in", address=ADDRESS, password=PASSWORD).location == "/second"
    code = app_code(real.clock.now, key)
    answers = at_once([(b, "/second/code", {"kind": "totp", "code": code}) for b in several])
    assert sorted(a.status for a in answers) == [303, *[403] * 5]


def test_one_recovery_code_opens_one_session(real: Real) -> None:
    app = portal(real)
    _, _, codes = enrolled(real, app)
    several = [Browser(app, f"198.51.100.{i}") for i in range(6)]
    for browser in several:
        browser.post("/sign-in", address=ADDRESS, password=PASSWORD)
    answers = at_once([(b, "/second/code", {"kind": "recovery", "code": codes[0]}) for b in several])
    assert sorted(a.status for a in answers) == [303, *[403] * 5]


def test_one_binding_code_opens_one_enrolment(real: Real) -> None:
    app, code = portal(real), real.binding_code()
    form = {"address": ADDRESS, "password": PASSWORD, "code": code}
    answers = at_once([(Browser(app, f"198.51.100.{i}"), "/enrol", form) for i in range(6)])
    assert sorted(a.status for a in answers) == [303, *[403] * 5]


def test_five_tries_of_a_step_are_five_however_many_come_at_once(real: Real) -> None:
    app = portal(real)
    enrolled(real, app)
    browser = Browser(app, "198.51.100.1")
    browser.post("/sign-in", address=ADDRESS, password=PASSWORD)
    answers = at_once([(browser, "/second/code", {"kind": "totp", "code": "000000"})] * 9)
    assert [a.status for a in answers].count(403) <= 4
    assert browser.get("/second").location == "/sign-in"


def test_of_two_factors_that_are_removed_at_once_one_stays(real: Real) -> None:
    app = portal(real)
    browser, _, _ = enrolled(real, app)
    browser.follow(browser.get("/factors/new"))
    key = SoftAuthenticator(ORIGIN).create(browser.options("create").text)
    assert browser.post("/factors/passkey", credential=key, name="Key").location == "/factors"
    both = [a.id for a in real.org.authenticators.list("acc-1") if a.kind != "recovery"]
    answers = at_once([(browser, f"/factors/{each}/remove", {}) for each in both])
    assert sorted(a.status for a in answers) == [303, 409]
    assert len([a for a in real.org.authenticators.list("acc-1") if a.kind != "recovery"]) == 1


def test_a_link_of_a_device_is_given_to_one(real: Real) -> None:
    app = portal(real)
    browser, _, _ = enrolled(real, app)
    page = browser.post("/devices/new", name="Phone", program="other")
    link = page.text.split(f"{ORIGIN}/d/")[1].split("<")[0].split('"')[0]
    answers = at_once([(Browser(app, f"198.51.100.{i}"), f"/d/{link}/show", {}) for i in range(6)])
    assert sorted(a.status for a in answers) == [200, *[404] * 5]


# -- sessions that were over ---------------------------------------------------------------------------


def test_who_was_shut_out_and_let_in_again_signs_in_again(real: Real) -> None:
    app = portal(real)
    browser, _, _ = enrolled(real, app)
    assert browser.get("/").status == 200
    real.org.accounts.update("acc-1", enabled=False, by="root", at=real.clock.now)
    assert browser.get("/").location == "/sign-in"
    real.org.accounts.update("acc-1", enabled=True, by="root", at=real.clock.now)
    assert browser.get("/").location == "/sign-in"
