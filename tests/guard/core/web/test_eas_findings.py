"""One DeviceId on several accounts, one credential on two devices: told from events in any order."""

from __future__ import annotations

from gambeson.guard.core.health import Kept, Recorded, Running, changes, measure
from gambeson.guard.core.web.eas_findings import other_devices, shared_devices
from gambeson.model.asset import Account, Device
from gambeson.model.event import Event
from gambeson.model.finding import Severity

NOW = 1_800_000_000.0
KEPT = Kept(
    devices=[Device("d1", "o", "a1", "Alma's phone")],
    accounts={"a1": Account("a1", "o", "alma@example.org"), "a2": Account("a2", "o", "bob@example.org")},
)


def seen(account: str, device_id: str, at: float = NOW, kind: str = "door.eas.device", **data: str) -> Event:
    return Event(
        f"{account}-{at}", at, kind, "o", account=account, device="d1", door="eas", source="192.0.2.7",
        data={"device_id": device_id, **data},
    )  # fmt: skip


def test_a_device_id_of_one_account_is_no_news() -> None:
    assert shared_devices([seen("a1", "SEC1"), seen("a1", "sec1", NOW + 1), seen("a2", "OTHER")]) == []
    assert shared_devices([seen("a1", "SEC1"), seen("", "SEC1"), seen("a2", "")]) == []


def test_one_of_two_accounts_is_found_whatever_its_case() -> None:
    events = [seen("a2", "SEC1"), seen("a1", "sec1"), seen("a1", "Sec1", NOW - 5)]
    for order in (events, events[::-1]):
        (found,) = shared_devices(order)
        assert found.accounts == ("a1", "a2")
        assert [e.at for e in found.events] == [NOW, NOW]


def test_refusals_do_not_make_an_account_share_a_device() -> None:
    refused = seen("a2", "SEC1", kind="door.eas.refused", why="eas-other-device")
    assert shared_devices([seen("a1", "SEC1"), refused]) == []
    assert other_devices([refused, seen("a1", "x", kind="door.eas.refused", why="eas-blocked")]) == {
        "d1": refused
    }


def test_findings_open_and_the_shared_one_closes_by_measuring() -> None:
    stolen = seen("a1", "THIEF", kind="door.eas.refused", why="eas-other-device")
    recorded = Recorded(eas=[seen("a1", "SEC1"), seen("a2", "SEC1"), stolen])
    found, _ = measure(Running(), recorded, KEPT, NOW)
    by_rule = {f.rule: f for f in found}
    assert set(by_rule) == {"eas.shared-device-id", "eas.other-device"}
    assert "alma@example.org, bob@example.org" in by_rule["eas.shared-device-id"].reason
    assert by_rule["eas.other-device"].severity is Severity.HIGH
    assert by_rule["eas.other-device"].asset_name == "alma@example.org/Alma's phone"
    again, well = measure(Running(), Recorded(), KEPT, NOW)
    assert [f.rule for f in changes(again, well, found)] == ["eas.shared-device-id"]
