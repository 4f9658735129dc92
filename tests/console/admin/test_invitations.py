"""Inviting a whole group: who would be invited, the sheets, by name how far everybody is."""

from __future__ import annotations

import re
import subprocess

import pytest

from console.lab import Browser, Lab
from gambeson.model.access import DoorKind
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.tenant import OrganisationStore
from peers import program

DAY = 86400.0
CODE = re.compile(r"\b[0-9a-hjkmnp-tv-z]{4}(?:-[0-9a-hjkmnp-tv-z]{4}){3}\b")


@pytest.fixture
def org(lab: Lab) -> OrganisationStore:
    org = lab.organisation("Acme & <Söhne> #panic()", "acme.example")
    for name, groups in (("ann", ["sales"]), ("ben", ["sales"]), ("cleo", []), ("o'#x$y", [])):
        org.accounts.create(f"{name}@acme.example", groups=groups, id=f"acc-{name[:3]}", **lab.act)
    return org


@pytest.fixture
def browser(lab: Lab) -> Browser:
    return lab.browser(lab.staff("Owner", Grant(EVERY, Role.OWNER)))


def sheets(lab: Lab, browser: Browser, org: OrganisationStore, **form: str) -> list[str]:
    """Invites, and gives the text of each sheet."""
    answer = browser.post(f"/o/{org.id}/invitations", **form)
    assert answer.status == 303, answer.text
    lab.world.works.join()
    assert "The sheets are ready" in browser.get(answer.location).text
    file = browser.get(f"{answer.location}/file")
    assert file.header("content-type") == "application/pdf"
    assert file.header("content-disposition") == 'attachment; filename="invitations.pdf"'
    text = subprocess.run([program("pdftotext"), "-", "-"], input=file.body, capture_output=True, check=True)
    return text.stdout.decode().split("\f")[:-1]


def pending(lab: Lab, org: OrganisationStore) -> dict[str, float]:
    now = lab.clock.now
    ends = {a.id: org.binding_codes.pending(a.id, now) for a in org.accounts.list()}
    return {id: end - now for id, end in ends.items() if end}


@pytest.mark.peer("pdftotext")
def test_a_group_gets_its_sheets_and_nobody_else_a_code(
    lab: Lab, org: OrganisationStore, browser: Browser
) -> None:
    page = browser.get(f"/o/{org.id}/invitations/new?among=group&group=sales").text
    assert "People who would be invited: 2" in page
    assert "ann@acme.example, ben@acme.example" in page
    found = sheets(lab, browser, org, among="group", group="sales", language="de", days="7")
    assert [address in page for page, address in zip(found, ("ann@acme", "ben@acme"), strict=True)] == [
        True
    ] * 2
    assert all("Ihr zweiter Schlüssel" in page and "Acme & <Söhne> #panic()" in page for page in found)
    assert len({CODE.search(page)[0] for page in found}) == 2  # type: ignore[index]
    assert pending(lab, org) == {"acc-ann": 7 * DAY, "acc-ben": 7 * DAY}
    made = [e for e in org.audit() if e.action == "binding-code.made"]
    assert {(e.subject, e.by) for e in made} == {
        ("acc-ann", "Owner (console)"),
        ("acc-ben", "Owner (console)"),
    }
    (event,) = org.events.query(kind="console.invitations.made")
    assert event.data == {"by": "Owner (console)", "people": 2}
    everything = repr((org.audit(), org.events.query()))
    assert not any(CODE.search(page)[0] in everything for page in found)  # type: ignore[index]


