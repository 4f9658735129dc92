"""The page Settings: values beside their defaults, and the doctor on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from console.lab import Lab, facts
from gambeson.app.console_plan import setting_rows
from gambeson.console.office import SettingRow
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.settings import loads

OWNER = Grant(EVERY, Role.OWNER)


class State(StrEnum):
    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True)
class Line:
    name: str
    state: State
    text: str
    remedy: str = ""


class Doctor:
    """Examines when it is let."""

    def __init__(self) -> None:
        self.asked, self.go, self.gone = 0, threading.Event(), threading.Event()

    def __call__(self) -> Iterator[Line]:
        self.asked += 1
        yield Line("store", State.OK, "It answers.")
        assert self.go.wait(10)
        yield Line("keeper", State.FAILED, "It is away.", "Start it.")
        self.gone.set()


def settled(lab: Lab) -> None:
    """Until no examination goes on."""
    for thread in threading.enumerate():
        if thread.name == "doctor":
            thread.join(10)


def test_the_doctor_is_asked_once_and_read_by_many(lab: Lab) -> None:
    lab.organisation("Acme", "acme.example")
    doctor = lab.world.doctor = Doctor()
    browser = lab.browser(lab.staff("Ann", OWNER))
    assert "Nobody asked" in browser.get("/settings").text
    assert browser.post("/settings/doctor").location == "/settings#doctor"
    assert browser.post("/settings/doctor").status == 303  # it goes on: nothing new begins
    assert "The examination goes on" in browser.get("/settings").text
    doctor.go.set()
    settled(lab)
    page = browser.get("/settings").text
    assert page.index("It is away.") < page.index("It answers.")  # the worst first
    assert "1 in order, 0 warnings, 1 failed" in page
    browser.post("/settings/doctor")  # within a minute: nothing new
    assert doctor.asked == 1
    lab.later(61)
    browser.post("/settings/doctor")
    settled(lab)
    assert doctor.asked == 2


def test_a_doctor_that_breaks_says_so(lab: Lab) -> None:
    def broken() -> Iterator[Line]:
        yield Line("store", State.OK, "It answers.")
        raise RuntimeError("secret detail")

    lab.world.doctor = broken
    browser = lab.browser(lab.staff("Ann", OWNER))
    browser.post("/settings/doctor")
    settled(lab)
    page = browser.get("/settings").text
    assert "broke off" in page
    assert "secret detail" not in page


def test_what_differs_is_shown_first_and_all_on_demand(lab: Lab) -> None:
    rows = (
        SettingRow("doors.hostname", '"mail.example"', '""', "The name in greetings.", "It is known."),
        SettingRow("doors.max_sessions", "1000", "1000", "How many.", "Enough."),
    )
    lab.world.facts = facts(settings=rows, settings_file="/etc/gambeson.toml")
    browser = lab.browser(lab.staff("Ann", OWNER))
    page = browser.get("/settings").text
    assert "doors.hostname" in page
    assert "differs" in page
    assert "/etc/gambeson.toml" in page
    assert "doors.max_sessions" not in page
    assert "doors.max_sessions" in browser.get("/settings?show=all").text
    assert "doors.max_sessions" in browser.get("/settings?search=how+many").text
    assert "No setting fits" in browser.get("/settings?search=zzz").text
    assert 'id="break-glass"' in page


def test_it_is_the_installations_business(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    lab.staff("Root", OWNER)
    for grant in (Grant(acme.id, Role.OWNER), Grant(EVERY, Role.TECHNICIAN), Grant(EVERY, Role.AUDITOR)):
        browser = lab.browser(lab.staff(f"{grant.role} {grant.organisation}", grant))
        assert browser.get("/settings").status == 404
        assert browser.post("/settings/doctor").status == 404


def test_every_declared_setting_has_a_row_and_secrets_are_references(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = (
        '[store]\nurl = "postgresql://g@db.example/g"\npassword = "file:/etc/secret"\n'
        '[[server]]\nname = "mail"\nimap = "imaps://mail.example:993"\n'
    )
    rows = {row.name: row for row in setting_rows(loads(text, "g.toml", tmp_path))}
    assert rows["store.password"].value == '"file:/etc/secret"'
    assert rows["store.password"].default == '""'
    assert rows["server[mail].imap"].value.startswith('"imaps://mail.example')
    assert rows["doors.max_sessions"].value == rows["doors.max_sessions"].default
    assert all(row.doc for row in rows.values())
    assert len(rows) > 60
