"""What the worker forgets by and by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gambeson.app.worker_child import prune
from gambeson.model.access import DoorKind
from gambeson.model.event import REQUEST, Event
from gambeson.store.control import Store

NOW, DAY = 1_700_000_000.0, 86400.0
BY: dict[str, Any] = {"by": "root", "at": NOW}


def test_ended_jobs_go_after_30_days_and_events_after_400(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        organisation = store.create_organisation("Example", domains=["example.org"], **BY)
        account = organisation.accounts.create("anna@example.org", **BY)
        device = organisation.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **BY)
        organisation.certificates.record("a1", "a1", device.id, not_after=NOW + 40 * DAY, **BY)
        gone = store.create_organisation("Gone", **BY)
        organisation.jobs.add("scan", 1, **BY)
        job = store.jobs.claim(["scan"], worker="w", lease=60, at=NOW)
        assert job is not None
        store.jobs.done(job, None, at=NOW)
        store.events.append([Event("e1", NOW, "door.login.allowed", organisation.id)])
        store.delete_organisation(gone.id, **BY)

        def left(days: float) -> tuple[int, int]:
            prune(store, NOW + days * DAY)
            return len(organisation.jobs.list()), len(organisation.events.query())

        assert left(29) == (1, 1)
        assert left(31) == (0, 1)
        assert left(399) == (0, 1)
        assert left(401) == (0, 0)

        store.delete_organisation(organisation.id, by="root", at=NOW + DAY)
        assert len(store.revoked_certificates(NOW + DAY)) == 1
        prune(store, NOW + 39 * DAY)
        assert len(store.revoked_certificates(NOW + DAY)) == 1
        prune(store, NOW + 41 * DAY)
        assert store.revoked_certificates(NOW + DAY) == []


def test_logged_requests_go_by_age_and_by_number(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        store.events.append([Event(f"r{n}", NOW + n * DAY, REQUEST) for n in range(10)])

        def left(**how: int) -> int:
            prune(store, NOW + 10 * DAY, **how)
            return sum(1 for _ in store.requests.lines())

        assert left() == 10
        assert left(request_days=7) == 7
        assert left(request_days=7, requests=3) == 3
