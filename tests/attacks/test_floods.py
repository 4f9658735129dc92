"""Filling what the doors depend on: the disk (a door that cannot record admits nobody), the snapshot, the throttle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gambeson.app.worker_store import WorkerStore
from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.guard.edge.door import _first
from gambeson.guard.edge.flood import MAX_SOURCES, OTHERS, Flood
from gambeson.model.event import Event
from gambeson.process.ingestion import Cursor
from gambeson.store import events as store_events
from gambeson.store.control import Store
from gambeson.store.events import Failure
from guard.edge.doors import SECRET, ImapPeer, doors, organisation, run, upstream

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/control.db")


def test_knocking_at_a_closed_throttle_does_not_fill_the_disk() -> None:
    """Sixty attempts a second from one address were 2 GB of events a day; on a full disk nobody gets in."""

    async def main() -> None:
        peer = ImapPeer()
        limits = ThrottleLimits(account_source_per_hour=2)
        at = await doors(organisation(upstream(await peer.start())), throttle=limits)
        for _ in range(12):
            client = await at.client()
            assert (await client.login("a wrong one")).startswith(b"a NO")
            client.close()
        refused = at.events("door.login.refused")
        assert [e.data["reason"] for e in refused] == ["rung-too-low"] * 2 + ["throttled"]
        at.server._judge_later()
        [told] = at.events("door.logins.throttled")
        assert told.data["counts"] == {"127.0.0.1": 9}
        client = await at.client()
        assert (await client.login(SECRET.text)).startswith(b"a OK"), "the person's device still gets in"
        await at.server.stop()

    run(main)


def test_the_count_of_a_flood_is_bounded() -> None:
    flood = Flood()
    recorded = sum(not flood.counted(f"2001:db8:{n:x}::") for n in range(5000))
    assert recorded == MAX_SOURCES
    assert flood.take() == {OTHERS: 5000 - MAX_SOURCES}
    assert not flood.counted("2001:db8:1::")
    assert flood.take() == {}


def test_refusals_of_a_closed_throttle_are_no_guesses(store: Store) -> None:
    """Else one address could keep the account's throttle closed to everybody unknown, by knocking on: what was meant
    to take a hundred guesses a day from many places took one connection every quarter of an hour."""
    worker = WorkerStore(store, ())
    event = Event(
        "doors/1/1", NOW, "door.login.refused", data={"claimed": "a@b.example", "reason": "rung-too-low"}
    )
    closed = replace(event, id="doors/1/2", data={"claimed": "a@b.example", "reason": "throttled"})
    worker.ingest([event, closed], Cursor("s", 9))
    assert store.events.failures(NOW) == [("a@b.example", 1)]


def test_made_up_names_do_not_swell_the_snapshot(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot over its limit is refused by every door: revocations would not arrive any more."""
    monkeypatch.setattr(store_events, "MAX_SUBJECTS", 3)
    batch = [Event(f"e{n}", NOW, "door.login.refused") for n in range(20)]
    guesses = [
        Failure(e.id, "", f"made-up-{n}@b.example" if n < 15 else "acc-1", NOW) for n, e in enumerate(batch)
    ]
    store.events.append(batch, failures=guesses)
    counted = store.events.failures(NOW)
    assert len(counted) == 3
    assert ("acc-1", 5) in counted


def test_guesses_that_no_longer_count_are_forgotten_by_the_day(store: Store) -> None:
    store.events.append([Event("e", NOW, "x")], failures=[Failure("e", "", "a@b.example", NOW)])
    store.events.prune_failures(NOW + 3600)
    assert store.events.failures(NOW)
    store.events.prune_failures(NOW + 26 * 3600)
    assert not store.events.failures(NOW)


def test_many_long_recipients_do_not_hide_who_sent(store: Store) -> None:
    """Data over 16 KiB is dropped whole from the record: a hundred recipients of full length did that."""
    recipients = tuple(f"{n:064d}@{'x' * 60}.{'y' * 60}.{'z' * 60}.example" for n in range(1000))
    kept = _first(recipients)
    assert 20 < len(kept) < 100
    data: dict[str, object] = {
        "sender": "a@b.example",
        "recipients": kept,
        "recipient_count": 1000,
        "reply": "x" * 300,
    }
    store.events.append([Event("e", NOW, "door.message.sent", data=data)])
    with store.event_database.read("*") as conn:
        assert "a@b.example" in conn.exec_driver_sql("SELECT data FROM events").scalar_one()
