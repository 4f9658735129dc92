"""The request log in the store: beside the events, once, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.event import REQUEST, Event
from gambeson.store import requests
from gambeson.store.control import Store
from gambeson.store.events import Cursor

NOW = 1_700_000_000.0


def _lines(first: int, count: int, organisation: str = "") -> list[Event]:
    return [
        Event(f"doors/1/{n:x}", NOW + n, REQUEST, organisation, "acc-a", data={"target": f"/{n}"})
        for n in range(first, first + count)
    ]


def _at(store: Store, since: float = 0.0, organisation: str = "") -> list[int]:
    return [int(line.at - NOW) for line in store.requests.lines(since, organisation)]


def test_lines_go_beside_the_events_and_once(store: Store, sample: Any) -> None:
    org = sample(store, "a").org
    before = len(org.events.query())
    batch = [*_lines(0, 3, org.id), Event("e1", NOW, "door.login.allowed", org.id)]
    assert store.events.append(batch, Cursor("doors.1", 0, 500)) == 1
    assert store.events.append(batch, Cursor("doors.1", 0, 500)) == 0
    assert store.events.append(batch, Cursor("doors.2", 0, 500)) == 0  # read again from another place
    assert len(org.events.query()) == before + 1
    (first, *_) = store.requests.lines()
    assert first == (NOW, "doors/1/0", org.id, "acc-a", "", "", '{"target":"/0"}')
    assert _at(store) == [0, 1, 2]


def test_they_are_read_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAGE", 3)
    same = [Event(f"same/{n}", NOW + 5, REQUEST) for n in range(7)]
    store.events.append([*same, *_lines(0, 9, "org-a"), *_lines(20, 2, "org-b")])
    assert _at(store) == [0, 1, 2, 3, 4, *[5] * 8, 6, 7, 8, 20, 21]
    assert _at(store, NOW + 7) == [7, 8, 20, 21]
    assert _at(store, NOW + 5, "org-b") == [*[5] * 7, 20, 21]


def test_the_old_and_the_too_many_are_forgotten(store: Store) -> None:
    store.events.append([*_lines(0, 10), Event("e1", NOW, "door.web.refused")])
    assert store.requests.prune(NOW + 2, 100) == 2
    assert store.requests.prune(NOW + 2, 5) == 3
    assert _at(store) == [5, 6, 7, 8, 9]
    assert store.requests.prune(0.0, 5) == 0
    assert len(store.events.recent("door.web.refused", 0.0)) == 1


def test_what_a_hostile_door_writes_stops_nothing(store: Store) -> None:
    bad = Event("x" * 500, float("nan"), REQUEST, "o\x00" * 99, data={"target": "y" * 40_000})
    store.events.append([bad])
    (line,) = store.requests.lines()
    assert (line.at, len(line.id), "_dropped" in line.data) == (0.0, 128, True)
