"""What the worker makes of events besides storing them: first DeviceIds, believed as far as they can be true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson.app.worker_store import WorkerStore
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind
from gambeson.model.event import Event
from gambeson.process.ingestion import Cursor
from gambeson.store.control import Store

NOW = 1_700_000_000.0
KIND = "door.eas.device"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'control.db'}")
    for name in ("a", "b"):
        org = store.create_organisation(
            name, domains=[f"{name}.example"], id=f"org-{name}", by="root", at=NOW
        )
        org_store = store.organisation(org.id)
        org_store.accounts.create(f"ann@{name}.example", id=f"ann-{name}", by="root", at=NOW)
        device = org_store.devices.create(f"ann-{name}", "Phone", doors=[DoorKind.EAS], by="root", at=NOW)
        kind = CredentialKind.DEVICE_SECRET
        org_store.credentials.add(
            device.id, kind, f"public-{name}", verifier=bytes(32), id=f"cred-{name}", by="root", at=NOW
        )
    yield store
    store.close()


def seen(number: int, device_id: object, credential: object = "cred-a", **more: object) -> Event:
    data = {"credential": credential, "device_id": device_id, "first": True, **more}
    return Event(f"doors/1/{number}", NOW + number, KIND, "org-a", "ann-a", data=data)


def test_the_first_of_two_doors_wins_and_reaches_the_snapshot(store: Store) -> None:
    worker = WorkerStore(store, ())
    assert worker.build(1, NOW).eas_firsts == ()
    worker.ingest([seen(1, "ONE"), seen(2, "TWO")], Cursor("doors.1", 10))
    worker.ingest([seen(3, "THREE")], Cursor("doors.2", 10))
    assert worker.build(2, NOW).eas_firsts == (("cred-a", "one"),)
    again = WorkerStore(store, ())  # a batch that comes again after a crash
    again.ingest([seen(1, "ONE"), seen(4, "FOUR")], Cursor("doors.3", 10))
    assert again.build(3, NOW).eas_firsts == (("cred-a", "one"),)
    assert len(store.organisation("org-a").events.query(kind=KIND)) == 4


@pytest.mark.parametrize(
    "event",
    [
        seen(1, "ONE", first=False),
        seen(1, "ONE", first="yes"),
        seen(1, "ONE", "cred-b"),  # another organisation's
        seen(1, "ONE", "cred-none"),
        seen(1, "ONE", ""),
        seen(1, ""),
        seen(1, "x" * 65),
        seen(1, {"a": 1}),
        Event("doors/1/1", NOW, KIND, "org-z", "ann-a", data=dict(seen(1, "ONE").data)),
        Event("doors/1/1", NOW, KIND, "", "", data=dict(seen(1, "ONE").data)),
        Event("doors/1/1", NOW, KIND, "org-a", "ann-b", data=dict(seen(1, "ONE").data)),
        Event("doors/1/1", NOW, "door.eas.refused", "org-a", "ann-a", data=dict(seen(1, "ONE").data)),
        Event("doors/1/1", float("nan"), KIND, "org-a", "ann-a", data=dict(seen(1, "ONE").data)),
    ],
)
def test_what_cannot_be_true_is_stored_as_an_event_and_no_more(store: Store, event: Event) -> None:
    worker = WorkerStore(store, ())
    worker.ingest([event], Cursor("doors.1", 10))
    assert worker.build(1, NOW).eas_firsts == ()
    assert store.events.cursors() == {"doors.1": 10}
