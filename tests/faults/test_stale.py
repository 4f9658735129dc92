"""Worker, keeper and database stand still: what then holds, and that it comes right by itself."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator

import pytest

from faults.conftest import configured
from faults.hands import ALMA, DOORS, answer, eventually, health, open_door, session, sign_in, stopped
from peers.gambeson import Gambeson


def test_without_the_keeper_doors_say_later_within_five_seconds(playground: Gambeson) -> None:
    g = playground
    with session(g, ALMA, g.secret) as line:
        with stopped(g.children()["keeper"]):
            for listener in DOORS:
                with open_door(g, listener) as door:
                    began = time.monotonic()
                    assert answer(door, listener, ALMA, g.secret)[0] == "later"
                    assert time.monotonic() - began < 5
            line.send(b"n NOOP")  # who is in stays in
            assert line.until(b"n ").startswith(b"n OK")
        for listener in DOORS:
            assert sign_in(g, listener, ALMA, g.secret) == "in"


def test_a_locked_database_gets_one_sentence_and_the_doors_go_on(playground: Gambeson) -> None:
    g = playground
    lock = sqlite3.connect(g.data / "store" / "control.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        done = g.run("device", "enrol", ALMA, "--name", "Never", check=False)
        assert 4 < time.monotonic() - began < 12
        assert done.returncode == 3
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "locked by another process" in done.stderr
        assert "try again" in done.stderr
        for listener in DOORS:
            assert sign_in(g, listener, ALMA, g.secret) == "in"
        time.sleep(max(0.0, began + 10 - time.monotonic()))
        assert sign_in(g, "imaps", ALMA, g.secret) == "in"
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert not [d for d in g.json("device", "list")["devices"] if d["name"] == "Never"]
    assert g.enrol(ALMA, "Afterwards")
    eventually(lambda: health(g)["state"] == "ok", 15)


@pytest.fixture
def short_lived() -> Iterator[Gambeson]:
    """Doors whose snapshot may be a minute old, and is a matter for the health page after twenty seconds."""
    with configured("[snapshot]\nmax_age_s = 60\nwarn_age_s = 20\n") as g:
        yield g


@pytest.mark.slow
def test_a_snapshot_that_grows_old_lets_nobody_new_in(short_lived: Gambeson) -> None:
    g, anna = short_lived, "anna@example.org"
    secret = g.enrol(anna, doors="imap")
    assert sign_in(g, "imaps", anna, secret) == "in"
    inside = session(g, anna, secret)
    with stopped(g.children()["worker"]):
        began = time.monotonic()
        assert health(g)["state"] == "failed"  # the worker does not answer
        time.sleep(20)
        assert sign_in(g, "imaps", anna, secret) == "in"  # an outage is survived, up to the limit
        eventually(lambda: sign_in(g, "imaps", anna, secret) != "in", 60, every=3)
        assert 40 < time.monotonic() - began < 75
        inside.send(b"n NOOP")
        assert inside.until(b"n ").startswith(b"n OK")
    eventually(lambda: sign_in(g, "imaps", anna, secret) == "in", 20, every=0.5)
    eventually(lambda: health(g)["state"] == "ok", 20)
    inside.close()


@pytest.mark.slow
def test_an_old_snapshot_is_critical_on_the_health_page(short_lived: Gambeson) -> None:
    """The worker answers and cannot read its store: what shows is how old the snapshot is."""
    g = short_lived
    with (g.data / "store" / "control.db-shm").open("r+b") as index:
        fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)  # SQLite's locks for readers of the write-ahead log
        state = eventually(
            lambda: (
                (h := health(g))
                and any(n["name"] == "snapshot" and n["state"] == "failed" for n in h["lines"])
                and h
            ),
            60,
            every=0.5,
        )
    assert state["state"] == "failed"
    eventually(lambda: health(g)["state"] == "ok", 30, every=0.5)
