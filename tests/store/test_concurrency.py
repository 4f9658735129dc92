"""Two writers, and a writer that is killed in the middle: the chain and the counters always fit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gambeson.store.control import Store

NOW = 1_700_000_000.0

WRITER = """
import sys
from gambeson.model.event import Event
from gambeson.store.control import Store
from gambeson.store.events import Cursor
store = Store.open(sys.argv[1], timeout=60)
org = store.organisation("org-a")
for n in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}{n}"
    org.accounts.create(f"{name}@acme.example", aliases=[f"alias-{name}@acme.example"], by=name, at=1.7e9)
    spool = "spool-" + sys.argv[2]
    store.events.append([Event(name + x, 1.7e9, "x", "org-a") for x in "abc"], Cursor(spool, n, n + 1))
    print(n, flush=True)
"""


@pytest.fixture
def acme(store: Store) -> Store:
    store.create_organisation("Acme", domains=["acme.example"], id="org-a", by="root", at=NOW)
    return store


def _consistent(store: Store, place: Any) -> int:
    """Asserts that everything fits together; gives the number of accounts."""
    accounts = store.organisation("org-a").accounts.list(limit=100_000)
    assert all(len(a.aliases) == 1 for a in accounts)
    assert store.audit.head()[0] == 2 + len(accounts)
    assert store.change_counter() == 1 + len(accounts)
    assert [f.kind for f in store.audit.verify(lambda p, s: True)] == ["head"]  # not sealed; the chain fits
    positions = sum(row[0] for row in place.raw("SELECT position FROM cursors", "events"))
    assert place.raw("SELECT count(*) FROM events", "events") == [(3 * positions,)]
    return len(accounts)


def test_two_processes_write_at_once(acme: Store, place: Any, child: Any) -> None:
    both = [child(WRITER, place.url, name, "30") for name in "pq"]
    assert [process.wait(120) for process in both] == [0, 0]
    assert _consistent(acme, place) == 60


def test_killed_in_the_middle_of_writing(acme: Store, place: Any, child: Any) -> None:
    done = 0
    for number in range(4):
        process = child(WRITER, place.url, f"k{number}-", "100000")
        for _ in range(5 + 3 * number):
            process.stdout.readline()
        time.sleep(0.003 * number)  # at another point of the transaction each time
        process.kill()
        told = process.communicate()[0].split()
        done += 5 + 3 * number + len(told)
    time.sleep(0.2)  # PostgreSQL notices that the client is gone
    accounts = _consistent(acme, place)
    assert done <= accounts <= done + 4  # all that was told is there, and at most the one in flight each
    with Store.open(place.url) as again:
        again.organisation("org-a").accounts.create(
            "after@acme.example", aliases=["x@acme.example"], by="r", at=NOW
        )
        assert _consistent(again, place) == accounts + 1
