"""A shared DeviceId becomes a Finding in the store, and goes when it is not seen any more."""

from __future__ import annotations

from pathlib import Path

from gambeson.guard.core.health import Running
from gambeson.guard.edge.findings import Findings
from gambeson.model.event import Event
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot
from gambeson.store.control import Store

NOW = 1_800_014_400.0


def test_from_events_to_a_finding_and_back(tmp_path: Path) -> None:
    now = NOW
    with Store.open(f"sqlite:///{tmp_path / 'control.db'}") as store:
        organisation = store.create_organisation("Sample", domains=["sample.example"], by="t", at=NOW)
        snapshot = Snapshot(1, NOW, (Organisation(organisation.id, "Sample"),))
        chore = Findings(store, Running, lambda: snapshot, clock=lambda: now)

        def rules(after: float) -> list[str]:
            nonlocal now
            now += after
            chore.step(Running(), snapshot)
            return [f.rule for f in organisation.findings.list()]

        assert rules(0) == []
        for number, account in enumerate(("a1", "a2")):
            data = {"device_id": "SEC1"}
            event = Event(
                f"doors.1.0/{number}",
                now,
                "door.eas.device",
                organisation.id,
                account=account,
                door="eas",
                data=data,
            )
            store.events.append([event])
        assert rules(5) == []  # looked at once a minute
        assert rules(60) == ["eas.shared-device-id"]
        assert rules(90_000) == []
