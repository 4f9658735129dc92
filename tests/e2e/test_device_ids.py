"""The first DeviceId of a credential holds at the next door process too: after a crash, and beside the one before."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException

import pytest

from peers.eas import Phone, over_https
from peers.gambeson import Gambeson

ALMA = "alma@playground.example"
HOST = "mail.localhost"
SECONDS = 20.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("ids") / "data") as gambeson:
        yield gambeson


def enrolled(running: Gambeson, name: str) -> str:
    return running.enrol(ALMA, name, "eas")


def phone(running: Gambeson, secret: str, device_id: str) -> Phone:
    """One on a connection of its own."""
    send = over_https(HOST, running.port("https"), running.tls, "127.0.0.1")
    return Phone(send, ALMA, secret, device_id=device_id)


def status(one: Phone) -> int:
    return one.ask("Provision", b"").status


def kept(running: Gambeson, device_id: str) -> None:
    """Wait until the worker keeps it, and have it tell the doors (which it does by itself every ten seconds)."""
    within(lambda: device_id.lower() in running.run("audit", "show", "--json").stdout)
    running.run("device", "eas", "allow", ALMA, f"another-than-{device_id}")


def within(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.2)


def test_it_holds_after_a_door_was_killed(running: Gambeson) -> None:
    secret = enrolled(running, "Killed")
    assert phone(running, secret, "FIRST1").provision().inner == "1"
    kept(running, "FIRST1")
    (before,) = running.all_children("doors")
    os.kill(before, signal.SIGKILL)
    within(lambda: running.all_children("doors") not in ([], [before]))

    def refused() -> bool:
        try:
            return status(phone(running, secret, "OTHER1")) == 403
        except OSError:
            return False  # the new one is not there yet

    within(refused)
    assert phone(running, secret, "FIRST1").provision().inner == "1"


def test_it_holds_at_the_door_beside_the_one_before(running: Gambeson) -> None:
    """After a reload the old doors still hold a phone's Ping, and the new ones know its DeviceId."""
    secret = enrolled(running, "Reloaded")
    first = phone(running, secret, "FIRST2")
    assert first.provision().inner == "1"
    assert first.folder_sync().inner == "1"
    kept(running, "FIRST2")
    (before,) = running.all_children("doors")

    def waits() -> None:
        with suppress(OSError, HTTPException):  # the end of the test ends it
            first.ping(60, first.inbox)

    waiting = threading.Thread(target=waits, daemon=True)
    waiting.start()
    time.sleep(1)
    assert running.process is not None
    running.process.send_signal(signal.SIGHUP)
    within(lambda: len(running.all_children("doors")) == 2)
    within(lambda: status(phone(running, secret, "OTHER2")) == 403)
    assert phone(running, secret, "FIRST2").provision().inner == "1"
    assert before in running.all_children("doors")
    assert waiting.is_alive()
    running.run("device", "eas", "forget", ALMA, "first2")
    assert phone(running, secret, "OTHER2").provision().inner == "1"
    assert status(phone(running, secret, "FIRST2")) == 403
