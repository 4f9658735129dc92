"""Today: nothing yet, something critical, all fine, nobody measures."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from console.lab import Lab
from console.worker import Worker
from gambeson.console.operations.kept import note_audit, note_backup
from gambeson.model.access import DoorKind, Mode
from gambeson.model.event import Event
from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
DOORS = ("imap", "pop3", "submission", "sieve", "webmail")
DAY = 86400.0


@pytest.fixture
def worker(lab: Lab) -> Iterator[Worker]:
    with Worker(lab) as made:
        yield made


def probes(lab: Lab, *, down: str = "", days: float = 8) -> None:
    """What the prober writes: each door every ten minutes."""
    now = lab.clock.now
    for back in range(int(days * 144)):
        at = now - back * 600.0
        kinds = [("door.probe.down" if d == down and back < 2 else "door.probe.up", d) for d in DOORS]
        lab.events(
            Event(f"p/{d}/{at}", at, kind, door=d, data={"listener": d, "sentence": "It did not answer."})
            for kind, d in kinds
        )


def settled(lab: Lab) -> OrganisationStore:
    """An organisation where nothing is to do."""
    acme = lab.organisation("Acme", "acme.example")
    account = acme.accounts.create("ann@acme.example", **lab.act)
    acme.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    acme.authenticators.add(account.id, AuthenticatorKind.TOTP, sealed=b"x" * 40, **lab.act)
    lab.store.staff.set_codes([bytes([n]) * 32 for n in range(1, 9)], **lab.act)
    note_audit(lab.store, True, lab.clock.now - DAY)
    note_backup(lab.store, lab.clock.now - 3600)
    return acme


def page(lab: Lab, acme: OrganisationStore, language: str = "en") -> str:
    ann = lab.staff("Ann", OWNER)
    answer = lab.browser(ann, language=language).get(f"/o/{acme.id}/today")
    assert answer.status == 200, answer.text
    return answer.text


def items(text: str) -> list[str]:
    found = re.search(r'<ol class="chores">(.*?)</ol>', text, re.S)
    return re.findall(r"<li><a [^>]*>(.*?)</a>", found[1]) if found else []


def test_where_nothing_was_done_yet_the_next_step_is_shown(lab: Lab, worker: Worker) -> None:
    text = page(lab, lab.organisation("Acme", "acme.example"))
    assert "First steps" in text
    assert re.findall(r"state-(\w+)\">(?:done|to do)", text) == ["ok", "attention", "attention"]
    assert "Nothing needs you" not in text
    assert "Nothing yet: nobody was refused" in text


def test_all_is_well(lab: Lab, worker: Worker) -> None:
    acme = settled(lab)
    probes(lab)
    text = page(lab, acme)
    assert items(text) == []
    assert "Nothing needs you" in text
    assert "state-up" in text
    assert "100\u00a0%" in text
    assert "First steps" not in text


@pytest.mark.parametrize("blind", ["worker", "prober", "record"])
def test_blind_outranks_up(lab: Lab, worker: Worker, blind: str) -> None:
    """Everything else is well, and yet nothing is called fine."""
    acme = settled(lab)
    if blind != "prober":
        probes(lab)
    if blind == "worker":
        worker.stop()
    if blind == "record":
        lab.later(9 * DAY)
        note_backup(lab.store, lab.clock.now)
        probes(lab)
    text = page(lab, acme)
    assert "Nothing needs you" not in text
    assert "Nobody measures right now" in text
    assert len(items(text)) == 1


def test_what_cannot_wait_comes_first(lab: Lab, worker: Worker) -> None:
    acme = settled(lab)
    probes(lab, down="imap")
    acme.bypass.open(lab.clock.now + 3600, "test", **lab.act)
    acme.modes.set(DoorKind.POP3, Mode.OBSERVE, until=lab.clock.now + DAY, **lab.act)
    for number in range(6):
        acme.findings.open(
            Finding(
                "", acme.id, "server", f"mx{number}", f"rule-{number}", f"Wrong {number}", Severity.LOW, "why"
            ),
            **lab.act,
        )
    text = page(lab, acme)
    found = items(text)
    assert found[0].startswith("Close the emergency bypass")
    assert found[1].startswith("A door does not answer: IMAP")
    assert len(found) <= 5
    assert 'href="/o/' + acme.id + '/doors/modes"' in text
    assert "state-critical" in text
    assert "It did not answer." in text
    assert "more things would take" in text


def test_the_hours_are_the_owners_to_set(lab: Lab, worker: Worker) -> None:
    acme = settled(lab)
    owner, technician = lab.staff("Ann", OWNER), lab.staff("Tom", Grant(acme.id, Role.TECHNICIAN))
    browser = lab.browser(owner)
    path = f"/o/{acme.id}/today"
    assert browser.post(f"{path}/hours", hours="2,5").location == f"{path}?said=saved"
    assert acme.hours() == 2.5
    for wrong in ("-1", "169", "many", "nan", ""):
        assert browser.post(f"{path}/hours", hours=wrong).status in (409, 422), wrong
    assert acme.hours() == 2.5
    tom = lab.browser(technician)
    assert tom.post(f"{path}/hours", hours="1").status == 403
    assert "Hours a week" not in tom.get(path).text


def test_the_installations_own_chores_are_for_who_looks_after_it(lab: Lab, worker: Worker) -> None:
    acme = settled(lab)
    lab.later(9 * DAY)
    probes(lab)
    tom = lab.staff("Tom", Grant(acme.id, Role.TECHNICIAN))
    text = lab.browser(tom).get(f"/o/{acme.id}/today").text
    assert "Make a backup" not in text
    assert "Nothing needs you" in text
    assert "Make a backup" in page(lab, acme)


def test_the_week_in_figures(lab: Lab, worker: Worker) -> None:
    acme, other = settled(lab), lab.organisation("Other", "other.example")
    now = lab.clock.now
    lab.events(
        Event(f"e{n}", now - n * 3600, kind, organisation, door="imap")
        for n, (kind, organisation) in enumerate(
            [
                ("door.login.allowed", acme.id),
                ("door.login.allowed", acme.id),
                ("door.login.refused", acme.id),
                ("door.login.refused", other.id),
                ("door.request.shielded", acme.id),
            ]
        )
    )
    lab.events([Event("old", now - 8 * DAY, "door.login.refused", acme.id, door="imap")])
    text = page(lab, acme)
    assert "1 sign-in or request refused" in text
    assert "1 known attack stopped" in text
    assert 'role="img"' in text
    assert "2 allowed below, 2 refused on top" in text
    assert len(re.findall(r'<tr><th scope="row"', text)) == 7


def test_in_german(lab: Lab, worker: Worker) -> None:
    text = page(lab, lab.organisation("Acme", "acme.example"), "de")
    assert "Erste Schritte" in text
    assert 'lang="de"' in text


def test_a_stranger_sees_nothing(lab: Lab, worker: Worker) -> None:
    acme, other = settled(lab), lab.organisation("Other", "other.example")
    tom = lab.browser(lab.staff("Tom", Grant(other.id, Role.OWNER)))
    assert tom.get(f"/o/{acme.id}/today").status == 404
    assert tom.post(f"/o/{acme.id}/today/hours", hours="3").status == 404
