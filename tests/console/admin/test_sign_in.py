"""Signing in at the console: the first owner's link, passkeys, step-up, and everybody who is not let in."""

from __future__ import annotations

from hashlib import sha256

import pytest

from console.lab import ORIGIN, Browser, Lab
from console.portal.soft_authenticator import SoftAuthenticator
from gambeson.app.first_owner import first_link
from gambeson.console.admin.sessions import SESSION
from gambeson.model.staff import EVERY, Grant, Role

OWNER = Grant(EVERY, Role.OWNER)


def options(browser: Browser, purpose: str) -> str:
    answer = browser.send("POST", f"/passkey/options?for={purpose}", b"", [("origin", ORIGIN)])
    assert answer.status == 200, answer.text
    return answer.text


def signed_in(browser: Browser) -> bool:
    return browser.get("/me").status == 200


def test_from_the_first_link_to_a_session_and_back_with_the_passkey(lab: Lab) -> None:
    lab.organisation("Acme", "acme.example")
    token = first_link(lab.store, **lab.act)
    browser, key = lab.browser(), SoftAuthenticator(ORIGIN)
    assert browser.get("/").location.startswith("/sign-in")
    assert "Owner" in browser.get(f"/welcome/{token}").text
    assert "Owner" in browser.get(f"/welcome/{token}").text  # looking at it uses nothing up
    credential = key.create(options(browser, "create"))
    assert browser.post("/welcome", credential=credential, name="Laptop").location == "/?said=welcome"
    assert signed_in(browser)
    assert lab.store.staff.owners() == 1
    assert first_link(lab.store, **lab.act) == ""

    # The link is used up, for everybody.
    other = lab.browser()
    assert other.get(f"/welcome/{token}").status == 404

    # Out, and in again with the passkey alone; the cookie is another one.
    before = browser.cookies[SESSION]
    browser.post("/sign-out")
    assert not signed_in(browser)
    answer = browser.post("/sign-in/passkey", credential=key.get(options(browser, "alone")), back="/me")
    assert answer.location == "/me"
    assert browser.cookies[SESSION] != before
    assert signed_in(browser)


def test_a_session_that_the_browser_brought_is_not_kept(lab: Lab) -> None:
    """Session fixation: whatever cookie came before the sign-in is worth nothing after it."""
    token = first_link(lab.store, **lab.act)
    browser, key = lab.browser(), SoftAuthenticator(ORIGIN)
    browser.cookies[SESSION] = "chosen-by-somebody-else"
    browser.get(f"/welcome/{token}")
    browser.post("/welcome", credential=key.create(options(browser, "create")))
    assert browser.cookies[SESSION] != "chosen-by-somebody-else"
    assert lab.store.staff.session(sha256(b"chosen-by-somebody-else").digest(), lab.clock.now) is None


def test_an_answer_works_once_and_for_its_own_question(lab: Lab) -> None:
    token = first_link(lab.store, **lab.act)
    browser, key = lab.browser(), SoftAuthenticator(ORIGIN, counts=False)
    browser.get(f"/welcome/{token}")
    browser.post("/welcome", credential=key.create(options(browser, "create")))
    browser.post("/sign-out")

    question = options(browser, "alone")
    cookies = dict(browser.cookies)
    answer = key.get(question)
    assert browser.post("/sign-in/passkey", credential=answer).status == 303
    replay = lab.browser()
    replay.cookies = cookies
    assert replay.post("/sign-in/passkey", credential=answer).status == 403

    late = lab.browser()
    question = options(late, "alone")
    lab.later(301)
    assert late.post("/sign-in/passkey", credential=key.get(question)).status == 403
    key.origin = "https://evil.example"
    assert late.post("/sign-in/passkey", credential=key.get(options(late, "alone"))).status == 403


def test_somebody_who_was_disabled_does_not_come_in(lab: Lab) -> None:
    lab.staff("Ann", OWNER)
    bea = lab.staff("Bea", OWNER)
    browser = lab.browser(bea)
    assert signed_in(browser)
    lab.store.staff.update(bea.id, enabled=False, **lab.act)
    assert not signed_in(browser)


def test_sessions_end_by_rest_and_by_age(lab: Lab) -> None:
    ann = lab.staff("Ann", OWNER)
    browser = lab.browser(ann)
    assert signed_in(browser)
    lab.later(3599)
    assert not signed_in(lab.browser())
    lab.later(2)
    assert not signed_in(browser)


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\evil", "javascript:1"]
)
def test_nobody_is_sent_elsewhere(lab: Lab, back: str) -> None:
    ann = lab.staff("Ann", OWNER)
    from urllib.parse import quote

    answer = lab.browser(ann).get(f"/sign-in?back={quote(back, safe='')}")
    assert answer.location == "/"


def test_a_form_from_elsewhere_is_refused(lab: Lab) -> None:
    ann = lab.staff("Ann", OWNER)
    browser = lab.browser(ann)
    form = ("content-type", "application/x-www-form-urlencoded")
    for origin in (
        (),
        (("origin", "https://evil.example"),),
        (("origin", "null"),),
        (("sec-fetch-site", "cross-site"),),
    ):
        assert browser.send("POST", "/sign-out", b"", [form, *origin]).status == 403
    assert signed_in(browser)


def test_guessing_is_bounded(lab: Lab) -> None:
    browser = lab.browser()
    statuses = [browser.get(f"/welcome/{n}").status for n in range(40)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert lab.browser(source="198.51.100.9").get("/welcome/x").status == 404


def test_every_answer_forbids_frames_and_is_not_kept(lab: Lab) -> None:
    for path in ("/sign-in", "/nowhere", "/me"):
        answer = lab.browser().get(path)
        assert "frame-ancestors 'none'" in answer.header("content-security-policy")
        assert "script-src 'self'" in answer.header("content-security-policy")
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("cache-control") == "no-store"


def test_one_entry_of_the_side_bar_is_the_page(lab: Lab) -> None:
    ann = lab.staff("Ann", OWNER)
    for path in ("/staff", "/staff/tokens", "/me"):
        assert lab.browser(ann).get(path).text.count('aria-current="page"') == 1, path
