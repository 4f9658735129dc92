"""A code from the help desk: how it was checked who asks, who may give one, how many, and who hears of it."""

from __future__ import annotations

import json
import re

import pytest

from console.lab import Browser, Lab
from gambeson.console.operations.help_desk import MAX_AN_HOUR, SENTENCES, Method
from gambeson.guard.core import notice_portal
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.tenant import OrganisationStore

CODE = re.compile(r'<p class="figure secret" translate="no">([0-9a-z-]{19})</p>')


@pytest.fixture
def org(lab: Lab) -> OrganisationStore:
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("ann@acme.example", id="ann", **lab.act)
    return org


@pytest.fixture
def browser(lab: Lab) -> Browser:
    return lab.browser(lab.staff("Desk", Grant(EVERY, Role.OWNER)))


def path(org: OrganisationStore, account: str = "ann") -> str:
    return f"/o/{org.id}/people/{account}/help-desk"


def test_a_code_of_ten_minutes_shown_once_and_recorded(
    lab: Lab, org: OrganisationStore, browser: Browser
) -> None:
    form = browser.get(path(org)).text
    assert "How did you check that it is them?" in form
    answer = browser.post(path(org), method="call-back", note="Ticket 7 <b>")
    code = CODE.search(answer.text)
    assert code is not None
    assert answer.header("cache-control") == "no-store"
    assert "https://login.localhost:8444/enrol" in answer.text
    assert org.binding_codes.pending("ann", lab.clock.now) == lab.clock.now + 600
    again = browser.get(path(org)).text
    assert code[1] not in again
    assert "A code is good until" in again

    (entry,) = [e for e in org.audit() if e.action == "binding-code.made"]
    assert (entry.subject, entry.by) == ("ann", "Desk (console)")
    told = json.loads(entry.details)
    assert (told["method"], told["note"], told["kind"]) == ("call-back", "Ticket 7 <b>", "help-desk")
    (event,) = org.events.query(kind="console.help-desk.code")
    assert (event.account, event.source) == ("ann", "192.0.2.7")
    assert event.data["method"] == "call-back"
    assert event.data["by"] == "Desk (console)"
    assert code[1] not in repr((org.audit(), event))

    accounts = {"ann": org.accounts.get("ann")}
    (notice,) = notice_portal.due([event], accounts, ["it@acme.example"])
    assert (notice.recipient, notice.named) == ("ann@acme.example", SENTENCES[Method.CALL_BACK])


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ({}, "Without that there is no code"),
        ({"method": ""}, "Without that there is no code"),
        ({"method": "he-sounded-nice"}, "Without that there is no code"),
        ({"method": "manager"}, "Say by name"),
        ({"method": "manager", "manager": "  "}, "Say by name"),
        ({"method": "video", "note": "x" * 501}, "too long"),
    ],
)
def test_without_a_check_there_is_no_code(
    lab: Lab, org: OrganisationStore, browser: Browser, form: dict[str, str], wanted: str
) -> None:
    answer = browser.post(path(org), **form)
    assert answer.status == 422
    assert wanted in answer.text
    assert form.get("note", "") in answer.text  # nobody types it twice
    assert org.binding_codes.pending("ann", lab.clock.now) == 0
    assert org.events.query(kind="console.help-desk.code") == []


def test_a_manager_who_confirmed_is_named(org: OrganisationStore, browser: Browser) -> None:
    assert CODE.search(browser.post(path(org), method="manager", manager="Bo Boss").text)
    (event,) = org.events.query(kind="console.help-desk.code")
    assert event.data["manager"] == "Bo Boss"


def test_ten_an_hour_and_no_more_in_all_organisations_together(
    lab: Lab, org: OrganisationStore, browser: Browser
) -> None:
    other = lab.organisation("Other", "other.example")
    other.accounts.create("x@other.example", id="x", **lab.act)
    for number in range(MAX_AN_HOUR):
        where = path(org) if number % 2 else path(other, "x")
        assert CODE.search(browser.post(where, method="in-person").text), number
    for where in (path(org), path(other, "x")):
        answer = browser.post(where, method="in-person")
        assert (answer.status, CODE.search(answer.text)) == (429, None)
    colleague = lab.browser(lab.staff("Colleague", Grant(org.id, Role.TECHNICIAN)))
    assert CODE.search(colleague.post(path(org), method="in-person").text)
    lab.later(3601)
    back = lab.browser(next(s for s in lab.store.staff.list() if s.name == "Desk"))
    assert CODE.search(back.post(path(org), method="in-person").text)


def test_it_takes_the_place_of_a_printed_code(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    org.invitations.make([("ann", b"v" * 32)], good_for=86400, **lab.act)
    browser.post(path(org), method="video")
    assert org.binding_codes.pending("ann", lab.clock.now) == lab.clock.now + 600


def test_who_may(lab: Lab, org: OrganisationStore) -> None:
    other = lab.organisation("Other", "other.example")
    for name, grant, status in (
        ("auditor", Grant(org.id, Role.AUDITOR), 403),
        ("responder", Grant(org.id, Role.RESPONDER, lab.clock.now + 900), 403),
        ("stranger", Grant(other.id, Role.OWNER), 404),
    ):
        who = lab.browser(lab.staff(name, grant))
        assert who.get(path(org)).status == status, name
        assert who.post(path(org), method="in-person").status == status, name
    stranger = lab.browser(lab.staff("stranger two", Grant(other.id, Role.OWNER)))
    assert stranger.post(path(other), method="in-person").status == 404  # the account is not there
    assert org.binding_codes.pending("ann", lab.clock.now) == 0


def test_nobody_is_given_a_code_who_is_shut_out_or_not_there(
    lab: Lab, org: OrganisationStore, browser: Browser
) -> None:
    org.accounts.update("ann", enabled=False, **lab.act)
    assert "shut out" in browser.get(path(org)).text
    answer = browser.post(path(org), method="in-person")
    assert (answer.status, CODE.search(answer.text)) == (409, None)
    assert browser.get(path(org, "nobody")).status == 404
    assert browser.post(path(org, "nobody"), method="in-person").status == 404


def test_a_passkey_is_wanted_that_was_shown_just_now(lab: Lab, org: OrganisationStore) -> None:
    stale = lab.browser(lab.staff("Desk", Grant(EVERY, Role.OWNER)), fresh=False)
    assert stale.get(path(org)).location == f"/step-up?back={path(org)}"
    answer = stale.post(path(org), method="in-person", back=path(org))
    assert answer.location == f"/step-up?back={path(org)}"
    assert org.binding_codes.pending("ann", lab.clock.now) == 0


def test_a_form_from_elsewhere_gives_nothing(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    kind = ("content-type", "application/x-www-form-urlencoded")
    answer = browser.send("POST", path(org), b"method=in-person", [kind, ("origin", "https://evil.example")])
    assert answer.status == 403
    assert org.binding_codes.pending("ann", lab.clock.now) == 0


def test_in_german(lab: Lab, org: OrganisationStore) -> None:
    browser = lab.browser(lab.staff("Desk", Grant(EVERY, Role.OWNER), language="de"))
    assert "Wie haben Sie geprüft" in browser.get(path(org)).text
    assert "Gilt einmal, bis" in browser.post(path(org), method="in-person").text
