"""Signing in, as conversations between a browser and the portal."""

from __future__ import annotations

import re

import pytest

from console.portal.browser import (
    MAIL,
    ORIGIN,
    OWA,
    STATE,
    Browser,
    Page,
    World,
    app_code,
    enrol_passkey,
    enrol_totp,
    sign_in_totp,
)
from console.portal.soft_authenticator import TRUTH, SoftAuthenticator
from gambeson.process.portal_messages import Person

SESSION, STEP, BOX, KNOWN = (f"__Host-gambeson-{n}" for n in ("portal", "step", "box", "known"))


def test_password_and_app_open_my_things() -> None:
    world = World()
    anna = world.person()
    key, _ = enrol_totp(world, anna, world.browser())
    browser = world.browser("198.51.100.9")
    done = sign_in_totp(world, anna, key, browser)
    assert done.location == "/"
    assert STEP not in browser.cookies
    page = browser.follow(done)
    assert page.status == 200
    assert "Signed in as anna@example.org" in page.text
    row = world.backend.live(anna)[-1]
    assert (row.rung, row.how, row.source) == (
        "knowledge-and-code", "password and authenticator app", "198.51.100.9"
    )  # fmt: skip
    assert world.backend.kinds()[-1] == "portal.sign-in"


def test_password_and_passkey_is_a_device_key() -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser())
    browser = world.browser()
    assert browser.post("/sign-in", address=anna.address, password=anna.password).location == "/second"
    credential = authenticator.get(browser.options("get").text)
    assert browser.post("/second/passkey", credential=credential).location == "/"
    assert world.backend.live(anna)[-1].rung == "device-key"


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
@pytest.mark.parametrize("counts", [True, False])
def test_a_passkey_alone_signs_in(algorithm: int, counts: bool) -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser(), algorithm=algorithm, counts=counts)
    for _ in range(2):
        browser = world.browser()
        credential = authenticator.get(browser.options("alone").text)
        done = browser.post("/sign-in/passkey", credential=credential)
        assert done.location == "/", done.text
    row = world.backend.live(anna)[-1]
    assert (row.rung, row.how) == ("device-key", "passkey")


def test_an_answer_is_good_once_and_only_in_the_browser_that_was_asked() -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser(), counts=False)
    asked, thief = world.browser(), world.browser()
    credential = authenticator.get(asked.options("alone").text)
    thief.options("alone")
    assert thief.post("/sign-in/passkey", credential=credential).status == 403
    assert asked.post("/sign-in/passkey", credential=credential).status == 303
    again = world.browser()
    assert again.post("/sign-in/passkey", credential=credential).status == 403


def test_a_challenge_lives_five_minutes() -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser())
    browser = world.browser()
    credential = authenticator.get(browser.options("alone").text)
    world.later(301)
    assert browser.post("/sign-in/passkey", credential=credential).status == 403


def test_a_wrong_answer_uses_the_challenge_up() -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser())
    browser = world.browser()
    options = browser.options("alone").text
    stranger = SoftAuthenticator(ORIGIN)
    stranger.keys = {
        k: (SoftAuthenticator(ORIGIN)._new_key(TRUTH)[0], h) for k, (_, h) in authenticator.keys.items()
    }
    assert browser.post("/sign-in/passkey", credential=stranger.get(options)).status == 403
    assert browser.post("/sign-in/passkey", credential=authenticator.get(options)).status == 403


def test_a_copied_passkey_is_refused_and_told() -> None:
    world = World()
    anna = world.person()
    authenticator = enrol_passkey(world, anna, world.browser())
    copy = authenticator.copy()
    browser = world.browser()
    browser.post("/sign-in", address=anna.address, password=anna.password)
    assert (
        browser.post("/second/passkey", credential=authenticator.get(browser.options("get").text)).status
        == 303
    )
    thief = world.browser()
    thief.post("/sign-in", address=anna.address, password=anna.password)
    assert thief.post("/second/passkey", credential=copy.get(thief.options("get").text)).status == 403
    assert "portal.passkey.copied" in world.backend.kinds()


def test_a_passkey_of_somebody_else_is_no_second_factor() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    enrol_passkey(world, anna, world.browser())
    berts = enrol_passkey(world, bert, world.browser())
    browser = world.browser()
    browser.post("/sign-in", address=anna.address, password=anna.password)
    options = browser.options("get").text
    credential = berts.get(options, identifier=next(iter(berts.keys)))
    assert browser.post("/second/passkey", credential=credential).status == 403
    assert SESSION not in browser.cookies


# -- nobody learns anything ------------------------------------------------------------------------


