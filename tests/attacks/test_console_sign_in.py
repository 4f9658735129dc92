"""What somebody tries at the console's entrance: to lock others out, to be taken for somebody else, an old link."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from console.lab import ORIGIN, Browser, Lab
from console.portal.soft_authenticator import SoftAuthenticator
from gambeson.app.first_owner import LINK_SECONDS, first_link, new_token, verifier
from gambeson.console.admin.services import MAX_TRIES
from gambeson.console.admin.sessions import SESSION
from gambeson.console.core.glass import code, plain
from gambeson.console.core.glass import verifier as code_verifier
from gambeson.console.serve import ConsoleServer
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.errors import BadValue, Conflict, NotFound
from peers.pki import Pki

OWNER = Grant(EVERY, Role.OWNER)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        yield made


def options(browser: Browser, purpose: str) -> str:
    return browser.send("POST", f"/passkey/options?for={purpose}", headers=[("origin", ORIGIN)]).text


def bound(lab: Lab, token: str) -> tuple[Browser, SoftAuthenticator]:
    """A browser that bound a passkey with a link."""
    browser, key = lab.browser(), SoftAuthenticator(ORIGIN, counts=False)
    browser.get(f"/welcome/{token}")
    assert browser.post("/welcome", credential=key.create(options(browser, "create"))).status == 303
    return browser, key


# -- who asks


def test_no_header_says_where_somebody_comes_from(tmp_path: Path) -> None:
    """The console listens on this machine, whose address uvicorn believes by itself: any user of it would choose a new
    network for each try, and the address in the audit log."""
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    made = Pki(tmp_path / "pki").issue("localhost")
    sock = socket.create_server(("127.0.0.1", 0))
    server = ConsoleServer(app, made.certificate, made.key)

    async def ask() -> None:
        server.load()
        serving = asyncio.ensure_future(server.serve(sock))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(*sock.getsockname(), ssl=context)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\n"
            b"Connection: close\r\n\r\n"
        )
        await reader.read()
        writer.close()
        server.stop()
        await serving

    asyncio.run(asyncio.wait_for(ask(), 20))
    assert seen == [("127.0.0.1", "https")]


# -- locking out


def test_a_hostile_page_locks_nobody_out(lab: Lab) -> None:
    """Pictures with our address in any page are asked for by the owner's own browser, from the owner's own network."""
    browser, key = bound(lab, first_link(lab.store, **lab.act))
    browser.post("/sign-out")
    for number in range(MAX_TRIES + 5):
        browser.get(f"/welcome/{number}", ("sec-fetch-site", "cross-site"))
    assert browser.get("/welcome/x").status == 429
    assert browser.post("/sign-in/passkey", credential=key.get(options(browser, "alone"))).status == 303
    lab.later(301)
    assert browser.post("/step-up", credential=key.get(options(browser, "step-up"))).status == 303


def test_a_flood_of_wrong_answers_keeps_neither_passkey_link_nor_code_out(lab: Lab) -> None:
    browser, key = bound(lab, first_link(lab.store, **lab.act))
    glass = code(lab.random(16))
    lab.store.staff.set_codes([code_verifier(plain(glass))], **lab.act)
    bea, token = lab.store.staff.create("Bea", grants=(OWNER,), **lab.act), new_token()
    ends = lab.clock.now + LINK_SECONDS
    lab.store.staff.make_link("invite", bea.id, verifier(token), expires_at=ends, **lab.act)
    stranger = lab.browser()
    wrong = [stranger.post("/sign-in/passkey", credential="{}").status for _ in range(MAX_TRIES + 5)]
    assert wrong == [403] * MAX_TRIES + [429] * 5
    recorded = lab.store.events.recent("console.sign-in.refused", 0.0)
    assert len(recorded) == MAX_TRIES, "what is too much is not recorded either"
    assert lab.browser().get(f"/welcome/{token}").status == 200
    browser.post("/sign-out")
    assert browser.post("/sign-in/passkey", credential=key.get(options(browser, "alone"))).status == 303
    assert lab.browser().post("/break-glass", code=glass).status == 200


def test_a_wrong_break_glass_code_makes_no_writer_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may type nonsense: it takes no lock of the whole store."""
    lab.store.staff.set_codes([code_verifier(plain(code(lab.random(16))))], **lab.act)

    def changed(*_: object) -> None:
        raise AssertionError("a change was begun")

    monkeypatch.setattr(lab.store.staff, "_changing", changed)
    with pytest.raises(NotFound):
        lab.store.staff.use_code(bytes(32), **lab.act)


