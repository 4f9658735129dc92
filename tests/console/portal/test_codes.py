"""Between portal and doors: codes, tokens, renewal, sign-out, and the sealed password that goes along."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.portal.browser import MAIL, OWA, STATE, Browser, World, enrol_passkey, enrol_totp, sign_in_totp
from console.portal.memory_desk import Someone
from gambeson.console.portal import box
from gambeson.console.portal.target import read_target
from gambeson.guard.core.session_token import TokenError, open_token
from gambeson.model.access import Rung
from gambeson.model.session_token import Claims, octets, read, split, token
from gambeson.process.messages import Done, Message, Refused
from gambeson.process.portal_messages import RedeemAsk, RenewAsk, SessionEnd, SessionGiven, SignOutAsk

PASSWORD = "correct horse"
IDLE = World()


def signed_in() -> tuple[World, Someone, Browser]:
    world = World()
    anna = world.person(password=PASSWORD)
    browser = world.browser()
    enrol_totp(world, anna, browser)
    return world, anna, browser


def code_for(browser: Browser, host: str = OWA, state: str = STATE, to: str = "/owa/") -> str:
    sent = browser.get(f"/enter?host={host}&state={state}&to={to}")
    assert sent.status == 303, sent.text
    assert sent.location.startswith(f"https://{host}/.gambeson/enter?")
    return parse_qs(urlsplit(sent.location).query)["code"][0]


def say(world: World, message: Message) -> Message:
    return asyncio.run(world.app.answer(message))  # type: ignore[arg-type]


def redeem(world: World, code: str, host: str = OWA, state: str = STATE) -> Message:
    return say(world, RedeemAsk(code=code, host=host, state=state, source="192.0.2.7"))


def given_for(world: World, browser: Browser, host: str = OWA) -> SessionGiven:
    answer = redeem(world, code_for(browser, host), host)
    assert isinstance(answer, SessionGiven), answer
    return answer


def claims_of(world: World, answer: SessionGiven, host: str = OWA) -> Claims:
    return open_token(answer.token, world.backend.session_key.public_key(), host, world.clock.now)


def test_a_code_becomes_a_token_for_its_host_and_session() -> None:
    world, anna, browser = signed_in()
    answer = given_for(world, browser)
    claims = claims_of(world, answer)
    row = world.backend.live(anna)[0]
    assert (claims.session, claims.account, claims.address) == (row.id, anna.account, anna.address)
    assert claims.rung is Rung.KNOWLEDGE_AND_CODE
    assert (claims.expires - claims.issued, claims.ends) == (900.0, row.ends)
    assert (answer.ends, answer.key, answer.box) == (row.ends, b"", b"")
    with pytest.raises(TokenError):
        claims_of(world, answer, "mail.example.org")


def test_a_code_that_comes_twice_ends_the_session_everywhere() -> None:
    world, anna, browser = signed_in()
    code = code_for(browser)
    first = redeem(world, code)
    assert isinstance(first, SessionGiven)
    second = redeem(world, code)
    assert isinstance(second, Refused)
    assert second.reason == "used"
    assert world.backend.live(anna) == []
    assert "portal.code.replayed" in world.backend.kinds()
    assert isinstance(say(world, RenewAsk(token=first.token)), Refused)
    assert browser.get("/").location == "/sign-in"


def test_of_two_that_come_at_once_one_is_the_second() -> None:
    world, _anna, browser = signed_in()
    code = code_for(browser)
    ask = RedeemAsk(code=code, host=OWA, state=STATE)

    async def both() -> list[Message]:
        return list(await asyncio.gather(world.app.answer(ask), world.app.answer(ask)))

    answers = asyncio.run(both())
    # The first may find its session ended by the second; that both get in cannot be.
    assert sum(isinstance(a, SessionGiven) for a in answers) <= 1
    assert any(isinstance(a, Refused) and a.reason == "used" for a in answers)


@pytest.mark.parametrize(
    ("host", "state"), [("mail.example.org", STATE), (OWA, "cd" * 32), (OWA, ""), ("evil.example", STATE)]
)
def test_a_code_that_comes_from_elsewhere_is_burnt(host: str, state: str) -> None:
    world, _anna, browser = signed_in()
    code = code_for(browser)
    assert isinstance(redeem(world, code, host, state), Refused)
    assert "portal.code.refused" in world.backend.kinds()
    assert isinstance(redeem(world, code), Refused)


def test_a_code_lives_a_minute() -> None:
    world, _anna, browser = signed_in()
    early, late = code_for(browser), code_for(browser)
    world.later(59)
    assert isinstance(redeem(world, early), SessionGiven)
    world.later(2)
    answer = redeem(world, late)
    assert isinstance(answer, Refused)
    assert answer.reason == "unknown-code"


def test_the_door_may_leave_the_port_out() -> None:
    world, _anna, browser = signed_in()
    answer = redeem(world, code_for(browser, MAIL), "mail.example.org")
    assert isinstance(answer, SessionGiven)
    assert claims_of(world, answer, "mail.example.org")


def test_codes_do_not_fill_the_memory() -> None:
    world, _anna, browser = signed_in()
    for _ in range(40):
        code_for(browser)
    assert len(world.app.services.codes) == 16


# -- renewal ---------------------------------------------------------------------------------------


def test_a_token_is_renewed_while_the_session_lives_and_no_longer() -> None:
    world, anna, browser = signed_in()
    answer = given_for(world, browser)
    row = world.backend.live(anna)[0]
    for _ in range(100):
        world.later(700)
        renewed = say(world, RenewAsk(token=answer.token))
        if isinstance(renewed, Refused):
            break
        assert isinstance(renewed, SessionGiven)
        assert (renewed.key, renewed.box) == (b"", b"")
        claims = claims_of(world, renewed)
        assert claims.expires <= row.ends
        answer = renewed
    assert row.ends - 700 <= world.clock.now <= row.ends + 700


def test_an_ended_session_an_ended_account_and_a_late_token_get_nothing() -> None:
    for spoil in ("session", "account", "late"):
        world, anna, browser = signed_in()
        answer = given_for(world, browser)
        if spoil == "session":
            asyncio.run(world.backend.desk(SessionEnd(account=anna.account, at=world.clock.now)))
        elif spoil == "account":
            anna.enabled = False
        else:
            world.later(961)
        refused = say(world, RenewAsk(token=answer.token))
        assert isinstance(refused, Refused), spoil
        assert refused.reason == ("expired" if spoil == "late" else "gone")


def test_of_a_door_s_token_only_session_and_host_are_believed() -> None:
    world, anna, browser = signed_in()
    bert = world.person("bert@example.org", "battery staple")
    answer = given_for(world, browser)
    said, signature = split(answer.token)
    claims = read(said)
    higher = replace(claims, rung=Rung.DEVICE_KEY, address="boss@example.org", organisation="org-9")
    renewed = say(world, RenewAsk(token=token(octets(higher), signature)))
    assert isinstance(renewed, SessionGiven)
    assert claims_of(world, renewed) == replace(claims, issued=world.clock.now)
    for lie in (
        replace(claims, session="ses-9"),
        replace(claims, account=bert.account),
        replace(claims, host="evil.example"),
        replace(claims, host="login.example.org"),
    ):
        assert isinstance(say(world, RenewAsk(token=token(octets(lie), signature))), Refused), lie
    for broken in ("x", "", f"{answer.token}A", answer.token.partition(".")[0]):
        assert isinstance(say(world, RenewAsk(token=broken)), Refused)
        assert isinstance(say(world, SignOutAsk(token=broken)), Refused)
    say(world, SignOutAsk(token=token(octets(replace(claims, account=bert.account)), signature)))
    assert len(world.backend.live(anna)) == 1
    assert said


def test_signing_out_at_an_application_ends_the_session_at_the_portal() -> None:
    world, anna, browser = signed_in()
    answer = given_for(world, browser)
    assert isinstance(say(world, SignOutAsk(token=answer.token)), Done)
    assert world.backend.live(anna) == []
    assert browser.get("/").location == "/sign-in"


def test_when_nobody_answers_the_door_is_refused() -> None:
    world, _anna, browser = signed_in()
    code = code_for(browser)
    world.backend.gone = True
    answer = redeem(world, code)
    assert isinstance(answer, Refused)
    assert answer.reason == "unavailable"


@given(st.text(max_size=100), st.text(max_size=40), st.text(max_size=80), st.text(max_size=200))
def test_whatever_a_door_says_is_answered(code: str, host: str, state: str, text: str) -> None:
    world = IDLE
    for ask in (RedeemAsk(code=code, host=host, state=state), RenewAsk(token=text), SignOutAsk(token=text)):
        assert isinstance(say(world, ask), Refused)


# -- the sealed password ---------------------------------------------------------------------------


def test_the_password_goes_along_sealed_and_only_where_it_is_needed() -> None:
    world, anna, browser = signed_in()
    answer = given_for(world, browser, MAIL)
    session = world.backend.live(anna)[0].id
    assert box.unseal(answer.box, answer.key, box.context(session, "mail.example.org")) == PASSWORD
    for wrong in (box.context(session), box.context("ses-9", "mail.example.org"), box.context(session, OWA)):
        assert box.unseal(answer.box, answer.key, wrong) is None
    again = given_for(world, browser, MAIL)
    assert again.key != answer.key
    assert PASSWORD.encode() not in answer.box
    assert given_for(world, browser, OWA).box == b""


def test_the_portal_s_memory_alone_does_not_open_the_box() -> None:
    world, anna, browser = signed_in()
    session = world.backend.live(anna)[0].id
    kept = world.app.services.boxes.get(session, world.clock.now)
    key = box.read_key(browser.cookies["__Host-gambeson-box"])
    assert box.unseal(kept, key, box.context(session)) == PASSWORD
    del browser.cookies["__Host-gambeson-box"]
    page = browser.get(f"/enter?host={MAIL}&state={STATE}&to=/")
    assert "Your password, once" in page.text


@pytest.mark.parametrize("way", ["sign-out", "door", "end-others"])
def test_the_box_is_gone_with_the_session(way: str) -> None:
    world, anna, browser = signed_in()
    boxes, session = world.app.services.boxes, world.backend.live(anna)[0].id
    assert boxes.get(session, world.clock.now)
    if way == "sign-out":
        browser.post("/sign-out")
    elif way == "door":
        say(world, SignOutAsk(token=given_for(world, browser).token))
    else:
        key, _ = enrol_totp(world, anna, world.browser())
        other = world.browser()
        sign_in_totp(world, anna, key, other)
        other.post("/sessions/end-others")
    assert boxes.get(session, world.clock.now) == b""


def test_the_box_lives_twelve_hours_at_most() -> None:
    world, anna, browser = signed_in()
    session = world.backend.live(anna)[0].id
    for _ in range(12):
        world.later(3599)
        browser.get("/")
    assert world.app.services.boxes.get(session, world.clock.now)
    world.later(13)
    assert world.app.services.boxes.get(session, world.clock.now) == b""


def test_after_a_passkey_alone_the_password_is_asked_for_once() -> None:
    world = World()
    anna = world.person(password=PASSWORD)
    authenticator = enrol_passkey(world, anna, world.browser())
    browser = world.browser()
    browser.post("/sign-in/passkey", credential=authenticator.get(browser.options("alone").text))
    page = browser.get(f"/enter?host={MAIL}&state={STATE}&to=/mail")
    assert page.status == 200
    assert "needs your password" in page.text
    form = {"host": MAIL, "state": STATE, "to": "/mail"}
    assert browser.post("/password", password="wrong", **form).status == 403
    sent = browser.post("/password", password=PASSWORD, **form)
    assert sent.location.startswith(f"https://{MAIL}/.gambeson/enter?code=")
    assert given_for(world, browser, MAIL).box


# -- where one may be sent -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "state", "to"),
    [
        ("evil.example", STATE, "/"),
        ("mail.example.org", STATE, "/"),
        (f"{MAIL}@evil.example", STATE, "/"),
        (OWA.upper(), STATE, "/"),
        (OWA, "xy" * 32, "/"),
        (OWA, STATE[:-1], "/"),
        (OWA, STATE, "//evil.example"),
        (OWA, STATE, "/%5Cevil.example"),
        (OWA, STATE, "https://evil.example"),
        (OWA, STATE, "/a%0D%0Ax"),
        (OWA, STATE, "/a%00"),
        (OWA, STATE, ""),
        (OWA, STATE, "/" + "a" * 2048),
        ("", "", ""),
    ],
)
def test_nobody_is_sent_elsewhere(host: str, state: str, to: str) -> None:
    _world, _anna, browser = signed_in()
    answer = browser.get(f"/enter?host={host}&state={state}&to={to}")
    assert answer.status == 400
    assert answer.location == ""


@given(st.text(max_size=60), st.text(max_size=70), st.text(max_size=80))
def test_a_target_is_ours_or_none(host: str, state: str, to: str) -> None:
    target = read_target(IDLE.settings, host, state, to)
    if target is not None:
        assert urlsplit(target.back("c")).netloc == host
        assert host in (MAIL, OWA)
        assert to.startswith("/")
        assert not to.startswith("//")
