"""kill -9 of each process in turn while people sign in: nothing hangs, the one that died is back within seconds, doors
never let anyone in wrongly, and every sign-in that a client saw is recorded, exactly once.

How many decisions can be lost: a door records before it answers, with one ``write`` to the spool, and the kernel keeps
what was written. So a sign-in that a client was told of is never lost; of those a killed door had not answered, any
may be. Only on a full disk a door keeps up to 1000 events in memory (gambeson.process.spool.MAX_KEPT), all of them of
sign-ins that it refused.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from faults.hands import ALMA, events, eventually, health, kill, sign_in
from peers.gambeson import Gambeson


class Crowd:
    """People who sign in all the time, good and bad, from different places."""

    def __init__(self, g: Gambeson, people: list[tuple[str, str]]) -> None:
        self.words: Counter[tuple[str, str]] = Counter()
        self.slowest = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        jobs = [(name, secret, "good") for name, secret in people] + [(ALMA, "wrong password", "bad")]
        self._threads = [
            threading.Thread(target=self._go, args=(g, n, *job), daemon=True) for n, job in enumerate(jobs)
        ]
        for thread in self._threads:
            thread.start()

    def _go(self, g: Gambeson, number: int, name: str, secret: str, kind: str) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            began = time.monotonic()
            source = f"127.{10 + number}.{turn % 200}.7"
            word = sign_in(g, ("imaps", "submissions", "sieve")[turn % 3], name, secret, source, patience=20)
            with self._lock:
                self.words[kind, word] += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
            self._stop.wait(0.15 if word != "gone" else 0.3)

    def end(self) -> Counter[tuple[str, str]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a sign-in hangs"
        return self.words


@pytest.mark.slow
def test_each_process_is_killed_while_people_sign_in(make: Callable[..., Gambeson]) -> None:
    g = make()
    people = [(ALMA, g.enrol(ALMA, f"Phone {n}")) for n in range(2)]
    for n in range(3):
        g.run("account", "add", f"person{n}@playground.example")
        people.append((f"person{n}@playground.example", g.enrol(f"person{n}@playground.example")))
    crowd = Crowd(g, people)
    back = {}
    for role in ("keeper", "worker", "doors", "portal", "console", "playground"):
        time.sleep(1)
        before = g.children()[role]
        kill(before)
        began = time.monotonic()
        eventually(lambda r=role, b=before: g.children().get(r, b) != b, 10)
        goods = crowd.words["good", "in"]
        eventually(lambda n=goods: crowd.words["good", "in"] >= n + 5, 20)
        back[role] = time.monotonic() - began
    words = crowd.end()
    assert words["bad", "in"] == 0
    assert words["good", "no"] == 0  # a fault is never told as a wrong password
    assert crowd.slowest < 15
    told = words["good", "in"]
    assert told > 50

    def recorded() -> int:
        ids = events(g, "door.login.allowed")
        assert len(ids) == len(set(ids))
        return len(ids)

    eventually(lambda: recorded() >= told, 10)  # none that a client was told of is missing
    time.sleep(1)
    # and what was recorded beyond that, the door did not live to tell: at most one for each person
    assert told <= recorded() <= told + len(people)
    eventually(lambda: health(g)["state"] == "ok", 15)
    print(f"back after {back}; {dict(words)}; slowest {crowd.slowest:.1f} s; recorded {recorded()}")


@pytest.mark.slow
def test_events_written_while_there_is_no_worker_are_taken_in_by_the_next(
    make: Callable[..., Gambeson],
) -> None:
    """Even where everything is killed at once before the worker saw them."""
    g = make()
    worker = g.children()["worker"]
    import os
    import signal

    os.kill(worker, signal.SIGSTOP)
    for _ in range(10):
        assert sign_in(g, "imaps", ALMA, g.secret) == "in"
    assert len(events(g, "door.login.allowed")) == 0
    kill(g.process.pid)  # type: ignore[union-attr]
    g.process.wait()  # type: ignore[union-attr]
    os.kill(worker, signal.SIGKILL)
    g.start()
    eventually(lambda: len(events(g, "door.login.allowed")) == 10, 10)
