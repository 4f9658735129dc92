"""Second factors: the first one with a binding code, more with a step-up, recovery codes and what comes after them."""

from __future__ import annotations

import re

import pytest

from console.portal.browser import (
    ORIGIN,
    Browser,
    World,
    app_code,
    codes_of,
    enrol_passkey,
    enrol_totp,
    key_of,
)
from console.portal.browser import sign_in_totp as sign_in
from console.portal.memory_desk import Someone
from console.portal.soft_authenticator import SoftAuthenticator, lying
from gambeson.model.access import Rung

SESSION = "__Host-gambeson-portal"


def test_the_first_factor_needs_password_and_binding_code() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    key, codes = enrol_totp(world, anna, browser)
    assert [f.kind for f in anna.factors] == ["totp", "recovery"]
    assert len(codes) == 10
    assert all(re.fullmatch(r"([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", c) for c in codes)
    assert len(set(codes)) == 10
    assert browser.get("/").status == 200
    assert anna.binding is None
    stored = b"".join(f.sealed + b"".join(f.verifiers) for f in anna.factors)
    assert key.encode() not in stored
    assert not any(c.replace("-", "").encode() in stored for c in codes)


@pytest.mark.parametrize("wrong", ["password", "code", "address", "late", "used"])
def test_whatever_is_wrong_the_answer_is_one_and_the_code_stays(wrong: str) -> None:
    world = World()
    anna = world.person()
    code = world.backend.binding_code(anna)
    kept = anna.binding
    form = {"address": anna.address, "password": anna.password, "code": code}
    if wrong == "late":
        world.later(600)
    elif wrong == "used":
        assert world.browser().post("/enrol", **form).status == 303
        kept = None
    else:
        form[wrong] = "nobody@example.org" if wrong == "address" else "0000-0000-0000"
    world.backend.calls.clear()
    browser = world.browser()
    answer = browser.post("/enrol", **form)
    assert answer.status == 403
    assert "That was not right. Check address, password and code" in answer.text
    assert world.backend.calls == [
        "PersonAsk", "check_password", "CodeVerifierAsk", "BindingCodeUse", "PortalEvent"
    ]  # fmt: skip
    assert anna.binding == kept
    assert browser.cookies == {}
    assert browser.get("/factors/new").location == "/sign-in"


def test_without_a_binding_code_no_way_leads_to_a_first_factor() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    assert browser.post("/sign-in", address=anna.address, password=anna.password).status == 403
    for path in ("/factors/new", "/factors", "/", "/step-up", "/second"):
        assert browser.get(path).location == "/sign-in"
    for path in ("/factors/totp", "/factors/passkey", "/second/code", "/second/passkey"):
        assert browser.post(path, code="123456", credential="{}").location == "/sign-in"
    assert browser.options("create").location == "/sign-in"
    assert anna.factors == []


def test_a_step_of_signing_in_registers_nothing() -> None:
    world = World()
    anna = world.person()
    enrol_totp(world, anna, world.browser())
    thief = world.browser()
    assert thief.post("/sign-in", address=anna.address, password=anna.password).location == "/second"
    assert thief.post("/factors/totp", code="123456").location == "/sign-in"
    assert thief.options("create").location == "/sign-in"
    assert thief.get("/factors/new").location == "/sign-in"


def test_the_code_may_be_typed_as_people_type() -> None:
    world = World()
    anna = world.person()
    world.backend.binding_code(anna, "7k2m-9qrs-4tvw")
    answer = world.browser().post(
        "/enrol", address=" Anna@Example.ORG ", password=anna.password, code=" 7K2M 9QRS 4TVW "
    )
    assert answer.location == "/factors/new"