def test_unknown_wrong_disabled_and_without_a_factor_are_one_answer() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    carl = world.person("carl@example.org", "third word")
    enrol_totp(world, anna, world.browser())
    enrol_totp(world, carl, world.browser())
    carl.enabled = False
    tries = [
        ("nobody@example.org", "x"),
        (anna.address, "wrong"),
        (bert.address, bert.password),
        (carl.address, carl.password),
        ("not an address", "x"),
        ("", ""),
        (anna.address, "gam-0123456789abcdefghjkmnpqrstvwxyz0123456789"),
    ]
    seen = []
    for number, (address, password) in enumerate(tries):
        browser = world.browser(f"203.0.{number}.1")
        world.backend.calls.clear()
        answer = browser.post("/sign-in", address=address, password=password)
        page = re.sub(r'(id="address"[^>]*value=")[^"]*', r"\1", answer.text)
        seen.append((answer.status, page, tuple(world.backend.calls), sorted(browser.cookies)))
    assert len(set(map(repr, seen))) == 1
    status, _, calls, cookies = seen[0]
    assert status == 403
    assert calls == ("PersonAsk", "check_password", "PortalEvent")
    assert cookies == []


def test_a_device_secret_is_never_given_to_the_identity_source() -> None:
    world = World()
    anna = world.person()
    given: list[str] = []
    check = world.backend.check_password

    async def watched(person: Person, password: str) -> bool:
        given.append(password)
        return await check(person, password)

    world.backend.check_password = watched  # type: ignore[method-assign]
    world.browser().post(
        "/sign-in", address=anna.address, password="gam-0123456789abcdefghjkmnpqrstvwxyz0123456789"
    )
    assert given == [""]


def test_a_second_step_without_a_first_goes_back_to_the_start() -> None:
    world = World()
    for browser in (world.browser(), _with(world.browser(), STEP, "made-up")):
        assert browser.get("/second").location == "/sign-in"
        assert browser.post("/second/code", kind="totp", code="123456").location == "/sign-in"
        assert browser.options("get").location == "/sign-in"


def _with(browser: Browser, name: str, value: str) -> Browser:
    browser.cookies[name] = value
    return browser


def test_five_wrong_codes_and_the_password_is_due_again() -> None:
    world = World()
    anna = world.person()
    key, _ = enrol_totp(world, anna, world.browser())
    browser = world.browser("198.51.100.1")
    world.later(30)
    browser.post("/sign-in", address=anna.address, password=anna.password)
    wrong = f"{(int(app_code(world.clock.now, key)) + 1) % 10**6:06}"
    statuses = [browser.post("/second/code", kind="totp", code=wrong).status for _ in range(5)]
    assert statuses == [403, 403, 403, 403, 429]
    assert (
        browser.post("/second/code", kind="totp", code=app_code(world.clock.now, key)).location == "/sign-in"
    )


def test_a_code_of_the_app_works_once() -> None:
    world = World()
    anna = world.person()
    key, _ = enrol_totp(world, anna, world.browser())
    sign_in_totp(world, anna, key, world.browser())
    thief = world.browser()
    thief.post("/sign-in", address=anna.address, password=anna.password)
    assert thief.post("/second/code", kind="totp", code=app_code(world.clock.now, key)).status == 403


def test_a_step_ends_after_ten_minutes() -> None:
    world = World()
    anna = world.person()
    key, _ = enrol_totp(world, anna, world.browser())
    browser = world.browser()
    browser.post("/sign-in", address=anna.address, password=anna.password)
    world.later(601)
    assert (
        browser.post("/second/code", kind="totp", code=app_code(world.clock.now, key)).location == "/sign-in"
    )


# -- throttling ------------------------------------------------------------------------------------


def test_strangers_guess_at_most_a_hundred_times_and_lock_nobody_out() -> None:
    world = World()
    anna = world.person()
    home = world.browser("192.0.2.7")
    key, _ = enrol_totp(world, anna, home)
    statuses = []
    for number in range(130):
        stranger = world.browser(f"10.{number}.0.1")
        statuses.append(stranger.post("/sign-in", address=anna.address, password=f"guess {number}").status)
    assert statuses.count(403) == 100
    assert set(statuses[100:]) == {429}
    # An unknown browser with the right password has to wait too; the known one does not, from anywhere.
    assert world.browser("203.0.113.50").post(
        "/sign-in", address=anna.address, password=anna.password
    ).status == 429  # fmt: skip
    travelling = Browser(world.app, "203.0.113.51", {KNOWN: home.cookies[KNOWN]})
    assert sign_in_totp(world, anna, key, travelling).location == "/"


def test_guesses_that_others_counted_close_it_for_unknown_browsers() -> None:
    world = World()
    anna = world.person()
    home = world.browser()
    key, _ = enrol_totp(world, anna, home)
    world.backend.guesses[anna.account] = 100
    assert world.browser("203.0.113.1").post("/sign-in", address=anna.address, password="x").status == 429
    assert sign_in_totp(world, anna, key, home).location == "/"


