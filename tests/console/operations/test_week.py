"""What is gathered for Today: counted once for days that are over, put together from days, kept for a while."""

from __future__ import annotations

import pytest

from console.lab import Lab
from gambeson.console.core.availability import Up
from gambeson.console.operations import tally
from gambeson.console.operations.gather import Around, gather
from gambeson.console.operations.kept import Kept, kept, note_audit, note_backup
from gambeson.console.operations.memory import remembered
from gambeson.console.operations.probes import past, present
from gambeson.console.operations.served import served_doors
from gambeson.model.access import DoorKind, Mode
from gambeson.model.event import Event
from gambeson.model.finding import Finding, Severity

DAY = 86400.0
EXCEPTION = """
[[exception]]
name = "scanner"
door = "submission"
rung = "knowledge"
accounts = ["ann@acme.example"]
owner = "Bea"
reason = "it cannot hold a secret"
until = 2026-09-30T00:00:00Z
"""


def probe(lab: Lab, at: float, *, up: bool = True, door: str = "imap") -> None:
    kind = "door.probe.up" if up else "door.probe.down"
    lab.events([Event(f"p/{door}/{at}", at, kind, door=door, data={"listener": door})])


def test_memory_is_of_one_store_and_ends(lab: Lab) -> None:
    asked: list[float] = []

    def ask(now: float) -> int:
        return remembered(lab.store, "x", now, 10, lambda: asked.append(now) or len(asked))

    assert [ask(0), ask(9), ask(10), ask(5)] == [1, 1, 2, 3]  # a clock that was set back is not believed
    assert asked == [0, 10, 5]


def test_a_day_that_is_over_is_counted_once_and_the_present_one_anew(lab: Lab) -> None:
    acme = lab.organisation("Acme")
    now = lab.clock.now
    lab.events([Event("a", now - DAY, "door.login.allowed", acme.id, door="imap")])

    def counted(at: float) -> list[int]:
        return [day.of(tally.ALLOWED) for day in tally.days(lab.store, acme.id, at, 3)]

    assert counted(now) == [0, 1, 0]
    lab.events(Event(f"late{n}", now - n * DAY, "door.login.allowed", acme.id, door="imap") for n in range(3))
    assert counted(now) == [0, 1, 0]
    assert counted(now + 60) == [0, 1, 1]
    assert counted(now + DAY) == [1, 1, 0]
    assert tally.by_kind(tally.days(lab.store, acme.id, now, 3)) == {"door.login.allowed": 2}


def test_an_outage_over_midnight_is_one(lab: Lab) -> None:
    midnight = lab.clock.now - lab.clock.now % DAY
    for n in range(-20, 21):
        probe(lab, midnight + 600.0 * n, up=abs(n) > 3)
    found = past(lab.store, ("imap",), midnight + 12000.0, 2)
    assert [(o.start - midnight, o.end - midnight, o.running) for o in found.outages] == [
        (-1800, 2400, False)
    ]
    assert found.whole.up + found.whole.down + found.whole.blind == pytest.approx(1)
    assert found.whole.down == pytest.approx(4200 / (DAY + 12000))
    assert 0 < found.whole.up_of_measured < 1


def test_where_nobody_looked_it_is_blind(lab: Lab) -> None:
    found = past(lab.store, ("imap", "pop3"), lab.clock.now, 7)
    assert found.whole.blind == pytest.approx(1)
    assert found.whole.up_of_measured == 0
    assert [name for name, _ in found.doors] == ["imap", "pop3"]
    probe(lab, lab.clock.now - 60)
    assert present(lab.store, ("imap", "pop3"), lab.clock.now).state is Up.BLIND
    assert present(lab.store, ("imap",), lab.clock.now).state is Up.UP
    assert present(lab.store, ("imap",), lab.clock.now + 7200).state is Up.BLIND


def test_what_is_known_of_the_record(lab: Lab) -> None:
    now = lab.clock.now
    assert kept(lab.store, now) == Kept()
    note_audit(lab.store, True, now)
    note_backup(lab.store, now)
    assert kept(lab.store, now + 60) == Kept(now, False, now)
    note_audit(lab.store, False, now + 100)
    assert kept(lab.store, now + 121) == Kept(None, True, now)
    assert kept(lab.store, now + 31 * DAY) == Kept()


def test_what_is_gathered(lab: Lab) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    account = acme.accounts.create("ann@acme.example", **lab.act)
    acme.accounts.create("off@acme.example", enabled=False, **lab.act)
    stranger = other.accounts.create("x@other.example", **lab.act)
    other.devices.create(stranger.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    acme.policies.add(EXCEPTION, **lab.act)
    acme.modes.set(DoorKind.POP3, Mode.WARN, until=lab.clock.now + DAY, group="some", **lab.act)
    for rule in ("policy.exception-open", "other"):
        acme.findings.open(Finding("", acme.id, "policy", "x", rule, "T", Severity.MEDIUM, "why"), **lab.act)
    lab.store.staff.set_codes([bytes([n]) * 32 for n in (1, 2)], **lab.act)
    lab.store.staff.use_code(bytes([1]) * 32, **lab.act)
    index, now = lab.build(), lab.clock.now
    found = gather(lab.store, acme, index, Around(("imap",), 2, shields_off=("proxyshell",)), now)
    facts = found.facts
    assert (facts.accounts, facts.without_device, facts.without_second_factor) == (1, 1, 1)
    assert [f.rule for f in facts.findings or ()] == ["other"]  # the exception is told as that
    assert [(s.door, s.accounts) for s in facts.side_doors] == [(DoorKind.SUBMISSION, 1)]
    assert [(d.door, d.mode) for d in facts.doors if d.mode is not Mode.ENFORCE] == [
        (DoorKind.POP3, Mode.WARN)
    ]
    assert [e.name for e in facts.exceptions] == ["scanner"]
    assert (facts.codes_left, facts.codes_used_at) == (0, now)
    assert (facts.lagging, facts.shields_off, facts.blind) == (2, ("proxyshell",), ("imap",))
    assert account.id in found.people.without_device

    # Who looks after this organisation only is not asked for codes, backups and the chain.
    part = gather(lab.store, acme, index, Around(("imap",), None, whole=False), now).facts
    assert part.codes_left is None
    assert (part.backup_at, part.audit_verified_at) == (now, now)
    assert part.findings is None  # the worker does not answer: nothing is measured


def test_devices_that_nobody_uses(lab: Lab) -> None:
    acme = lab.organisation("Acme", "acme.example")
    account = acme.accounts.create("ann@acme.example", **lab.act)
    used, unused = (
        acme.devices.create(account.id, name, doors=[DoorKind.IMAP], **lab.act) for name in ("used", "unused")
    )
    about = Around(())
    assert gather(lab.store, acme, lab.build(), about, lab.clock.now).facts.unused_devices == 0
    lab.later(200 * DAY)
    acme.devices.create(account.id, "new", doors=[DoorKind.IMAP], **lab.act)
    lab.events([Event("e", lab.clock.now - DAY, "door.login.allowed", acme.id, account.id, used.id, "imap")])
    assert gather(lab.store, acme, lab.build(), about, lab.clock.now).facts.unused_devices == 1
    assert unused.id


def test_served_doors_are_those_with_something_behind(lab: Lab) -> None:
    facts = lab.world.facts
    found = served_doors(facts.servers, facts.sites, "any")
    assert {DoorKind.IMAP, DoorKind.OWA, DoorKind.EAS} <= set(found)
    assert DoorKind.WEBMAIL not in found
    assert served_doors((), (), "any") == ()