def test_a_wrong_first_code_of_the_app_registers_nothing() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    code = world.backend.binding_code(anna)
    page = browser.follow(browser.post("/enrol", address=anna.address, password=anna.password, code=code))
    key = key_of(page)
    wrong = f"{(int(app_code(world.clock.now, key)) + 1) % 10**6:06}"
    again = browser.post("/factors/totp", code=wrong)
    assert again.status == 403
    assert key_of(again) == key
    assert anna.factors == []


def test_the_qr_code_is_svg_in_the_page() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    code = world.backend.binding_code(anna)
    page = browser.follow(
        browser.post("/enrol", address=anna.address, password=anna.password, code=code)
    ).text
    assert '<svg class="qr" role="img" aria-label="QR code for an authenticator app"' in page
    assert "data:" not in page
    assert f"secret={key_of_text(page)}" in page
    assert "issuer=Gambeson" in page


def key_of_text(page: str) -> str:
    return re.findall(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[0].replace(" ", "")


def test_one_passkey_is_nobody_else_s() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    authenticator = enrol_passkey(world, anna, world.browser())
    identifier = next(iter(authenticator.keys))
    browser = world.browser()
    code = world.backend.binding_code(bert)
    browser.post("/enrol", address=bert.address, password=bert.password, code=code)
    credential = SoftAuthenticator(ORIGIN).create(browser.options("create").text, lying(id=identifier))
    answer = browser.post("/factors/passkey", credential=credential)
    assert answer.status == 403
    assert "registered already" in answer.text
    assert bert.factors == []


# -- more of them ----------------------------------------------------------------------------------


def test_another_factor_needs_a_second_factor_of_the_last_five_minutes() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    key, _ = enrol_totp(world, anna, browser)
    world.later(301)
    assert browser.get("/factors/new").location == "/step-up?back=factor"
    before = browser.cookies[SESSION]
    second = browser.follow(browser.get("/step-up?back=factor"))
    assert "once more" in second.text
    assert (
        browser.post("/second/code", kind="totp", code=app_code(world.clock.now, key)).location
        == "/factors/new"
    )
    assert browser.cookies[SESSION] != before
    assert Browser(world.app, cookies={SESSION: before}).get("/").location == "/sign-in"
    assert browser.get("/factors/new").status == 200
    authenticator = SoftAuthenticator(ORIGIN)
    credential = authenticator.create(browser.options("create").text)
    assert browser.post("/factors/passkey", credential=credential, name=" Key \n one ").location == "/factors"
    assert [f.name for f in anna.factors if f.kind == "passkey"] == ["Key one"]
    assert world.backend.live(anna)[0].rung == Rung.KNOWLEDGE_AND_CODE.word


def test_stepping_up_with_a_passkey_raises_the_rung() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    browser.get("/factors/new")
    authenticator = SoftAuthenticator(ORIGIN)
    browser.post("/factors/passkey", credential=authenticator.create(browser.options("create").text))
    browser.get("/step-up?back=device")
    done = browser.post("/second/passkey", credential=authenticator.get(browser.options("get").text))
    assert done.location == "/devices/new"
    assert world.backend.live(anna)[0].rung == "device-key"


def test_a_step_up_belongs_to_its_session() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    annas, berts = world.browser(), world.browser()
    key, _ = enrol_totp(world, anna, annas)
    enrol_totp(world, bert, berts)
    berts.get("/step-up")
    mixed = Browser(world.app, cookies={**annas.cookies})
    mixed.cookies["__Host-gambeson-step"] = berts.cookies["__Host-gambeson-step"]
    world.later(30)
    assert mixed.post("/second/code", kind="totp", code=app_code(world.clock.now, key)).location == "/sign-in"


def test_a_recovery_code_is_no_step_up() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    _, codes = enrol_totp(world, anna, browser)
    browser.get("/step-up")
    assert browser.post("/second/code", kind="recovery", code=codes[0]).status == 400


def test_the_last_factor_stays_and_others_go() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    key, _ = enrol_totp(world, anna, browser)
    totp = next(f for f in anna.factors if f.kind == "totp")
    assert browser.post(f"/factors/{totp.id}/remove").status == 409
    browser.get("/factors/new")
    authenticator = SoftAuthenticator(ORIGIN)
    browser.post("/factors/passkey", credential=authenticator.create(browser.options("create").text))
    assert "Remove “Authenticator app”?" in browser.get(f"/factors/{totp.id}/remove").text
    assert totp in anna.factors
    assert browser.post(f"/factors/{totp.id}/remove").location == "/factors"
    assert [f.kind for f in anna.factors] == ["recovery", "passkey"]
    assert browser.post("/factors/nonsense/remove").status == 404
    assert "portal.factor.removed" in world.backend.kinds()
    assert key


# -- recovery --------------------------------------------------------------------------------------


def recover(world: World, anna: Someone, code: str) -> Browser:
    browser = world.browser("198.51.100.77")
    browser.post("/sign-in", address=anna.address, password=anna.password)
    assert browser.post("/second/code", kind="recovery", code=code).location == "/factors/new"
    return browser


def test_after_a_recovery_code_nothing_is_open_but_a_new_factor() -> None:
    world = World()
    anna = world.person()
    _, codes = enrol_totp(world, anna, world.browser())
    browser = recover(world, anna, codes[3].upper().replace("-", " "))
    assert "portal.recovery.used" in world.backend.kinds()
    assert "portal.recovery.used" in [e.kind for e in world.backend.events if e.account == anna.account]
    enter = f"/enter?host=owa.example.org&state={'ab' * 32}&to=/"
    for path in ("/", "/devices/new", "/factors", enter, "/step-up"):
        assert browser.get(path).location == "/factors/new", path
    for path in ("/devices/new", "/factors/recovery", "/not-me", "/sessions/end-others"):
        assert browser.post(path, name="x", program="other").location == "/factors/new", path
    assert "You came in with a recovery code" in browser.get("/factors/new").text
    credential = SoftAuthenticator(ORIGIN).create(browser.options("create").text)
    assert browser.post("/factors/passkey", credential=credential).location == "/factors"
    assert browser.get("/").status == 200


def test_a_recovery_code_works_once() -> None:
    world = World()
    anna = world.person()
    _, codes = enrol_totp(world, anna, world.browser())
    recover(world, anna, codes[0])
    browser = world.browser()
    browser.post("/sign-in", address=anna.address, password=anna.password)
    assert browser.post("/second/code", kind="recovery", code=codes[0]).status == 403
    recover(world, anna, codes[1])


def test_a_recovered_session_that_adds_nothing_ends() -> None:
    world = World()
    anna = world.person()
    _, codes = enrol_totp(world, anna, world.browser())
    browser = recover(world, anna, codes[0])
    before = len(world.backend.live(anna))
    world.later(301)
    assert browser.get("/factors/new").location == "/sign-in"
    assert len(world.backend.live(anna)) == before - 1


def test_new_recovery_codes_make_the_old_ones_void() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    key, old = enrol_totp(world, anna, browser)
    page = browser.post("/factors/recovery")
    new = codes_of(page)
    assert len(new) == 10
    assert not set(new) & set(old)
    assert "10 codes are left" in browser.get("/factors").text
    late = world.browser()
    late.post("/sign-in", address=anna.address, password=anna.password)
    assert late.post("/second/code", kind="recovery", code=old[0]).status == 403
    recover(world, anna, new[0])
    world.later(301)
    assert browser.post("/factors/recovery").location == "/step-up?back=factors"
    assert key


def test_the_codes_of_one_account_open_no_other() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    _, annas = enrol_totp(world, anna, world.browser())
    key, _ = enrol_totp(world, bert, world.browser())
    browser = world.browser()
    browser.post("/sign-in", address=bert.address, password=bert.password)
    assert browser.post("/second/code", kind="recovery", code=annas[0]).status == 403
    assert sign_in(world, bert, key, world.browser()).location == "/"
