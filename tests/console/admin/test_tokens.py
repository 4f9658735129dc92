"""Tokens of the API, made and revoked at the console."""

from __future__ import annotations

import re

import pytest

from console.lab import Browser, Lab
from gambeson.console.api.operation import BASE
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb

OWNER = Grant(EVERY, Role.OWNER)
FORM = {"name": "Backup script", "every": "yes", "until": "2026-12-01", "verb-audit": "yes"}


def shown(page: str) -> str:
    [text] = re.findall(r'value="(gamt_[0-9a-f]{16}_[\w-]{43})"', page)
    return str(text)


def asks(lab: Lab, text: str) -> int:
    return Browser(lab.app).get(f"{BASE}/organisations", ("authorization", f"Bearer {text}")).status


def make(browser: Browser, **changes: str) -> str:
    answer = browser.post("/staff/tokens", **{**FORM, **changes})
    assert answer.status == 200, answer.text
    return shown(answer.text)


def test_a_token_is_made_shown_once_used_and_revoked(lab: Lab) -> None:
    lab.organisation("Acme", "acme.example")
    browser = lab.browser(lab.staff("Ann", OWNER))
    assert "There are no tokens" in browser.get("/staff/tokens").text
    text = make(browser)
    assert asks(lab, text) == 200
    page = browser.get("/staff/tokens").text
    assert "Backup script" in page
    assert text not in page
    [token] = lab.store.tokens.list()
    assert token.verbs == {Verb.READ, Verb.AUDIT}
    assert token.organisations == (EVERY,)
    assert f"gamt_{token.public_id}_" in page
    assert browser.post(f"/staff/tokens/{token.id}/revoke").location == "/staff/tokens?said=saved"
    assert asks(lab, text) == 401
    assert "revoked" in browser.get("/staff/tokens").text


def test_it_ends_on_its_last_day(lab: Lab) -> None:
    lab.organisation("Acme", "acme.example")
    browser = lab.browser(lab.staff("Ann", OWNER))
    text = make(browser, until="2026-09-22")
    lab.later(86400)
    assert asks(lab, text) == 200
    lab.later(86400)
    assert asks(lab, text) == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"until": ""}, 422),
        ({"until": "2026-09-01"}, 422),
        ({"until": "2027-12-01"}, 422),
        ({"until": "9999-12-31"}, 422),
        ({"until": "soon"}, 422),
        ({"every": ""}, 422),
        ({"every": "", "named": "Nobody's"}, 422),
        ({"name": " "}, 409),
        ({"name": "x" * 200}, 400),
    ],
)
def test_what_cannot_be(lab: Lab, changes: dict[str, str], status: int) -> None:
    browser = lab.browser(lab.staff("Ann", OWNER))
    assert browser.post("/staff/tokens", **{**FORM, **changes}).status == status
    assert not lab.store.tokens.list()


def test_it_takes_a_passkey_that_was_shown_just_now(lab: Lab) -> None:
    browser = lab.browser(lab.staff("Ann", OWNER), fresh=False)
    assert browser.post("/staff/tokens", **FORM).location.startswith("/step-up")
    assert not lab.store.tokens.list()


def test_no_token_says_who_may_do_what(lab: Lab) -> None:
    browser = lab.browser(lab.staff("Ann", OWNER))
    make(browser, **{"verb-staff": "yes"})
    assert Verb.STAFF not in lab.store.tokens.list()[0].verbs


def test_a_break_glass_session_makes_none_and_revokes(lab: Lab) -> None:
    ann = lab.browser(lab.staff("Ann", OWNER))
    text = make(ann)
    glass = lab.browser(how="break-glass")
    assert "makes no token" in glass.get("/staff/tokens").text
    assert glass.post("/staff/tokens", **FORM).status == 403
    [token] = lab.store.tokens.list()
    assert glass.post(f"/staff/tokens/{token.id}/revoke").status == 303
    assert asks(lab, text) == 401


def of_one(lab: Lab) -> tuple[Staff, str, str]:
    lab.staff("Root", OWNER)
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    return lab.staff("Olga", Grant(acme.id, Role.OWNER)), acme.id, other.id


def test_the_owner_of_one_organisation_makes_tokens_for_it(lab: Lab) -> None:
    olga, acme, other = of_one(lab)
    browser = lab.browser(olga)
    page = browser.get("/staff/tokens").text
    assert "Acme" in page
    assert "Other" not in page
    assert "new ones too" not in page
    assert browser.post("/staff/tokens", **FORM).status == 403
    assert browser.post("/staff/tokens", **{**FORM, "every": "", f"org-{other}": "yes"}).status == 422
    make(browser, **{"every": "", f"org-{acme}": "yes"})
    make(browser, every="", named="acme")
    assert {t.organisations for t in lab.store.tokens.list()} == {(acme,)}


def test_tokens_of_others_are_not_seen_where_they_reach_further(lab: Lab) -> None:
    olga, acme, _ = of_one(lab)
    root = lab.browser(lab.staff("Ruth", OWNER))
    make(root, name="Reaches all")
    make(root, **{"name": "Reaches Acme", "every": "", f"org-{acme}": "yes"})
    browser = lab.browser(olga)
    page = browser.get("/staff/tokens").text
    assert "Reaches Acme" in page
    assert "Reaches all" not in page
    ids = {t.name: t.id for t in lab.store.tokens.list()}
    assert browser.post(f"/staff/tokens/{ids['Reaches all']}/revoke").status == 404
    assert browser.post(f"/staff/tokens/{ids['Reaches Acme']}/revoke").status == 303
    assert browser.post("/staff/tokens/token-none/revoke").status == 404


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.AUDITOR])
def test_others_see_no_tokens(lab: Lab, role: Role) -> None:
    of_one(lab)
    browser = lab.browser(lab.staff("Tom", Grant(EVERY, role)))
    assert browser.get("/staff/tokens").status == 404
    assert browser.post("/staff/tokens", **FORM).status == 404
    assert "/staff/tokens" not in browser.get("/me").text


def test_in_german(lab: Lab) -> None:
    browser = lab.browser(lab.staff("Ann", OWNER), language="de")
    assert "Tokens der API" in browser.get("/staff/tokens").text


def test_of_many_organisations_names_are_written(lab: Lab) -> None:
    for n in range(45):
        lab.organisation(f"Org {n}", f"o{n}.example")
    browser = lab.browser(lab.staff("Ann", OWNER))
    assert 'name="named"' in browser.get("/staff/tokens").text
    make(browser, every="", named="Org 3\nORG 44\n")
    assert len(lab.store.tokens.list()[0].organisations) == 2
