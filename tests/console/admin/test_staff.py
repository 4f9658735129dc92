"""The page Staff: roles, invitations, links, and what an owner of one organisation cannot do."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from console.lab import ORIGIN, T0, Browser, Lab
from console.portal.soft_authenticator import SoftAuthenticator
from gambeson.model.staff import EVERY, Grant, Role

OWNER = Grant(EVERY, Role.OWNER)
DAY = 86400.0
ROLES = ("owner", "technician", "auditor", "responder")


def day(seconds: float) -> str:
    return datetime.fromtimestamp(T0 + seconds, UTC).date().isoformat()


def link_in(text: str) -> str:
    found = re.search(r'value="https://localhost:8443(/welcome/[^"]+)"', text)
    assert found is not None, text
    return found[1]


def bind(lab: Lab, path: str) -> Browser:
    """A new browser opens a link and binds a passkey."""
    browser, key = lab.browser(source="192.0.2.9"), SoftAuthenticator(ORIGIN)
    assert browser.get(path).status == 200
    options = browser.send("POST", "/passkey/options?for=create", b"", [("origin", ORIGIN)])
    assert browser.post("/welcome", credential=key.create(options.text), name="Phone").status == 303
    return browser


def test_an_invitation_from_the_form_to_the_first_sign_in(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    ann = lab.browser(lab.staff("Ann", OWNER))
    page = ann.post("/staff", name="Tom", address="tom@it.example", role="technician", organisation=acme.id)
    assert page.status == 200
    assert "shown only now" in page.text
    path = link_in(page.text)
    assert path.rpartition("/")[2] not in ann.get("/staff").text
    tom = bind(lab, path)
    assert lab.browser().get(path).status == 404  # used up
    assert tom.get("/staff").status == 200
    assert tom.post("/staff", name="X", role="technician", organisation=acme.id).status == 403
    listed = ann.get("/staff?search=tom@")
    assert "Tom" in listed.text
    assert "Technician: Acme (no end)" in listed.text
    assert "Nobody is found" in ann.get("/staff?search=zzz").text


def test_a_link_is_over_after_seven_days_and_after_a_newer_one(lab: Lab) -> None:
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(EVERY, Role.AUDITOR))
    browser = lab.browser(ann)
    first = link_in(browser.post(f"/staff/{tom.id}/link").text)
    second = link_in(browser.post(f"/staff/{tom.id}/link").text)
    assert lab.browser().get(first).status == 404
    assert lab.browser().get(second).status == 200
    lab.later(7 * DAY + 1)
    assert lab.browser().get(second).status == 404


def test_a_new_link_after_a_loss_keeps_the_passkeys_unless_the_box_is_ticked(lab: Lab) -> None:
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(EVERY, Role.AUDITOR))
    browser, his = lab.browser(ann), lab.browser(tom)
    browser.post(f"/staff/{tom.id}/link")
    assert len(lab.store.staff.passkeys(tom.id)) == 1
    page = browser.post(f"/staff/{tom.id}/link", forget="yes")
    assert "binds their first passkey" in page.text or "binds a new passkey" in page.text
    assert lab.store.staff.passkeys(tom.id) == []
    assert his.get("/me").status == 200  # sessions go on
    browser.post(f"/staff/{tom.id}/end")
    assert his.get("/me").status == 303


@pytest.mark.parametrize(
    ("until", "status"),
    [("", 422), (day(-3 * DAY), 422), (day(40 * DAY), 422), (day(5 * DAY), 303), ("soon", 422)],
)
def test_a_responder_has_an_end_within_thirty_days(lab: Lab, until: str, status: int) -> None:
    acme = lab.organisation("Acme", "acme.example")
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(acme.id, Role.AUDITOR))
    form = {"organisation": acme.id, "role": "responder", "until": until}
    assert lab.browser(ann).post(f"/staff/{tom.id}/grant", **form).status == status
    browser = lab.browser(tom)
    assert (Role.RESPONDER in {g.role for g in lab.store.staff.get(tom.id).grants}) == (status == 303)
    lab.later(7 * DAY)
    assert browser.get("/me").status == 303


def test_the_end_of_a_role_is_the_end_of_that_day(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(acme.id, Role.AUDITOR))
    form = {"organisation": acme.id, "role": "technician", "until": day(0)}
    assert lab.browser(ann).post(f"/staff/{tom.id}/grant", **form).status == 303
    grants = lab.store.staff.get(tom.id).grants
    end = next(g.until for g in grants if g.role is Role.TECHNICIAN)
    assert datetime.fromtimestamp(end, UTC).strftime("%H:%M") == "00:00"
    assert 0 < end - T0 <= DAY


@pytest.mark.parametrize("giver", ROLES)
@pytest.mark.parametrize("given", ROLES)
@pytest.mark.parametrize("where", ["here", "elsewhere", EVERY])
def test_who_gives_which_role_where(lab: Lab, giver: str, given: str, where: str) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    lab.staff("Root", OWNER)
    asks = lab.staff("Asks", Grant(acme.id, Role(giver), T0 + DAY if giver == "responder" else 0.0))
    gets = lab.staff("Gets", Grant(acme.id, Role.AUDITOR))
    organisation = {"here": acme.id, "elsewhere": other.id}.get(where, EVERY)
    form = {"organisation": organisation, "role": given, "until": day(5 * DAY)}
    status = lab.browser(asks).post(f"/staff/{gets.id}/grant", **form).status
    may = where == "here" and (giver == "owner" or (giver == "technician" and given == "responder"))
    assert status == (303 if may else 404 if where == "elsewhere" else 403)
    added = {(g.organisation, g.role) for g in lab.store.staff.get(gets.id).grants} - {
        (acme.id, Role.AUDITOR)
    }
    assert (bool(added) or given == "auditor") if may else not added


def test_an_owner_of_one_organisation_and_other_peoples_staff(lab: Lab) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    root = lab.staff("Root", OWNER)
    owner = lab.browser(lab.staff("Olga", Grant(acme.id, Role.OWNER)))
    stranger = lab.staff("Stranger", Grant(other.id, Role.AUDITOR))
    both = lab.staff("Both", Grant(acme.id, Role.AUDITOR), Grant(other.id, Role.OWNER))
    mine = lab.staff("Mine", Grant(acme.id, Role.AUDITOR))

    listed = owner.get("/staff").text
    assert "Stranger" not in listed
    assert "Root" in listed  # who may do everything here is no secret from its owner
    assert "Other" not in owner.get(f"/staff/{both.id}").text
    assert owner.get(f"/staff/{stranger.id}").status == 404
    for person, status in ((stranger, 404), (both, 403), (root, 403)):
        for act in ("link", "disable", "enable", "remove", "end"):
            assert owner.post(f"/staff/{person.id}/{act}").status == status, (person.name, act)
        assert owner.post(f"/staff/{person.id}", name="Renamed").status == status
    withdraw = {"organisation": EVERY, "role": "owner"}
    assert owner.post(f"/staff/{root.id}/withdraw", **withdraw).status == 403
    assert owner.post(f"/staff/{both.id}/withdraw", organisation=other.id, role="owner").status == 404

    assert owner.post(f"/staff/{both.id}/withdraw", organisation=acme.id, role="auditor").location.startswith(
        "/staff?"
    )
    assert owner.post(f"/staff/{mine.id}/link").status == 200
    assert owner.post(f"/staff/{mine.id}/disable").status == 303
    assert owner.post("/staff", name="New", role="owner", organisation=EVERY).status == 403
    assert owner.post("/staff", name="New", role="owner", organisation=other.id).status == 404
    assert owner.post("/staff", name="New", role="owner", organisation=acme.id).status == 200
    assert set(lab.store.staff.get(root.id).grants) == {OWNER}


def test_a_link_made_before_a_role_elsewhere_opens_nothing(lab: Lab) -> None:
    """Otherwise whoever made it in one organisation would come into the other as that person."""
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    root = lab.browser(lab.staff("Root", OWNER))
    owner = lab.browser(lab.staff("Olga", Grant(acme.id, Role.OWNER)))
    path = link_in(owner.post("/staff", name="Tom", role="auditor", organisation=acme.id).text)
    tom = next(each for each in lab.store.staff.list() if each.name == "Tom")
    assert root.post(f"/staff/{tom.id}/grant", organisation=other.id, role="owner").status == 303
    assert lab.browser().get(path).status == 404


def test_nobody_gives_a_role_for_longer_than_their_own(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    lab.staff("Root", OWNER)
    owner = lab.browser(lab.staff("Olga", Grant(acme.id, Role.OWNER, T0 + 3 * DAY)))
    gets = lab.staff("Gets", Grant(acme.id, Role.AUDITOR))
    for until, status in (("", 422), (day(5 * DAY), 422), (day(DAY), 303)):
        form = {"organisation": acme.id, "role": "owner", "until": until}
        assert owner.post(f"/staff/{gets.id}/grant", **form).status == status


def test_the_last_owner_stays(lab: Lab) -> None:
    ann, bea = lab.staff("Ann", OWNER), lab.staff("Bea", OWNER)
    browser = lab.browser(ann)
    assert browser.post(f"/staff/{bea.id}/remove").status == 303
    assert browser.post(f"/staff/{ann.id}/remove").status == 409
    assert browser.post(f"/staff/{ann.id}/disable").status == 409
    assert browser.post(f"/staff/{ann.id}/withdraw", organisation=EVERY, role="owner").status == 409
    assert lab.store.staff.owners() == 1


def test_every_change_wants_a_passkey_shown_just_now(lab: Lab) -> None:
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(EVERY, Role.AUDITOR))
    browser = lab.browser(ann, fresh=False)
    for act in ("", "/grant", "/withdraw", "/disable", "/enable", "/remove", "/link", "/end"):
        assert browser.post(f"/staff/{tom.id}{act}").location.startswith("/step-up"), act
    assert browser.post("/staff", name="X").location.startswith("/step-up")


def test_shut_out_and_in_again(lab: Lab) -> None:
    ann, tom = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(EVERY, Role.AUDITOR))
    browser, his = lab.browser(ann), lab.browser(tom)
    assert his.get("/me").status == 200
    assert browser.post(f"/staff/{tom.id}/disable").status == 303
    assert his.get("/me").status == 303
    assert "shut out" in browser.get("/staff").text
    assert browser.post(f"/staff/{tom.id}/enable").status == 303
    assert browser.post(f"/staff/{tom.id}", name="Thomas", address="t@x.example").status == 303
    assert lab.store.staff.get(tom.id).address == "t@x.example"


def test_somebody_without_any_role_sees_nobody(lab: Lab) -> None:
    lab.staff("Ann", OWNER)
    assert lab.browser(lab.staff("Nemo")).get("/staff").status == 404
