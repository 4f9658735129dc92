"""Findings in the store: opened by measuring, closed by measuring, waived until a date, never clicked away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gambeson.guard.core.health import Running
from gambeson.guard.edge.findings import Findings, Lag, damaged_files
from gambeson.model.access import DoorKind
from gambeson.model.asset import DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import FindingState
from gambeson.model.organisation import Organisation
from gambeson.model.server import MailServer
from gambeson.model.snapshot import Snapshot
from gambeson.store.control import Store

NOW = 1_800_014_400.0
STALE = Running(followers=["doors.1.0"], ages={"doors.1.0": 45.0})
WELL = Running(followers=["doors.1.0"], ages={"doors.1.0": 1.0})


class World:
    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.store = Store.open(f"sqlite:///{folder / 'control.db'}")
        self.organisation = self.store.create_organisation(
            "Sample", domains=["sample.example"], by="t", at=NOW
        )
        self.snapshot = Snapshot(
            1,
            NOW,
            (Organisation(self.organisation.id, "Sample"),),
            servers=(MailServer("main"), MailServer("other")),
        )
        self.chore = Findings(self.store, Running, lambda: self.snapshot, clock=lambda: self.now)
        self._count = 0

    def measured(self, running: Running = WELL, after: float = 5.0) -> list[str]:
        """One round ``after`` seconds; the rules of what is open then."""
        self.now += after
        self.chore.step(running, self.snapshot)
        return [f.rule for f in self.organisation.findings.list()]

    def told(self, kind: str, door: str = "imap", organisation: bool = False, **data: object) -> None:
        self._count += 1
        owner = self.organisation.id if organisation else ""
        event = Event(f"doors.1.0/{self._count}", self.now, kind, owner, door=door, data=data)
        self.store.events.append([event])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_a_stale_door_is_found_seen_again_and_closed_by_being_measured(world: World) -> None:
    assert world.measured() == []
    assert world.measured(STALE) == ["doors.snapshot-stale"]
    (first,) = world.organisation.findings.list()
    entries = len(world.organisation.audit())
    assert world.measured(STALE) == ["doors.snapshot-stale"]
    assert world.organisation.findings.get(first.id).last_seen == first.last_seen  # not written every round
    assert world.measured(STALE, after=60) == ["doors.snapshot-stale"]
    assert world.organisation.findings.get(first.id).last_seen == world.now
    assert len(world.organisation.audit()) == entries  # seeing again is no act
    assert world.measured() == []
    closed = world.organisation.findings.get(first.id)
    assert closed.state is FindingState.VERIFIED
    assert "measured" in closed.closing
    assert world.measured(STALE) == ["doors.snapshot-stale"]
    assert world.organisation.findings.get(first.id).first_seen == first.first_seen


def test_a_waiver_holds_until_its_end_and_then_it_is_open_again(world: World) -> None:
    world.measured(STALE)
    (finding,) = world.organisation.findings.list()
    world.organisation.findings.waive(
        finding.id, until=world.now + 100, reason="moving", by="t", at=world.now
    )
    assert world.measured(STALE, after=70) == []
    assert world.measured(STALE, after=40) == ["doors.snapshot-stale"]
    world.organisation.findings.waive(
        finding.id, until=world.now + 100, reason="moving", by="t", at=world.now
    )
    world.measured()
    assert world.organisation.findings.get(finding.id).state is FindingState.VERIFIED


def test_a_mail_server_is_away_and_comes_back(world: World) -> None:
    world.told("door.server.unreachable", server="main", why="connection refused")
    assert world.measured() == ["server.unreachable"]
    assert world.organisation.findings.list()[0].asset_name == "main imap"
    world.told("door.server.reachable", server="main", door="pop3")
    world.told("door.login.allowed", organisation=True, server="other")
    assert world.measured() == ["server.unreachable"]
    world.told("door.server.reachable", server="main")
    assert world.measured() == []


def test_somebody_served_closes_it_too_even_days_later_and_silence_does_not(world: World) -> None:
    world.told("door.server.unreachable", server="main", why="connection refused")
    assert world.measured() == ["server.unreachable"]
    assert world.measured(after=3 * 86400) == ["server.unreachable"]
    world.told("door.login.allowed", organisation=True, server="main")
    assert world.measured() == []


def test_a_server_that_left_the_settings_is_no_finding(world: World) -> None:
    world.told("door.server.unreachable", server="main", why="connection refused")
    assert world.measured() == ["server.unreachable"]
    world.snapshot = replace(world.snapshot, servers=(MailServer("other"),))
    assert world.measured() == []


def test_a_server_that_refuses_us(world: World) -> None:
    world.told(
        "door.login.failed", organisation=True, server="main", why="credential refused by the mail server"
    )
    assert world.measured() == ["server.refuses-us"]
    assert world.measured(after=2 * 86400) == ["server.refuses-us"]
    world.told("door.login.allowed", organisation=True, door="submission", server="main")
    assert world.measured() == []


def test_a_policy_that_is_not_read_any_more(world: World) -> None:
    world.organisation.policies.add("not a policy", by="t", at=NOW)
    assert world.measured() == ["policy.invalid"]
    world.organisation.policies.add('[[rule]]\nname = "all"\nopinion = "deny"\n', by="t", at=NOW)
    assert world.measured() == []


def test_a_device_in_quarantine_that_asks(world: World) -> None:
    account = world.organisation.accounts.create("ann@sample.example", by="t", at=NOW)
    device = world.organisation.devices.create(
        account.id, "Tablet", doors=[DoorKind.IMAP], state=DeviceState.QUARANTINED, by="t", at=NOW
    )
    world.snapshot = replace(world.snapshot, accounts=(account,), devices=(device,))
    assert world.measured() == []
    facts = {"reason": "device-quarantined"}
    refused = Event(
        "doors.1.0/q", NOW, "door.login.refused", world.organisation.id, account.id, device.id, data=facts
    )
    world.store.events.append([refused])
    assert world.measured() == ["device.quarantined"]
    world.snapshot = replace(world.snapshot, devices=(replace(device, state=DeviceState.REGISTERED),))
    assert world.measured() == []


def test_damaged_files_are_a_finding_until_they_are_gone(world: World, tmp_path: Path) -> None:
    file = tmp_path / "doors.1.0~1~2.damaged"
    file.write_bytes(b"")
    assert world.measured(Running(damaged=damaged_files(tmp_path))) == ["doors.events-damaged"]
    file.unlink()
    assert world.measured(Running(damaged=damaged_files(tmp_path))) == []


def test_lag_counts_from_when_a_door_fell_behind() -> None:
    lag = Lag()
    assert lag.behind(3, {"doors.1.0": 3, "keeper": 2}, 100.0) == {"keeper": 0.0}
    assert lag.behind(4, {"doors.1.0": 3, "keeper": 2}, 104.0) == {"doors.1.0": 0.0, "keeper": 4.0}
    assert lag.behind(4, {"doors.1.0": 3, "keeper": 4}, 109.0) == {"doors.1.0": 5.0}
    assert lag.behind(4, {"keeper": 4}, 110.0) == {}