def test_a_known_browser_is_known_for_its_own_account_only_and_guesses_in_bounds() -> None:
    world = World()
    anna, bert = world.person(), world.person("bert@example.org", "battery staple")
    annas = world.browser()
    enrol_totp(world, anna, annas)
    enrol_totp(world, bert, world.browser())
    world.backend.guesses[bert.account] = world.backend.guesses[anna.account] = 100
    other = Browser(world.app, "203.0.113.9", {KNOWN: annas.cookies[KNOWN]})
    assert other.post("/sign-in", address=bert.address, password="x").status == 429
    statuses = [other.post("/sign-in", address=anna.address, password="x").status for _ in range(40)]
    assert statuses.count(403) == 30
    assert statuses[-1] == 429


@pytest.mark.parametrize("change", ["tag", "ends", "word"])
def test_a_known_browser_s_cookie_cannot_be_made_up(change: str) -> None:
    world = World()
    anna = world.person()
    home = world.browser()
    enrol_totp(world, anna, home)
    world.backend.guesses[anna.account] = 100
    word, ends, tag = home.cookies[KNOWN].split(".")
    made_up = {
        "tag": f"{word}.{ends}.{'0' * 64}",
        "ends": f"{word}.{int(ends) + 1}.{tag}",
        "word": f"{'0' * 32}.{ends}.{tag}",
    }
    thief = Browser(world.app, "203.0.113.9", {KNOWN: made_up[change]})
    assert thief.post("/sign-in", address=anna.address, password=anna.password).status == 429


def test_unknown_names_are_throttled_like_known_ones() -> None:
    world = World()
    statuses = [
        world.browser(f"10.{n}.0.1").post("/sign-in", address="nobody@example.org", password="x").status
        for n in range(110)
    ]
    assert statuses == [403] * 100 + [429] * 10


# -- sessions --------------------------------------------------------------------------------------


def test_the_cookie_is_new_at_every_sign_in_and_the_old_session_ends() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    key, _ = enrol_totp(world, anna, browser)
    first = browser.cookies[SESSION]
    assert len(first) == 43
    sign_in_totp(world, anna, key, browser)
    assert browser.cookies[SESSION] != first
    assert len(world.backend.live(anna)) == 1
    assert Browser(world.app, cookies={SESSION: first}).get("/").location == "/sign-in"


@pytest.mark.parametrize(
    ("steps", "alive"), [([3599], True), ([3601], False), ([3000] * 14, True), ([3000] * 15, False)]
)
def test_a_session_ends_after_an_hour_of_rest_and_after_twelve_hours(steps: list[int], alive: bool) -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    answer = None
    for seconds in steps:
        world.later(seconds)
        answer = browser.get("/")
    assert answer is not None
    assert answer.status == (200 if alive else 303)


def test_signing_out_ends_the_session_everywhere() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    cookies = dict(browser.cookies)
    page = browser.post("/sign-out")
    assert page.status == 200
    assert set(browser.cookies) == {KNOWN}
    assert world.backend.live(anna) == []
    assert Browser(world.app, cookies=cookies).get("/").location == "/sign-in"


def test_somebody_who_was_shut_out_is_out() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    anna.enabled = False
    assert browser.post("/factors/recovery").location == "/sign-in"


def test_the_way_back_survives_both_steps_and_is_never_an_address_of_others() -> None:
    world = World()
    anna = world.person()
    key, _ = enrol_totp(world, anna, world.browser())
    browser = world.browser()
    start = browser.get(f"/enter?host={OWA}&state={STATE}&to=/owa/%3Fa%3D1")
    assert start.location.startswith("/sign-in?host=owa.example.org")
    form = Page(browser.get(start.location).text).forms["/sign-in"]
    done = sign_in_totp(world, anna, key, browser, **form)
    sent = browser.follow(done)
    assert sent.location.startswith(f"https://{OWA}/.gambeson/enter?code=")
    assert sent.location.endswith("&to=%2Fowa%2F%3Fa%3D1")
    for host in ("evil.example", f"{MAIL}.evil.example", "mail.example.org", ""):
        form = Page(browser.get(f"/sign-in?host={host}&state={STATE}&to=/").text).forms
        assert "host" not in form.get("/sign-in", {})


def test_when_nobody_answers_nobody_comes_in() -> None:
    world = World()
    anna = world.person()
    browser = world.browser()
    enrol_totp(world, anna, browser)
    world.backend.gone = True
    assert browser.get("/").status == 503
    assert world.browser().post("/sign-in", address=anna.address, password=anna.password).status == 503
