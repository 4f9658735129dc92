"""Break-glass, from the making of the codes to the day after."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from console.admin.test_staff import bind, link_in
from console.lab import Lab
from gambeson.console import glass
from gambeson.console.admin.sessions import SESSION
from gambeson.console.core.glass import ALPHABET, RULE, USED, broken, code, plain
from gambeson.console.core.roles import BREAK_GLASS
from gambeson.model.access import DoorKind
from gambeson.model.finding import Severity
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store import schema

OWNER = Grant(EVERY, Role.OWNER)
CODE = re.compile(r"<li><code>([0-9A-Z-]{29})</code>")


def codes_of(lab: Lab) -> list[str]:
    ann = next((p for p in lab.store.staff.list() if p.name == "Ann"), None) or lab.staff("Ann", OWNER)
    page = lab.browser(ann).post("/staff/break-glass")
    assert page.status == 200
    return CODE.findall(page.text)


def test_a_code_is_read_as_people_write_it() -> None:
    made = code(bytes(range(16)))
    assert len(plain(made)) == 25  # of 32 signs: 125 bits
    assert len(ALPHABET) == 32
    assert plain(made.lower().replace("-", " ")) == plain(made)
    assert plain("OIL" + "0" * 22) == "011" + "0" * 22
    for wrong in ("", "U" + "0" * 24, "0" * 24, "0" * 26, "0" * 101, "é" * 25):
        assert plain(wrong) == ""
    assert code(b"\xff" * 16) == "-".join(["ZZZZZ"] * 5)
    with pytest.raises(ValueError, match="16 octets"):
        code(b"short")


@pytest.mark.parametrize(
    ("unused", "made_at", "live", "is_broken"),
    [
        (0, 0.0, (), False),
        (8, 5.0, (), False),
        (0, 5.0, (), True),
        (8, 5.0, ("s",), True),
        (0, 0.0, ("s",), True),
    ],
)
def test_when_the_glass_counts_as_broken(
    unused: int, made_at: float, live: tuple[str, ...], is_broken: bool
) -> None:
    assert bool(broken(unused, made_at, live)) == is_broken


def test_the_day_on_which_nobody_could_sign_in(lab: Lab) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    codes = codes_of(lab)
    assert len(set(codes)) == 8
    # The directory, the mail server, the keeper and the worker may all be down: nothing of them is asked.
    lab._keeper.close()

    browser = lab.browser(source="198.51.100.4")
    assert browser.get("/break-glass").status == 200
    page = browser.post("/break-glass", code=codes[3].lower())
    assert page.status == 200
    new = CODE.findall(page.text)
    assert len(new) == 8
    assert not set(new) & set(codes)
    assert browser.get("/organisations").status == 200

    # All others are void with it.
    for each in codes:
        assert lab.browser(source="203.0.113.5").post("/break-glass", code=each).status == 403

    # Everybody is told.
    for organisation in (acme, other):
        events = organisation.events.query(kind=USED)
        assert [e.source for e in events] == ["198.51.100.4"]
        findings = organisation.findings.list(rule=RULE)
        assert [f.severity for f in findings] == [Severity.CRITICAL]
    assert len(lab.store.events.recent(USED, 0.0)) == 1
    log = "".join(lab.store.audit.export())
    assert "break-glass.used" in log
    assert "break-glass.codes-made" in log

    # It stays open while the session is, and closes by measuring.
    assert glass.settle(lab.store, "worker", lab.clock.now) is True
    lab.later(3601)
    assert browser.get("/organisations").status == 303
    assert glass.settle(lab.store, "worker", lab.clock.now) is False
    assert acme.findings.list(rule=RULE) == []

    # The new codes hold.
    assert lab.browser().post("/break-glass", code=new[0]).status == 200


def test_an_owner_comes_back_by_a_link_and_the_session_ends_with_it(lab: Lab) -> None:
    lab.organisation("Acme", "acme.example")
    codes = codes_of(lab)
    ann = next(iter(lab.store.staff.list()))
    browser = lab.browser()
    browser.post("/break-glass", code=codes[0])
    assert "Break-glass session" in browser.get("/staff").text
    path = link_in(browser.post(f"/staff/{ann.id}/link").text)
    new = bind(lab, path)
    assert new.get(f"/staff/{ann.id}").status == 200
    assert new.post("/staff/break-glass/end").status == 303
    assert browser.get("/staff").status == 303


def test_what_such_a_session_does_not_do_to_staff(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    codes = codes_of(lab)
    ann = next(iter(lab.store.staff.list()))
    tom = lab.staff("Tom", Grant(acme.id, Role.AUDITOR))
    browser = lab.browser()
    browser.post("/break-glass", code=codes[0])
    grant = {"organisation": acme.id, "role": "owner"}
    assert browser.post("/staff", name="Me", **grant).status == 403
    assert browser.post(f"/staff/{tom.id}/grant", **grant).status == 403
    assert browser.post(f"/staff/{tom.id}/remove").status == 403
    assert browser.post(f"/staff/{tom.id}", name="X").status == 403
    assert browser.post(f"/staff/{ann.id}/link", forget="yes").status == 403
    assert browser.post("/staff/break-glass").status == 403
    assert browser.post("/me/passkeys").status == 403
    assert browser.post(f"/staff/{tom.id}/disable").status == 303  # shutting out is what it is for


def test_guessing_is_bounded_and_recorded(lab: Lab) -> None:
    codes = codes_of(lab)
    browser = lab.browser(source="198.51.100.7")
    statuses = [browser.post("/break-glass", code=f"{n:025d}").status for n in range(31)]
    assert statuses == [403] * 30 + [429]
    assert len(lab.store.events.recent("console.break-glass.refused", 0.0)) == 30
    assert lab.browser().post("/break-glass", code="x" * 101).status == 400
    assert SESSION not in browser.cookies
    assert browser.post("/break-glass", code=codes[0]).status == 200, "a stranger keeps no right code out"


def test_only_an_owner_of_every_organisation_makes_codes(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    lab.staff("Root", OWNER)
    for grant in (Grant(acme.id, Role.OWNER), Grant(EVERY, Role.TECHNICIAN), Grant(EVERY, Role.AUDITOR)):
        browser = lab.browser(lab.staff(f"{grant.role} {grant.organisation}", grant))
        assert browser.get("/staff/break-glass").status == 404
        assert browser.post("/staff/break-glass").status == 404
    late = lab.browser(lab.staff("Late", OWNER), fresh=False)
    assert late.post("/staff/break-glass").location.startswith("/step-up")


def test_the_codes_are_kept_as_hashes_only(lab: Lab) -> None:
    codes = codes_of(lab)
    with lab.store.control.read(EVERY) as conn:
        rows = str(conn.execute(sa.text("select * from break_glass_codes")).all())
    assert not any(plain(each) in rows or each in rows for each in codes)


def contents(lab: Lab) -> dict[str, list[Any]]:
    """What a break-glass session must never change."""
    tables = (
        schema.devices, schema.credentials, schema.accounts, schema.addresses, schema.policies, schema.domains,
        schema.organisations, schema.binding_codes,
    )  # fmt: skip
    with lab.store.control.read(EVERY) as conn:
        return {
            t.name: [tuple(row) for row in conn.execute(sa.select(t).order_by(*t.primary_key))]
            for t in tables
        }


def test_no_route_lets_it_register_devices_or_edit_the_policy(lab: Lab) -> None:
    forbidden = {Verb.DEVICES, Verb.PEOPLE, Verb.POLICY, Verb.ACTIONS, Verb.ORGANISATIONS}
    assert not forbidden & BREAK_GLASS
    acme = lab.organisation("Acme", "acme.example")
    account = acme.accounts.create("ann@acme.example", **lab.act)
    device = acme.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    lab.staff("Ann", OWNER)
    browser = lab.browser(how="break-glass")
    before, tried = contents(lab), 0
    ids = {"org": acme.id, "account": account.id, "device": device.id}
    for route in lab.app.routes:
        if route.method != "POST" or route.path in (
            "/sign-out",
            "/welcome",
            "/break-glass",
            "/staff/break-glass/end",
        ):
            continue
        path = re.sub(r"\{(\w+):\w+\}", lambda m: ids.get(m[1], "nothing"), route.path)
        form = {"name": "X", "account": account.id, "device": device.id, "domain": "new.example", "text": "x"}
        status = browser.post(path, **form).status
        tried += 1
        if route.verb in forbidden:
            assert status in (403, 404), (route.path, status)
        assert contents(lab) == before, route.path
    assert tried
