"""Ingestion is exactly once, whatever is read again and whatever a hostile door writes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.model.event import Event
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict
from gambeson.store.events import Cursor, Failure

NOW = 1_700_000_000.0


def _batch(first: int, count: int, **more: Any) -> list[Event]:
    return [
        Event(f"door-{n}", NOW + n, "door.login.refused", "org-a", **more)
        for n in range(first, first + count)
    ]


def test_a_batch_that_is_read_again_adds_nothing(store: Store) -> None:
    batch = _batch(0, 5)
    guesses = [Failure(e.id, "org-a", "acc-a", e.at) for e in batch]
    assert store.events.append(batch, Cursor("imap.1", 0, 500), failures=guesses) == 5
    assert store.events.append(batch, Cursor("imap.1", 0, 500), failures=guesses) == 0  # the same place
    assert store.events.append(batch, Cursor("imap.2", 0, 500), failures=guesses) == 0  # the same events
    assert store.events.cursor("imap.1") == store.events.cursor("imap.2") == 500
    assert store.events.failures(NOW) == [("acc-a", 5)]
    with pytest.raises(Conflict, match="up to 500, not 400"):
        store.events.append(_batch(9, 1), Cursor("imap.1", 400, 600))
    assert store.events.append(_batch(5, 1), Cursor("imap.1", 500, 600)) == 1
    store.events.forget_spool("imap.1")
    assert store.events.cursor("imap.1") == 0


def test_a_batch_is_all_or_nothing(store: Store, place: Any) -> None:
    with pytest.raises(BadValue, match="at most"):
        store.events.append(_batch(0, 10_001), Cursor("s", 0, 9))
    assert (store.events.cursor("s"), place.raw("SELECT count(*) FROM events", "events")) == (0, [(0,)])
    assert store.events.append(_batch(0, 10_000), Cursor("s", 0, 9)) == 10_000


def test_asking(store: Store, sample: Any) -> None:
    made = sample(store, "a")
    org = made.org
    store.events.append(
        [
            Event("1", NOW + 1, "door.login.refused", org.id, "acc-a", data={"b": 1, "a": ["\u00fc", None]}),
            Event("2", NOW + 2, "door.logins", org.id, "acc-a"),
            Event("3", NOW + 3, "door.login.allowed", org.id, "acc-a", made.device, "pop3", "2001:db8::1"),
            Event("4", NOW + 4, "door.login.refused"),
        ]
    )
    assert [e.id for e in org.events.query(kind="door.login")] == ["3", "1", "ev-a"]
    assert [e.id for e in org.events.query(since=NOW + 1, until=NOW + 3, newest_first=False)] == ["1", "2"]
    assert [e.id for e in org.events.query(account="acc-a", limit=2)] == ["3", "2"]
    assert [e.id for e in org.events.query(door="pop3")] == ["3"]
    assert org.events.query(kind="door%") == []
    assert org.events.query(kind="door.login.refused")[0].data == {"b": 1, "a": ["\u00fc", None]}
    assert org.events.last_use() == {made.device: (NOW + 3, "2001:db8::1", "")}
    assert store.events.prune(NOW + 2) == 2
    assert [e.id for e in org.events.query()] == ["3", "2"]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(
            Event,
            id=ANY_TEXT,
            at=st.floats(),
            kind=ANY_TEXT,
            organisation=st.just("org-a") | ANY_TEXT,
            account=ANY_TEXT,
            source=ANY_TEXT,
            data=st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4),
        ),
        max_size=8,
    )
)
def test_no_event_can_stop_the_ingestion(store: Store, batch: list[Event]) -> None:
    guesses = [Failure(e.id, e.organisation, e.account, e.at) for e in batch]
    new = store.events.append(batch, failures=guesses)
    assert new <= len(batch)
    assert store.events.append(batch, failures=guesses) == 0
    with store.event_database.read("*") as conn:
        from gambeson.store.event_schema import events
        from gambeson.store.events import event_of

        for row in conn.execute(events.select()):
            event = event_of(row)
            assert math.isfinite(event.at)
            assert len(event.kind) <= 100


def test_data_that_is_too_large_is_dropped_with_a_note(store: Store, sample: Any) -> None:
    org = sample(store, "a").org
    store.events.append([Event("big", NOW, "x", org.id, data={"x": "y" * 20_000})])
    assert list(org.events.query(kind="x")[0].data) == ["_dropped"]


def test_what_belongs_to_no_organisation_is_found_by_its_kind(store: Store, sample: Any) -> None:
    def event(number: int, kind: str, organisation: str = "") -> Event:
        return Event(f"d/{number}", 1000.0 + number, kind, organisation)

    store.events.append(
        [
            event(1, "door.server.unreachable"),
            event(2, "door.server.reachable"),
            event(3, "door.serverless"),
            event(4, "door.server.unreachable", "o1"),
        ]
    )
    assert [e.id for e in store.events.recent("door.server", 1000.0)] == ["d/2", "d/1"]
    assert [e.id for e in store.events.recent("door.server", 1002.0)] == ["d/2"]
    assert [e.id for e in store.events.recent("door.server.unreachable", 0.0)] == ["d/1"]
