"""What the doors decided: counted and looked up in the database, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.event import Event
from gambeson.store import decisions
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "root", "at": NOW}


def event(id: str, at: float, kind: str, org: str, **more: Any) -> Event:
    given: dict[str, Any] = {"door": "imap", "source": "192.0.2.1", **more}
    return Event(id, at, f"door.login.{kind}", org, **given)


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    made = store.create_organisation("Acme", domains=["acme.example"], **ADMIN)
    low = {"reason": "rung-too-low", "rung": "nothing", "claimed": "a@acme.example"}
    events = [
        event("doors.1.0/a/1", NOW - 50, "refused", made.id, data=low),
        event("doors.1.0/a/2", NOW - 40, "refused", made.id, data=low, source="2001:db8::1"),
        event("doors.1.0/a/3", NOW - 30, "failed", made.id, account="acc", data={"why": "no mail server"}),
        event(
            "doors.1.0/a/10",
            NOW - 20,
            "allowed",
            made.id,
            account="acc",
            data={"rung": "device-secret", "id": "s-1", "server": "one"},
        ),
        event(
            "doors.1.0/b/1",
            NOW - 10,
            "allowed",
            made.id,
            account="acc",
            door="pop3",
            data={"rung": "device-key", "session": "w-1"},
        ),
        event("doors.1.0/a/4", NOW - 7200, "allowed", made.id, account="acc", data={}),
        Event("x", NOW - 5, "door.session.closed", made.id, "acc", "", "imap", "", {"id": "s-1"}),
        Event("y", NOW - 5, "door.probe.up", "", "", "", "imap", "", {}),
    ]
    store.events.append(events)
    return made


def ids(found: Any) -> list[str]:
    return [each.id for each in found]


def test_the_newest_decisions(org: OrganisationStore) -> None:
    assert ids(org.decisions.newest(NOW - 3600, 2)) == ["doors.1.0/b/1", "doors.1.0/a/10"]
    assert ids(org.decisions.newest(NOW - 3600, 9, door="pop3")) == ["doors.1.0/b/1"]
    assert ids(org.decisions.newest(NOW - 3600, 9, kinds=("door.login.failed",))) == ["doors.1.0/a/3"]


def test_they_are_counted_by_reason_and_rung(org: OrganisationStore) -> None:
    found = org.decisions.counts(NOW - 3600)
    assert found.whole
    assert {(c.door, c.kind.rpartition(".")[2], c.reason, c.rung, c.count) for c in found.counts} == {
        ("imap", "refused", "rung-too-low", "nothing", 2),
        ("imap", "failed", "no mail server", "", 1),
        ("imap", "allowed", "", "device-secret", 1),
        ("pop3", "allowed", "", "device-key", 1),
    }
    assert found.counts[0].count == 2
    assert [c.door for c in org.decisions.counts(NOW - 3600, door="pop3").counts] == ["pop3"]


def test_by_hour(org: OrganisationStore) -> None:
    hours = org.decisions.hours(NOW - 10_000, "imap")
    last, before = int((NOW - 50) // 3600), int((NOW - 7200) // 3600)
    assert hours[before] == {"door.login.allowed": 1}
    assert hours[last] == {"door.login.allowed": 1, "door.login.refused": 2, "door.login.failed": 1}


def test_they_are_found_by_account_address_and_id(org: OrganisationStore) -> None:
    found, since = org.decisions, NOW - 3600
    assert ids(found.of_account("acc", since, 9)) == ["doors.1.0/a/3"]
    assert ids(found.of_account("acc", since, 1, decisions.ALLOWED)) == ["doors.1.0/b/1"]
    assert ids(found.of_claimed(["a@acme.example", "b"], since, 9)) == ["doors.1.0/a/2", "doors.1.0/a/1"]
    assert ids(found.of_source("2001:db8::1", since, 9)) == ["doors.1.0/a/2"]
    assert ids(found.of_id("doors.1.0/a/1", 9)) == ["doors.1.0/a/10", "doors.1.0/a/1"]
    assert ids(found.of_id("%", 9)) == []
    assert ids(found.of_session("s-1", since, 9)) == ["x", "doors.1.0/a/10"]
    assert ids(found.of_session("w-1", since, 9)) == ["doors.1.0/b/1"]


def test_when_a_server_last_served(org: OrganisationStore) -> None:
    assert org.decisions.served(NOW - 3600) == {("one", "imap"): NOW - 20, ("", "pop3"): NOW - 10}


def test_no_look_goes_further_than_it_says(org: OrganisationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MOST", 3)
    assert not org.decisions.counts(NOW - 3600).whole
    assert sum(c.count for c in org.decisions.counts(NOW - 3600).counts) == 2
    assert ids(org.decisions.of_source("2001:db8::1", NOW - 3600, 9)) == []
