"""The web lane as conversations: through the portal and back, what a session opens, what it does not, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gambeson.guard.core.web.origin import state_of
from gambeson.guard.core.web.verdict import Answer, Forward
from gambeson.guard.edge.door_settings import DoorSettings
from gambeson.guard.edge.registry import Proof, still_admitted
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.rule import ModeEntry
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import WebSignIn
from gambeson.process.portal_messages import RedeemAsk, RenewAsk, SignOutAsk
from guard.edge.web.gates import (
    ALMA,
    MAIL,
    PORTAL,
    WEBMAIL,
    Browser,
    Gates,
    ask,
    basic,
    basic_of,
    browse,
    exchange,
    keys,
    location,
    roundcube,
    run,
    snapshot,
)

SESSION = "__Host-gambeson-session"


def test_from_the_first_look_through_the_portal_to_the_mailbox():
    async def talk(gates: Gates) -> None:
        alma = Browser(gates)
        first = await alma.get("/?_task=mail")
        assert isinstance(first, Answer)
        where = urlsplit(location(first))
        query = parse_qs(where.query)
        assert (where.scheme, where.netloc, where.path) == ("https", f"{PORTAL}:8443", "/enter")
        assert query["host"] == [WEBMAIL]
        assert query["to"] == ["/?_task=mail"]
        assert len(query["state"][0]) == 64
        assert query["state"][0] not in alma.cookies(WEBMAIL)  # the portal learns its hash alone
        back = await alma.sign_in(to="/?_task=mail")
        assert (back.status, location(back)) == (303, "/?_task=mail")
        for name, value in back.headers:
            if name == "set-cookie" and "Max-Age=0" not in value:
                assert value.startswith("__Host-")
                for attribute in ("; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"):
                    assert attribute in value
                assert "Domain" not in value
        forward = await alma.get("/?_task=mail")
        assert isinstance(forward, Forward)
        assert forward.access is not None
        identity = forward.access.identity
        assert (identity.account, identity.organisation, identity.session) == ("a1", "o", "s1")
        assert identity.rung is Rung.KNOWLEDGE_AND_CODE
        assert [e.account for e in gates.events("door.login.allowed")] == ["a1"]
        await alma.get("/?_task=mail")
        assert len(gates.events("door.login.allowed")) == 1  # once, not with every request

    run(talk)


def test_the_port_is_part_of_what_the_portal_is_told():
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(browse("/", port=8443))
        assert parse_qs(urlsplit(location(answer)).query)["host"] == [f"{WEBMAIL}:8443"]

    run(talk)


@pytest.mark.parametrize(
    "made",
    [
        ask("/", accept="application/json"),
        ask("/", accept="text/html", sec_fetch_mode="cors"),
        ask("/", method="POST", origin=f"https://{WEBMAIL}", accept="text/html", content_type="text/plain"),
    ],
)
def test_whoever_is_no_person_looking_is_told_so(made):
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(made)
        assert answer.status == 401
        assert "location" not in dict(answer.headers)
        assert not dict(answer.headers)["www-authenticate"].lower().startswith("basic")
        if made.header("accept") == "application/json":
            assert json.loads(answer.body)["reason"] == "no-session"

    run(talk)


def good(gates: Gates, **changes: object) -> str:
    return gates.console.token(**changes)  # type: ignore[arg-type]


def altered(gates: Gates) -> str:
    text = gates.console.token()
    return text[:-1] + ("A" if text[-1] != "A" else "Q")


def of_another(gates: Gates) -> str:
    return (
        gates.console.token().partition(".")[0] + "." + gates.console.token("s2", who="bob").partition(".")[2]
    )


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (lambda g: good(g), 200),
        (lambda g: "", 303),
        (lambda g: "x" * 3000, 303),
        (altered, 303),
        (of_another, 303),
        (lambda g: good(g, host=MAIL), 303),
        (lambda g: good(g, issued=time.time() - 1000, expires=time.time() - 100), 303),
        (lambda g: good(g, issued=time.time() + 100, expires=time.time() + 200), 303),
        (lambda g: good(g, rung=Rung.DEVICE_KEY), 200),
        (lambda g: good(g, rung=Rung.KNOWLEDGE), 403),
        (lambda g: good(g, rung=Rung.NOTHING), 403),
        (lambda g: good(g, who="eve"), 403),  # another organisation's
        (lambda g: good(g, organisation="x"), 403),
        (lambda g: good(g, account="nobody"), 403),
    ],
)
def test_what_a_token_opens(made, status):
    async def talk(gates: Gates) -> None:
        verdict = await gates.judge(browse("/", cookies=f"{SESSION}={made(gates)}"))
        assert (200 if isinstance(verdict, Forward) else verdict.status) == status

    run(talk)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ended_sessions": ("s1",)}, 303),
        ({"ended_sessions": ("s2",)}, 200),
        ({"accounts": tuple(replace(a, enabled=False) for a in snapshot().accounts)}, 403),
        ({"accounts": snapshot().accounts[1:]}, 403),
        ({"policies": ()}, 403),
        ({"made_at": 1.0}, 403),
        ({"sites": (exchange(), roundcube(organisation="x"))}, 403),
        ({"sites": (exchange(), roundcube(organisation=""))}, 200),
    ],
)
def test_a_newer_snapshot_holds_with_the_next_request(changes, status):
    async def talk(gates: Gates) -> None:
        cookie = f"{SESSION}={gates.console.token()}"
        await gates.forward(browse("/", cookies=cookie))
        gates.use(snapshot(2, **changes))
        verdict = await gates.judge(browse("/", cookies=cookie))
        assert (200 if isinstance(verdict, Forward) else verdict.status) == status

    run(talk)


def test_two_cookies_of_our_name_are_none():
    async def talk(gates: Gates) -> None:
        one, two = gates.console.token(), gates.console.token("s2", who="bob")
        assert (await gates.answer(browse("/", cookies=f"{SESSION}={one}; {SESSION}={two}"))).status == 303

    run(talk)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": f"https://{WEBMAIL}"}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"https://{PORTAL}:8443"}, 403),
        ({"origin": f"https://{WEBMAIL}:8443"}, 403),
        ({"origin": f"http://{WEBMAIL}"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"origin": "https://evil.test", "sec_fetch_site": "same-origin"}, 403),
    ],
)
def test_what_changes_something_comes_from_the_same_origin(headers, status):
    async def talk(gates: Gates) -> None:
        cookie = f"{SESSION}={gates.console.token()}"
        made = ask("/?_task=mail&_action=send", method="POST", cookies=cookie,
                   content_type="application/x-www-form-urlencoded", **headers)  # fmt: skip
        verdict = await gates.judge(made)
        assert (200 if isinstance(verdict, Forward) else verdict.status) == status

    run(talk)


# -- enter


def test_a_code_opens_once_in_the_browser_that_began():
    async def talk(gates: Gates) -> None:
        alma, other = Browser(gates), Browser(gates)
        first = await alma.get("/")
        assert isinstance(first, Answer)
        await other.get("/")
        query = parse_qs(urlsplit(location(first)).query)
        claims = gates.console.claims()
        stolen = gates.console.code(WEBMAIL, query["state"][0], claims)
        # In another browser, with another state: refused, and the code is spent.
        assert (await other.get(f"/.gambeson/enter?code={stolen}&to=/")).status == 403
        assert (await alma.get(f"/.gambeson/enter?code={stolen}&to=/")).status == 403
        first = await alma.get("/")
        assert isinstance(first, Answer)
        query = parse_qs(urlsplit(location(first)).query)
        code = gates.console.code(WEBMAIL, query["state"][0], claims)
        entered = await alma.get(f"/.gambeson/enter?code={code}&to=/")
        assert entered.status == 303
        session = alma.jar[WEBMAIL][SESSION]
        again = await alma.get(f"/.gambeson/enter?code={code}&to=/")  # in already: the code is not looked at
        assert isinstance(again, Answer)
        assert (again.status, again.reason) == (303, "here-already")
        assert set(alma.jar[WEBMAIL]) == {SESSION, "__Host-gambeson-whose"}
        assert alma.jar[WEBMAIL][SESSION] == session
        del alma.jar[WEBMAIL][SESSION]
        again = await alma.get(f"/.gambeson/enter?code={code}&to=/")
        assert isinstance(again, Answer)
        assert (again.status, again.reason) == (403, "no-state")
        assert "location" not in dict(again.headers)
        asked = [a for a in gates.console.asked if isinstance(a, RedeemAsk)]
        assert [a.host for a in asked] == [WEBMAIL] * 3

    run(talk)


def test_several_tabs_begin_at_once_and_each_arrives():
    async def talk(gates: Gates) -> None:
        alma = Browser(gates)
        states = []
        for path in ("/?_task=mail", "/?_task=settings"):
            first = await alma.get(path)
            assert isinstance(first, Answer)
            states.append(parse_qs(urlsplit(location(first)).query)["state"][0])
        assert states[0] == states[1]
        for path in ("/?_task=mail", "/?_task=settings"):
            code = gates.console.code(WEBMAIL, states[0], gates.console.claims())
            back = await alma.get(f"/.gambeson/enter?code={code}&to={path}")
            assert isinstance(back, Answer)
            assert (back.status, location(back)) == (303, path)
        # A state that somebody else could know is none of ours.
        alma.jar[WEBMAIL] = {"__Host-gambeson-state": "guessable"}
        await alma.get("/")
        assert alma.jar[WEBMAIL]["__Host-gambeson-state"] not in ("guessable", states[0])

    run(talk)


@pytest.mark.parametrize(
    "target",
    [
        "/.gambeson/enter",
        "/.gambeson/enter?code=",
        "/.gambeson/enter?code=a&code=b",
        "/.gambeson/enter?code=" + "a" * 201,
    ],
)
def test_no_code_no_question(target):
    async def talk(gates: Gates) -> None:
        answer = await gates.answer(browse(target, cookies="__Host-gambeson-state=" + "a" * 64))
        assert answer.status == 403
        assert gates.console.asked == []

    run(talk)


@pytest.mark.parametrize("changes", [{"host": MAIL}, {"who": "eve"}, {"issued": 1.0, "expires": 2.0}])
def test_a_token_that_does_not_fit_is_not_set(changes):
    async def talk(gates: Gates) -> None:
        claims = gates.console.claims(**{"host": WEBMAIL, **changes})
        state = "a" * 64
        code = gates.console.code(WEBMAIL, state_of(state), claims)
        answer = await gates.answer(
            browse(f"/.gambeson/enter?code={code}&to=/", cookies=f"__Host-gambeson-state={state}")
        )
        assert answer.status == 403
        assert not any(SESSION in value for _, value in answer.headers)

    run(talk)


@pytest.mark.parametrize(
    "to",
    [
        "//evil.test/",
        "https://evil.test/",
        "/%5Cevil.test",
        "%2F%2Fevil.test",
        "/%09/evil.test",
        "/%0d%0aSet-Cookie:%20x=1",
        "/.gambeson/leave",
        "",
    ],
)
def test_entering_leads_nowhere_else(to):
    async def talk(gates: Gates) -> None:
        alma = Browser(gates)
        first = await alma.get("/")
        assert isinstance(first, Answer)
        state = parse_qs(urlsplit(location(first)).query)["state"][0]
        code = gates.console.code(WEBMAIL, state, gates.console.claims())
        back = await alma.get(f"/.gambeson/enter?code={code}&to={to}")
        assert isinstance(back, Answer)
        assert location(back) == "/"

    run(talk)


def test_a_portal_that_does_not_answer():
    async def talk(gates: Gates) -> None:
        gates.link.close()
        answer = await gates.answer(
            browse("/.gambeson/enter?code=x&to=/", cookies="__Host-gambeson-state=" + "a" * 64)
        )
        assert answer.status == 503

    run(talk)


# -- leave


def test_signing_out_ends_the_session_here_and_at_the_portal():
    async def talk(gates: Gates) -> None:
        alma = Browser(gates)
        await alma.sign_in()
        kept = alma.cookies(WEBMAIL)
        page = await alma.get("/.gambeson/leave")
        assert isinstance(page, Answer)
        assert b'method="post"' in page.body
        assert alma.cookies(WEBMAIL) == kept  # looking changes nothing
        left = await alma.post("/.gambeson/leave")
        assert isinstance(left, Answer)
        assert ("clear-site-data", '"cache", "cookies", "storage"') in left.headers
        assert any(isinstance(a, SignOutAsk) for a in gates.console.asked)
        assert SESSION not in alma.cookies(WEBMAIL)
        # The old cookie opens nothing any more, before any snapshot says so.
        assert (await gates.answer(browse("/", cookies=kept))).status == 303

    run(talk)


@pytest.mark.parametrize("origin", ["https://evil.test", "null", f"https://{PORTAL}:8443", ""])
def test_nobody_is_signed_out_from_another_page(origin):
    async def talk(gates: Gates) -> None:
        alma = Browser(gates)
        await alma.sign_in()
        assert (await alma.post("/.gambeson/leave", origin=origin)).status == 403
        assert isinstance(await alma.get("/"), Forward)

    run(talk)


def test_a_signs_out_b_signs_in_b_sees_nothing_of_as():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in("s1", "alma")
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        browser.served(
            forward, "roundcube_sessid=of-alma; path=/; HttpOnly", "roundcube_sessauth=of-alma; path=/"
        )
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        sent = dict(forward.headers)["cookie"]
        assert sent == "roundcube_sessid=of-alma; roundcube_sessauth=of-alma"
        kept = dict(browser.jar[WEBMAIL])
        left = await browser.post("/.gambeson/leave")
        assert isinstance(left, Answer)
        assert "roundcube_sessid" not in browser.cookies(WEBMAIL)
        # Even a browser that keeps them all (its own path, a copy of the profile) sends B nothing of A's.
        browser.jar[WEBMAIL] = {n: v for n, v in kept.items() if not n.startswith("__Host-")}
        await browser.sign_in("s2", "bob")
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        assert dict(forward.headers)["cookie"] == ""
        assert forward.access is not None
        assert forward.access.identity.account == "a2"
        browser.served(forward, "roundcube_sessid=of-bob; path=/; HttpOnly")
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        assert dict(forward.headers)["cookie"] == "roundcube_sessid=of-bob"

    run(talk)


def test_what_pages_stored_stays_for_the_same_account_alone():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        cleared = []
        for number, who in enumerate(("alma", "alma", "bob", "bob", "alma")):
            browser.jar.get(WEBMAIL, {}).pop(SESSION, None)  # it ended with the browser, or at the portal
            entered = await browser.sign_in(f"s{number}", who)
            cleared.append(("clear-site-data", '"cache", "storage"') in entered.headers)
        assert cleared == [True, False, True, False, True]

    run(talk)


def test_a_hostile_application_sets_nothing_of_ours():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in()
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        assert forward.set_cookie is not None
        for value in (
            "__Host-gambeson-session=mine; Path=/; Secure",
            "__host-gambeson-key=" + "0" * 64,
            "__Secure-gambeson-w-sessid=mine; Path=/",
        ):
            assert forward.set_cookie(value) == ()

    run(talk)


# -- renewal


def test_a_token_near_its_end_is_renewed_beside_the_requests():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        now = time.time()
        old = gates.console.token(issued=now - 700, expires=now + 200)
        browser.jar[WEBMAIL] = {SESSION: old}
        assert isinstance(await browser.get("/"), Forward)
        await asyncio.sleep(0.05)
        assert [type(a) for a in gates.console.asked] == [RenewAsk]
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        assert len(forward.cookies) == 1
        assert browser.jar[WEBMAIL][SESSION] != old
        await browser.get("/")
        last = await browser.get("/")
        assert isinstance(last, Forward)
        assert last.cookies == ()
        assert len(gates.console.asked) == 1

    run(talk)


def test_a_session_that_the_portal_no_longer_knows_ends_with_its_renewal():
    async def talk(gates: Gates) -> None:
        now = time.time()
        cookie = f"{SESSION}={gates.console.token(issued=now - 700, expires=now + 200)}"
        gates.console.live.clear()
        await gates.forward(browse("/", cookies=cookie))
        await asyncio.sleep(0.05)
        assert (await gates.answer(browse("/", cookies=cookie))).status == 303

    run(talk)


def test_a_portal_that_is_gone_throws_nobody_out():
    async def talk(gates: Gates) -> None:
        now = time.time()
        cookie = f"{SESSION}={gates.console.token(issued=now - 700, expires=now + 200)}"
        gates.link.close()
        for _ in range(3):
            await gates.forward(browse("/", cookies=cookie))
            await asyncio.sleep(0.01)

    run(talk)


# -- the ways to sign in at the application


def test_way_token_gives_a_fresh_token_as_the_password():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in("s2", "bob")
        forward = await browser.get("/", authorization=basic("admin", "x"), x_remote_user="admin")
        assert isinstance(forward, Forward)
        assert not forward.authorization
        name, password = basic_of(forward)
        claims = jwt.decode(
            password, ECKey.import_key(keys().token_pem.encode()), algorithms=["ES256"]
        ).claims
        assert name == claims["sub"] == "bob"
        assert claims["aud"] == "webmail"
        assert claims["exp"] - time.time() <= 60
        assert [a.session != "" and a.server == "webmail" for a in gates.keeper_asked] == [True]
        await browser.get("/")
        assert len(gates.keeper_asked) == 1
        assert password not in repr(forward)

    run(talk)


def test_way_header_gives_the_name_beside_a_signature():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in()
        forward = await browser.get("/", x_remote_user="admin", x_gambeson_signature="mine")
        assert isinstance(forward, Forward)
        sent = dict(forward.headers)
        assert sent["x-remote-user"] == "alma@example.org"
        key = ECKey.import_key(keys().token_pem.encode())
        claims = jwt.decode(sent["x-gambeson-signature"], key, algorithms=["ES256"]).claims
        assert (claims["sub"], claims["aud"]) == ("alma@example.org", "webmail")
        assert "authorization" not in sent

    run(talk, snapshot(sites=(roundcube(WebSignIn.HEADER),)))


def test_way_basic_opens_the_box_with_the_browsers_key():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in(password="alma's own")
        forward = await browser.get("/")
        assert isinstance(forward, Forward)
        assert basic_of(forward) == ("alma@example.org", "alma's own")
        assert gates.keeper_asked == []
        key = browser.jar[WEBMAIL]["__Host-gambeson-key"]
        for wrong in ("", "0" * 64, key[:-1] + ("0" if key[-1] != "0" else "1"), "x"):
            browser.jar[WEBMAIL]["__Host-gambeson-key"] = wrong
            assert (await browser.get("/")).status == 303
        # Whoever has the key and another session opens nothing.
        other = Browser(gates)
        other.jar[WEBMAIL] = {SESSION: gates.console.token("s9"), "__Host-gambeson-key": key}
        assert (await other.get("/")).status == 303
        # Twelve hours later, or after the door's restart, the box is gone.
        gates.gate.people.sweep(time.time() + 12 * 3600 + 1)
        browser.jar[WEBMAIL]["__Host-gambeson-key"] = key
        assert (await browser.get("/")).status == 303

    run(talk, snapshot(sites=(roundcube(WebSignIn.BASIC),)))


def test_way_basic_without_a_password_leads_nobody_in_circles():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        answer = await browser.sign_in()
        assert answer.status == 403
        assert answer.reason == "no-password"
        assert SESSION not in browser.cookies(WEBMAIL)

    run(talk, snapshot(sites=(roundcube(WebSignIn.BASIC),)))


def test_way_basic_forgets_at_sign_out():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in(password="alma's own")
        kept = dict(browser.jar[WEBMAIL])
        await browser.post("/.gambeson/leave")
        assert len(gates.gate.people.boxes._boxes) == 0
        browser.jar[WEBMAIL] = kept
        assert (await browser.get("/")).status == 303

    run(talk, snapshot(sites=(roundcube(WebSignIn.BASIC),)))


def test_way_as_is_passes_on_what_the_application_asks_for_but_nothing_of_ours():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in()
        for value, passes in (
            (basic("alma", "her password"), True),
            (basic("alma", ALMA.text), False),
            (basic("alma", ALMA.text.upper()), False),
            ("NTLM TlRMTVNT", True),
            ("", False),
        ):
            forward = await browser.get("/", authorization=value)
            assert isinstance(forward, Forward)
            assert forward.authorization is passes
            assert "authorization" not in dict(forward.headers)

    run(talk, snapshot(sites=(roundcube(WebSignIn.AS_IS),)))


def test_a_keeper_that_is_gone_is_our_trouble():
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in()
        gates.keeper.close()
        assert (await browser.get("/")).status == 503

    run(talk)


# -- observe


def observing(*doors: DoorKind) -> tuple[object, ...]:
    until = time.time() + 3600
    return tuple(
        replace(p, modes=tuple(ModeEntry(d, Mode.OBSERVE, until) for d in doors)) for p in snapshot().policies
    )


def test_a_door_that_only_observes_lets_pass_what_passed_before():
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(
            browse("/", cookies="old=1; __Secure-gambeson-w-bound=00; bound=2", authorization=basic("a", "b"))
        )
        assert dict(forward.headers)["cookie"] == "old=1"
        assert forward.authorization
        assert forward.access is not None
        assert not forward.access.identity.account
        assert [e.data["mode"] for e in gates.events("door.login.allowed")] == ["observe"]
        secret = await gates.forward(browse("/", authorization=basic("alma@example.org", ALMA.text)))
        assert not secret.authorization  # never leaves the door
        # Whoever has a session is served with it all the same.
        browser = Browser(gates)
        browser.jar[WEBMAIL] = {SESSION: gates.console.token()}
        served = await browser.get("/")
        assert isinstance(served, Forward)
        assert served.access is not None
        assert served.access.identity.account == "a1"

    run(talk, snapshot(policies=observing(DoorKind.WEBMAIL), sites=(roundcube(WebSignIn.AS_IS),)))


# -- judged again


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"ended_sessions": ("s1",)}, False),
        ({"accounts": tuple(replace(a, enabled=False) for a in snapshot().accounts)}, False),
        ({"policies": ()}, False),
    ],
)
def test_an_open_connection_is_judged_again(changes, stays):
    async def talk(gates: Gates) -> None:
        forward = await gates.forward(browse("/", cookies=f"{SESSION}={gates.console.token()}"))
        assert forward.access is not None
        index = SnapshotIndex(snapshot(2, **changes))
        assert still_admitted(Proof(forward.access), index, time.time()) is stays
        weak = replace(forward.access, identity=replace(forward.access.identity, rung=Rung.DEVICE_SECRET))
        assert not still_admitted(Proof(weak), index, time.time())

    run(talk)


def test_a_disk_that_is_full_admits_nobody():
    async def talk(gates: Gates) -> None:
        class Full:
            healthy = False

            def retry(self) -> bool:
                return False

            def append(self, *_: object, **__: object) -> bool:
                return False

        gates.door.recorder._spool = Full()
        cookie = f"{SESSION}={gates.console.token()}"
        assert (await gates.answer(browse("/", cookies=cookie))).status == 503

    run(talk)


def test_the_settings_have_room_for_the_portal():
    assert DoorSettings(MAIL, ()).portal is None