# -- links


def test_the_first_runs_link_is_over_when_somebody_owns_the_installation(lab: Lab) -> None:
    """It stands in a file and in a terminal. Who became an owner by an invitation does not know of it."""
    token = first_link(lab.store, **lab.act)
    late = lab.browser()
    assert late.get(f"/welcome/{token}").status == 200
    question = options(late, "create")
    lab.staff("Ann", OWNER)
    assert lab.browser().get(f"/welcome/{token}").status == 404
    answer = SoftAuthenticator(ORIGIN, counts=False).create(question)
    assert late.post("/welcome", credential=answer).status == 404
    with pytest.raises((NotFound, Conflict)):
        lab.store.staff.use_link(verifier(token), **lab.act)
    assert SESSION not in late.cookies


def test_two_browsers_with_one_link_bind_one_passkey(lab: Lab) -> None:
    token = first_link(lab.store, **lab.act)
    first, second = lab.browser(), lab.browser()
    keys = [SoftAuthenticator(ORIGIN, counts=False) for _ in range(2)]
    answers = []
    for browser, key in zip((first, second), keys, strict=True):
        browser.get(f"/welcome/{token}")
        answers.append(key.create(options(browser, "create")))
    assert first.post("/welcome", credential=answers[0]).status == 303
    assert second.post("/welcome", credential=answers[1]).status == 404
    owner = lab.store.staff.list()[0]
    assert len(lab.store.staff.passkeys(owner.id)) == 1


def test_somebody_who_is_called_owner_does_not_keep_gambeson_from_starting(lab: Lab) -> None:
    first_link(lab.store, **lab.act)
    made = lab.store.staff.list()[0]
    lab.store.staff.update(made.id, enabled=False, **lab.act)
    token = first_link(lab.store, **lab.act)
    assert lab.store.staff.link(verifier(token), lab.clock.now) is not None


# -- where somebody is sent


def test_a_way_back_that_is_no_header_loses_no_session(lab: Lab) -> None:
    browser, key = bound(lab, first_link(lab.store, **lab.act))
    browser.post("/sign-out")
    answer = browser.post(
        "/sign-in/passkey",
        credential=key.get(options(browser, "alone")),
        back="/o/\N{CJK UNIFIED IDEOGRAPH-4E2D}",
    )
    assert (answer.status, answer.location) == (303, "/")
    assert lab.store.staff.session(sha256(browser.cookies[SESSION].encode()).digest(), lab.clock.now)


# -- who somebody is in the audit log


@pytest.mark.parametrize(
    "name", ["Break-Glass", "\uff22reak-glass", "Ann\u200b", "\u202eAnn", "A\u00adnn", "Ann\u2060"]
)
def test_nobody_is_called_what_reads_as_somebody_else(lab: Lab, name: str) -> None:
    with pytest.raises(BadValue):
        lab.store.staff.create(name, **lab.act)


@pytest.mark.parametrize("name", ["ann  lee", "\uff21nn Lee", "Ann\u00a0Lee", "ANN LEE "])
def test_one_name_in_two_spellings_is_one_name(lab: Lab, name: str) -> None:
    bea = lab.store.staff.create("Ann Lee", **lab.act)
    with pytest.raises(Conflict):
        lab.store.staff.create(name, **lab.act)
    cec = lab.store.staff.create("Cec", **lab.act)
    with pytest.raises(Conflict):
        lab.store.staff.update(cec.id, name=name, **lab.act)
    assert lab.store.staff.get(bea.id).name == "Ann Lee"