@pytest.mark.peer("pdftotext")
def test_names_that_would_like_to_be_commands(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    (page,) = sheets(lab, browser, org, among="people", addresses="o'#x$y@acme.example")
    assert "o'#x$y@acme.example" in page
    assert "Your second key to your mail" in page


@pytest.mark.peer("pdftotext")
def test_who_has_a_good_code_is_left_out_until_it_is_over(
    lab: Lab, org: OrganisationStore, browser: Browser
) -> None:
    sheets(lab, browser, org, among="people", **{"pick.acc-ann": "on", "addresses": "cleo@acme.example\r\n"})
    assert pending(lab, org) == {"acc-ann": 14 * DAY, "acc-cle": 14 * DAY}
    assert len(sheets(lab, browser, org, among="no-factor")) == 2
    nobody = browser.post(f"/o/{org.id}/invitations", among="no-factor")
    assert (nobody.status, "nobody to invite" in nobody.text) == (422, True)
    lab.later(14 * DAY)
    fresh = lab.browser(lab.staff("Second", Grant(EVERY, Role.OWNER)))
    assert "People who would be invited: 4" in fresh.get(f"/o/{org.id}/invitations/new?among=not-yet").text
    assert len(sheets(lab, fresh, org, among="not-yet")) == 4


def test_by_name_how_far_everybody_is(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    base = f"/o/{org.id}/invitations"
    assert "Nobody was invited yet" in browser.get(base).text
    browser.post(base, among="no-factor")
    lab.world.works.join()
    verifier = b"v" * 32
    org.invitations.make([("acc-ann", verifier)], good_for=DAY, by="Owner (console)", at=lab.clock.now)
    org.binding_codes.spend("acc-ann", verifier, by="portal:ann", at=lab.clock.now + 60)
    org.authenticators.add("acc-ann", AuthenticatorKind.TOTP, sealed=b"x", **lab.act)
    org.devices.create("acc-ann", "phone", doors=[DoorKind.IMAP], **lab.act)
    org.web_sessions.open("acc-ann", "device-key", b"s" * 32, by="portal:ann", at=lab.clock.now + 60)

    page = browser.get(base).text
    assert "1 of 4 have a second factor" in page
    assert '<meter class="meter" min="0" max="4" value="1"' in page
    row = re.search(r"<tr>\s*<th[^>]*><a[^>]*>ann@.*?</tr>", page, re.DOTALL)
    assert row is not None
    for wanted in ("2026-09-21 14:13", "Owner (console), invited 2 times", "used 2026-09-21 14:14", ">yes<"):
        assert wanted in row[0]
    assert "Invite again" not in row[0]
    page = browser.get(f"{base}?progress=not-yet").text
    assert "People by address: 3" in page
    assert "ann@acme.example" not in page
    assert "cleo@acme" in browser.get(f"{base}?q=CLE").text
    assert "Nobody is like that" in browser.get(f"{base}?progress=over").text
    lab.later(15 * DAY)
    fresh = lab.browser(lab.staff("Second", Grant(EVERY, Role.OWNER)))
    assert "Invite again whose code is over: 3" in fresh.get(f"{base}?progress=over").text


def test_all_of_it_speaks_german_too(lab: Lab, org: OrganisationStore) -> None:
    staff = lab.staff("Owner", Grant(EVERY, Role.OWNER), language="de")
    browser = lab.browser(staff)
    assert "Noch niemand wurde eingeladen" in browser.get(f"/o/{org.id}/invitations").text
    answer = browser.post(f"/o/{org.id}/invitations", among="no-factor")
    lab.world.works.join()
    assert "Die Blätter sind fertig, insgesamt 4." in browser.get(answer.location).text
    page = browser.get(f"/o/{org.id}/invitations/new?among=no-factor&q=niemand").text
    assert "Personen, die eingeladen würden: 0" in page
    assert "Kein zugelassenes Konto hat „niemand“" in page


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"among": "people"}, 422),
        ({"among": "people", "addresses": "nobody@acme.example"}, 422),
        ({"among": "people", "addresses": "no address"}, 422),
        ({"among": "people", "pick.acc-of-others": "on"}, 422),
        ({"among": "group", "group": "none"}, 422),
        ({"among": "no-factor", "days": "15"}, 422),
        ({"among": "no-factor", "days": "0"}, 422),
        ({"among": "no-factor", "language": "xx"}, 400),
        ({"among": "people", "addresses": "x " * 2_000}, 413),
        ({"among": "people", "addresses": "x" * 20_000}, 400),
    ],
)
def test_what_is_refused_makes_no_code(
    lab: Lab, org: OrganisationStore, browser: Browser, form: dict[str, str], status: int
) -> None:
    other = lab.organisation("Other", "other.example")
    other.accounts.create("x@other.example", id="acc-of-others", **lab.act)
    answer = browser.post(f"/o/{org.id}/invitations", **form)
    lab.world.works.join()
    assert answer.status == status
    assert pending(lab, org) == {}
    assert lab.world.works.of(org.id) == ()


