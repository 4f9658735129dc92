"""The small parts: networks, the wheel, routes and health, the plan, TLS contexts."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.networks import Networks, canonical, prefix
from gambeson.guard.edge.plan import CertificatePlan, DoorPlan, PlanError
from gambeson.guard.edge.routes import Health, in_order, targets
from gambeson.guard.edge.wheel import Wheel
from gambeson.model.access import DoorKind, Listener
from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from guard.edge.doors import pki, run, upstream


@pytest.mark.parametrize(
    ("text", "address", "source"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::7", "2001:db8::7", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("/run/edge.sock", "/run/edge.sock", "/run/edge.sock"),
        ("", "", ""),
    ],
)
def test_addresses(text: str, address: str, source: str) -> None:
    assert canonical(text) == address
    assert prefix(canonical(text)) == source


def test_networks() -> None:
    some = Networks(("10.0.0.0/8", "2001:db8::/32"))
    assert "10.1.2.3" in some
    assert "2001:db8::1" in some
    assert "11.1.2.3" not in some
    assert "nonsense" not in some
    assert "" not in Networks(("0.0.0.0/0",))
    assert not Networks(())


class Item:
    def __init__(self, ends: float) -> None:
        self.spoke = 0
        self.ends = ends
        self.asked: list[float] = []

    def due(self, now: float) -> float:
        self.asked.append(now)
        return self.ends if now < self.ends else 0.0


def test_the_wheel_asks_in_time_again_and_never_after_removal() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        begin = loop.time()
        item, extended, removed = Item(begin + 1), Item(begin + 3), Item(begin + 1)
        wheel.put(item, begin + 1)
        wheel.put(extended, begin + 1)  # asked early: it says when to ask again
        wheel.put(removed, begin + 1)
        wheel.remove(removed)
        await asyncio.sleep(5.2)
        assert len(item.asked) == 1
        assert 1.0 <= item.asked[0] - begin <= 3.0
        assert extended.asked[-1] - begin >= 3.0
        assert removed.asked == []
        wheel.stop()

    run(main)


def _index(*servers: object) -> SnapshotIndex:
    return SnapshotIndex(Snapshot(1, 0.0, (Organisation("o1", "x"),), servers=servers))  # type: ignore[arg-type]


def test_routes_go_by_priority_or_by_the_accounts_own_server() -> None:
    index = _index(
        upstream(1, name="b", priority=2),
        upstream(2, name="a", priority=2),
        upstream(3, name="c", priority=1),
    )
    names = [s.name for s, _ in targets(index, "o1", None, DoorKind.IMAP)]
    assert names == ["c", "a", "b"]
    account = Account("a1", "o1", "x@example.org", server="b")
    assert [s.name for s, _ in targets(index, "o1", account, DoorKind.IMAP)] == ["b"]
    assert targets(index, "o2", None, DoorKind.IMAP) == []
    assert targets(index, "o1", None, DoorKind.WEBMAIL) == []


def test_an_ill_server_rests_then_one_probe_then_it_is_well() -> None:
    [target] = targets(_index(upstream(1)), "o1", None, DoorKind.IMAP)
    health = Health(down_for=10, probe_for=30)
    assert health.well(target, 0)
    assert health.failed(target, 0)
    assert not health.failed(target, 1)  # no news
    assert not health.well(target, 5)
    assert health.well(target, 11.5)  # the probe
    assert not health.well(target, 11.6)  # nobody else until it has had its time
    assert health.succeeded(target)
    assert health.well(target, 11.7)


def test_where_none_is_well_the_longest_rested_is_tried_all_the_same() -> None:
    some = targets(_index(upstream(1, name="a"), upstream(2, name="b")), "o1", None, DoorKind.IMAP)
    health = Health(10, 30)
    health.failed(some[0], 5)
    health.failed(some[1], 1)
    assert next(in_order(some, health, 6))[0].name == "b"
    assert list(in_order([], health, 6)) == []


def test_where_the_probe_fails_too_the_other_resting_servers_are_tried() -> None:
    some = targets(
        _index(upstream(1, name="a"), upstream(2, name="b"), upstream(3, name="c")), "o1", None, DoorKind.IMAP
    )
    health = Health(10, 30)
    health.failed(some[0], 0)  # always bad; its rest is over at 10
    health.failed(some[1], 9)
    health.failed(some[2], 8)
    tried = []
    for server, _ in in_order(some, health, 12):
        tried.append(server.name)
        health.failed((server, _), 12)
    assert tried == ["a", "c", "b"]  # the probe, then those that rest, the longest rested first


def _plan(**changes: object) -> DoorPlan:
    certificate, key, _ = pki().door
    values: dict[str, object] = {
        "hostname": "mail.example.org",
        "listeners": (ListenerSettings("imaps", Listener.IMAPS),),
        "certificates": (
            CertificatePlan(certificate, key),
            CertificatePlan(*pki().second[:2], names=("X.example",)),
        ),
    }
    return DoorPlan(**(values | changes))  # type: ignore[arg-type]


def test_a_plan_travels_as_json_and_loads() -> None:
    plan = _plan(device_authority=str(pki().ca_path), minimum_tls="1.3")
    again = DoorPlan.from_plain(json.loads(json.dumps(plan.plain())))
    assert again == plan
    settings = again.load()
    assert settings.tls is not None
    assert settings.tls.default.verify_mode is ssl.CERT_OPTIONAL
    assert settings.tls.default.minimum_version is ssl.TLSVersion.TLSv1_3
    assert len(settings.throttle_key) == 32


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"listeners": ()}, "no listener"),
        ({"certificates": ()}, "no certificate"),
        ({"certificates": (CertificatePlan("/nowhere", "/nothing"),)}, "/nowhere"),
        ({"certificates": (CertificatePlan(__file__, __file__),)}, "no usable certificate"),
        ({"device_authority": "/nowhere"}, "/nowhere"),
        ({"sender_check": "perhaps"}, "perhaps"),
        ({"minimum_tls": "1.1"}, "1.1"),
        ({"listeners": (ListenerSettings("imap", Listener.IMAP, ("10.0.0.1/8",)),)}, "host bits"),
        ({"exempt": ("everywhere",)}, "everywhere"),
    ],
)
def test_a_plan_that_can_not_work_says_why_in_one_sentence(changes: dict[str, object], says: str) -> None:
    with pytest.raises(PlanError) as error:
        _plan(**changes).load()
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_parameters_that_are_no_plan() -> None:
    with pytest.raises(PlanError):
        DoorPlan.from_plain({"hostname": 7})


def test_old_tls_and_weak_ciphers_are_not_spoken(tmp_path: Path) -> None:
    context = pki().door_tls().default
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.num_tickets == 0
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["kea"] == "kx-ecdhe", cipher["name"]
