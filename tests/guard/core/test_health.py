"""What counts as wrong with the doors, and what closes it: a table of measurements and their findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.health import RULES, Kept, Recorded, Running, changes, gone, measure
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import Account, Device, DeviceKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Severity
from gambeson.model.rule import ModeEntry, Policy, PolicyException
from gambeson.model.server import MailServer

NOW = 1_800_000_000.0
MACHINE = Device("d1", "o1", "a1", "Scanner", DeviceKind.MACHINE, owner="Ann", review_at=NOW - 1)
WAITING = Device("d2", "o1", "a1", "Tablet", state=DeviceState.QUARANTINED)
KEPT = Kept(
    policy=Policy("o1"),
    accounts={"a1": Account("a1", "o1", "ann@sample.example")},
    servers=(MailServer("main", "o1"),),
)
EXCEPTION = PolicyException("old scanner", DoorKind.SUBMISSION, Rung.KNOWLEDGE, "Ann", "it can't", NOW + 60)


def event(kind, at=NOW, door="imap", **data):
    return Event(f"e{at}{kind}", at, kind, door=door, device=data.pop("device", ""), data=data)


DOWN = event("door.server.unreachable", server="main", why="refused")
UP = event("door.server.reachable", NOW + 1, server="main")
SERVED = event("door.login.allowed", NOW + 1, server="main")
NO = event("door.login.failed", server="main", why="credential refused by the mail server")
ASKING = event("door.login.refused", device="d2", reason="device-quarantined")


def policy(**parts):
    return replace(KEPT, policy=Policy("o1", **parts))


@pytest.mark.parametrize(
    ("running", "recorded", "kept", "rules"),
    [
        (Running(), Recorded(), KEPT, []),
        (Running(ages={"doors.1.0": 29.0, "keeper": 3.0}), Recorded(), KEPT, []),
        (Running(ages={"doors.1.0": 31.0, "keeper": 3.0}), Recorded(), KEPT, ["doors.snapshot-stale"]),
        (Running(behind={"doors.1.0": 3.0}), Recorded(), KEPT, []),
        (Running(behind={"doors.1.0": 12.0}), Recorded(), KEPT, ["doors.not-acknowledging"]),
        (Running(damaged=["a.damaged"]), Recorded(), KEPT, ["doors.events-damaged"]),
        (Running(problem="database is locked"), Recorded(), KEPT, ["doors.events-not-stored"]),
        (Running(rejected=2), Recorded(), KEPT, ["doors.forged-events"]),
        (Running(), Recorded(servers=[DOWN]), KEPT, ["server.unreachable"]),
        (Running(), Recorded(servers=[UP, DOWN]), KEPT, []),
        (Running(), Recorded(servers=[DOWN], allowed=[SERVED]), KEPT, []),
        (
            Running(),
            Recorded(servers=[DOWN], allowed=[replace(SERVED, door="pop3")]),
            KEPT,
            ["server.unreachable"],
        ),
        (
            Running(),
            Recorded(servers=[DOWN], allowed=[replace(SERVED, at=NOW - 9)]),
            KEPT,
            ["server.unreachable"],
        ),
        (Running(), Recorded(servers=[DOWN]), replace(KEPT, servers=()), []),
        (Running(), Recorded(failed=[NO]), KEPT, ["server.refuses-us"]),
        (Running(), Recorded(failed=[NO], allowed=[SERVED]), KEPT, []),
        (Running(), Recorded(failed=[replace(NO, data={"why": "the keeper is gone"})]), KEPT, []),
        (Running(), Recorded(), policy(exceptions=(EXCEPTION,)), ["policy.exception-open"]),
        (Running(), Recorded(), policy(exceptions=(replace(EXCEPTION, until=NOW),)), []),
        (
            Running(),
            Recorded(),
            policy(modes=(ModeEntry(DoorKind.IMAP, Mode.OBSERVE, NOW + 1),)),
            ["policy.not-enforced"],
        ),
        (Running(), Recorded(), policy(modes=(ModeEntry(DoorKind.IMAP, Mode.OBSERVE, NOW),)), []),
        (Running(), Recorded(), policy(modes=(ModeEntry(DoorKind.IMAP, Mode.ENFORCE),)), []),
        (Running(), Recorded(), replace(KEPT, bypass_until=NOW + 1), ["policy.bypassed"]),
        (Running(), Recorded(), replace(KEPT, policy_error="line 3"), ["policy.invalid"]),
        (Running(), Recorded(), replace(KEPT, devices=(MACHINE,)), ["device.review-overdue"]),
        (Running(), Recorded(), replace(KEPT, devices=(replace(MACHINE, review_at=NOW + 1),)), []),
        (Running(), Recorded(), replace(KEPT, devices=(WAITING,)), []),
        (
            Running(),
            Recorded(quarantined=[ASKING]),
            replace(KEPT, devices=(WAITING,)),
            ["device.quarantined"],
        ),
        (
            Running(),
            Recorded(quarantined=[ASKING]),
            replace(KEPT, devices=(replace(WAITING, state=DeviceState.REGISTERED),)),
            [],
        ),
        (Running(), Recorded(undelivered=["550 no"]), KEPT, ["notice.not-delivered"]),
    ],
)
def test_what_is_found(running, recorded, kept, rules):
    found, _ = measure(running, recorded, kept, NOW)
    assert [f.rule for f in found] == rules
    for finding in found:
        assert finding.reason
        assert finding.evidence
        assert finding.remedy
        assert finding.severity is RULES[finding.rule].severity


def test_a_stale_snapshot_is_critical_and_names_the_door():
    (finding,), _ = measure(Running(ages={"doors.2.0": 45.0}), Recorded(), KEPT, NOW)
    assert (finding.severity, finding.asset_kind, finding.asset_name) == (
        Severity.CRITICAL,
        "process",
        "doors.2.0",
    )


def live(*rules):
    return [replace(measure_one(rule, name), id=f"{rule} {name}") for rule, name in rules]


def measure_one(rule, name):
    (finding,), _ = measure(Running(ages={"doors.1.0": 99.0}), Recorded(), KEPT, NOW)
    return replace(finding, rule=rule, asset_name=name)


def test_what_is_measured_as_right_closes_and_what_was_not_measured_stays():
    open_now = live(
        ("doors.snapshot-stale", "doors.1.0"),
        ("server.unreachable", "main imap"),
        ("server.unreachable", "main pop3"),
        ("doors.forged-events", "events"),
        ("hunt.webshell", "/var/www"),
    )
    found, well = measure(Running(ages={"doors.1.0": 3.0}), Recorded(servers=[UP]), KEPT, NOW)
    assert [f.id for f in changes(found, well, open_now)] == [
        "doors.snapshot-stale doors.1.0",
        "server.unreachable main imap",
    ]


@pytest.mark.parametrize(
    ("running", "closed"),
    [
        (
            Running(followers=["doors.1.0"], behind={"doors.1.0": 0.0}),
            [],
        ),  # a worker just started knows nothing
        (
            Running(followers=["doors.1.0"], behind={"doors.1.0": 2.0}, ages={"doors.1.0": 3.0}),
            ["doors.snapshot-stale"],
        ),
        (Running(followers=["doors.1.0"]), ["doors.not-acknowledging"]),
        (Running(followers=["doors.2.0"]), ["doors.snapshot-stale", "doors.not-acknowledging"]),
    ],
)
def test_a_door_that_said_nothing_yet_is_not_well_and_one_that_is_gone_is_no_finding(running, closed):
    open_now = live(("doors.snapshot-stale", "doors.1.0"), ("doors.not-acknowledging", "doors.1.0"))
    found, well = measure(running, Recorded(), KEPT, NOW)
    well |= gone(open_now, running, KEPT)
    assert [f.rule for f in changes(found, well, open_now)] == closed


def test_what_is_still_wrong_does_not_close():
    found, well = measure(Running(ages={"doors.1.0": 99.0}), Recorded(servers=[DOWN]), KEPT, NOW)
    assert (
        changes(found, well, live(("doors.snapshot-stale", "doors.1.0"), ("server.unreachable", "main imap")))
        == []
    )


@pytest.mark.parametrize(
    ("whom", "name"),
    [
        ({}, "imap"),
        ({"group": "sales"}, "imap for the group sales"),
        ({"account": "a1"}, "imap for ann@sample.example"),
        ({"account": "gone"}, "imap for gone"),
    ],
)
def test_a_mode_is_named_by_whom_people_know(whom, name):
    entry = ModeEntry(DoorKind.IMAP, Mode.WARN, NOW + 1, **whom)
    (finding,), _ = measure(Running(), Recorded(), policy(modes=(entry,)), NOW)
    assert finding.asset_name == name