def test_one_unknown_name_and_nobody_is_invited(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    org.accounts.update("acc-ben", enabled=False, **lab.act)
    for bad in ("nobody@acme.example", "ben@acme.example"):
        answer = browser.post(f"/o/{org.id}/invitations", among="people", addresses=f"ann@acme.example {bad}")
        assert (answer.status, bad in answer.text) == (422, True)
    assert pending(lab, org) == {}


def test_cancelled_it_leaves_nothing(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    """Cancelled before its turn or while codes are drawn: no code is kept, the ones before stay good."""
    org.binding_codes.make("acc-ann", b"v" * 32, **lab.act)
    real = lab.world.random
    browser.get(f"/o/{org.id}/invitations")

    def cancelling(size: int) -> bytes:
        if size == 10:  # a code is drawn
            (work,) = lab.world.works.of(org.id)
            lab.world.works.cancel(org.id, work.id)
        return real(size)

    lab.world.random = cancelling
    answer = browser.post(f"/o/{org.id}/invitations", among="no-factor", replacing="on")
    lab.world.works.join()
    assert "It left nothing behind." in browser.get(answer.location).text
    assert pending(lab, org) == {"acc-ann": 600.0}
    assert org.invitations.counts(lab.clock.now).invited == 0


def test_who_may(lab: Lab, org: OrganisationStore) -> None:
    other = lab.organisation("Other", "other.example")
    base = f"/o/{org.id}/invitations"
    for name, grant, statuses in (
        ("technician", Grant(org.id, Role.TECHNICIAN), (200, 200, 303)),
        ("auditor", Grant(org.id, Role.AUDITOR), (200, 403, 403)),
        ("responder", Grant(org.id, Role.RESPONDER, lab.clock.now + 900), (200, 403, 403)),
        ("stranger", Grant(other.id, Role.OWNER), (404, 404, 404)),
    ):
        who = lab.browser(lab.staff(name, grant))
        found = (
            who.get(base).status,
            who.get(f"{base}/new?among=no-factor").status,
            who.post(base, among="people", **{"pick.acc-ann": "on"}).status,
        )
        lab.world.works.join()
        assert found == statuses, name
        assert ("Invite people" in who.get(base).text) == (name == "technician")


def test_a_passkey_is_wanted_that_was_shown_just_now(lab: Lab, org: OrganisationStore) -> None:
    stale = lab.browser(lab.staff("Owner", Grant(EVERY, Role.OWNER)), fresh=False)
    base = f"/o/{org.id}/invitations"
    assert stale.get(base).status == 200
    assert stale.get(f"{base}/new").location == f"/step-up?back={base}/new"
    assert stale.post(base, among="no-factor", back=base).location == f"/step-up?back={base}"
    assert pending(lab, org) == {}


def test_without_a_portal_nobody_is_invited(tmp_path) -> None:
    with Lab(tmp_path, portal="") as lab:
        org = lab.organisation("Acme", "acme.example")
        org.accounts.create("ann@acme.example", id="ann", **lab.act)
        browser = lab.browser(lab.staff("Owner", Grant(EVERY, Role.OWNER)))
        assert "no portal" in browser.get(f"/o/{org.id}/invitations").text
        answer = browser.post(f"/o/{org.id}/invitations", among="no-factor")
        assert (answer.status, "no portal" in answer.text) == (409, True)


def test_many_are_shown_by_the_page(lab: Lab, org: OrganisationStore, browser: Browser) -> None:
    for n in range(60):
        org.accounts.create(f"many{n:02}@acme.example", id=f"many{n:02}", **lab.act)
    everybody = [(a.id, a.id.encode().ljust(32)) for a in org.accounts.list()]
    org.invitations.make(everybody, good_for=DAY, **lab.act)
    first = browser.get(f"/o/{org.id}/invitations?progress=not-yet").text
    assert first.count('<th scope="row">') == 50
    assert "progress=not-yet&amp;q=&amp;offset=50" in first
    assert browser.get(f"/o/{org.id}/invitations?offset=50").text.count('<th scope="row">') == 14
