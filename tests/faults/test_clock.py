"""Somebody sets the machine's clock while everything runs: two hours on, and then four hours back.

Debian's libfaketime stands between every process (the command line too) and the clock, and reads the step from a file
anew each time; what runs by itself, the monotonic clock, is left alone, as a kernel does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from faults.hands import (
    ALMA,
    BRUNO,
    DOORS,
    Line,
    answer,
    events,
    eventually,
    health,
    kill,
    open_door,
    session,
    sign_in,
)
from peers.gambeson import Gambeson

CHIARA = "chiara@playground.example"
RHYTHM = 25.0  # the worker publishes every ten seconds; a refusal and a busy machine beside
LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
pytestmark = [pytest.mark.slow, pytest.mark.peer("faketime")]


class Clock:
    """The clock that all processes of an installation see, ``step`` from the machine's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0")

    def set(self, step: str) -> None:
        """``+2h``: two hours ahead. In one piece: who reads meanwhile sees the old or the new one."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{step}\n")
        beside.chmod(0o644)
        beside.replace(self._file)

    def environment(self) -> dict[str, str]:
        [library] = Path("/").glob(LIBRARIES[1:])
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(place: Path) -> Clock:
    return Clock(place / "clock")


def test_a_clock_that_is_set_on_and_back(make: Callable[..., Gambeson], clock: Clock) -> None:
    g = make(env=clock.environment())
    family = g.children()
    reader = g.enrol(CHIARA, "Reader")  # of POP3's mailboxes each is open once
    lines = {listener: session(g, CHIARA, reader, listener) for listener in ("imaps", "pop3s", "sieve")}
    stolen = g.enrol(BRUNO, "Stolen", doors="imap,pop3,submission,sieve")
    assert sign_in(g, "imaps", BRUNO, stolen, "127.0.3.1") == "in"
    with session(g, BRUNO, stolen, "imaps", "127.0.3.1") as thief:
        assert g.run("device", "revoke", _device(g, "Stolen")).returncode == 0
        assert _closed(thief)
    assert sign_in(g, "imaps", BRUNO, stolen, "127.0.3.1") == "no"

    for step, hours in (("+2h", 2), ("-2h", -2), ("+0", 0)):
        clock.set(step)
        # Once the worker has said what time it is, everybody gets in again.
        eventually(lambda: sign_in(g, "imaps", ALMA, g.secret, "127.0.3.2") == "in", RHYTHM)
        for listener in DOORS:
            assert sign_in(g, listener, ALMA, g.secret, "127.0.3.2") == "in"
        eventually(lambda: health(g)["state"] == "ok", RHYTHM)
        assert abs(_seen(g) - (time.time() + hours * 3600)) < 120  # the step did reach the processes
        # Who was revoked stays out, also while the clock shows a time before it.
        assert sign_in(g, "imaps", BRUNO, stolen, "127.0.3.1") == "no"
        # Who was in stays in.
        for listener, command, good in (
            ("imaps", b"n NOOP", b"n OK"),
            ("pop3s", b"NOOP", rb"\+OK"),
            ("sieve", b'HAVESPACE "a" 10', b"OK"),
        ):
            lines[listener].send(command)
            assert lines[listener].until(good)
        # What is changed now holds at once.
        fresh = g.enrol(ALMA, f"After {step}")
        assert sign_in(g, "imaps", ALMA, fresh, "127.0.3.2") == "in"
        with session(g, ALMA, fresh, "imaps", "127.0.3.2") as line:
            assert g.run("device", "revoke", _device(g, f"After {step}")).returncode == 0
            assert _closed(line)
        assert sign_in(g, "imaps", ALMA, fresh, "127.0.3.2") == "no"
    for line in lines.values():
        line.close()
    assert g.children() == family  # nobody died
    g.run("audit", "verify")


def test_a_throttle_neither_opens_nor_locks_out_when_the_clock_is_set(
    make: Callable[..., Gambeson], clock: Clock
) -> None:
    g = make(env=clock.environment())
    guesser = "127.0.9.9"
    assert [_guess(g, guesser) for _ in range(11)].count("throttled") == 1  # of ten an hour
    for step in ("+2h", "-2h", "+0"):
        clock.set(step)
        eventually(lambda: sign_in(g, "imaps", ALMA, g.secret, "127.0.8.8") == "in", RHYTHM)
        assert _guess(g, guesser) == "throttled", f"the clock was set to {step}, and the throttle opened"
        # A proven device is never throttled, from wherever it comes.
        assert sign_in(g, "imaps", BRUNO, g.enrol(BRUNO, f"Phone {step}"), guesser) == "in"
        # Another network has its own ten, and no fewer.
        assert _guess(g, f"127.0.{20 + len(step) + ord(step[0])}.1") == "refused"


def test_who_is_started_again_at_an_earlier_time_goes_on(make: Callable[..., Gambeson], clock: Clock) -> None:
    g = make(env=clock.environment())
    assert sign_in(g, "imaps", ALMA, g.secret) == "in"
    clock.set("-2h")
    for role in ("doors", "keeper", "worker"):
        kill(g.children()[role])
        eventually(lambda: sign_in(g, "imaps", ALMA, g.secret) == "in", 40, every=0.5)
    before = len(events(g, "door.login.allowed"))
    assert sign_in(g, "imaps", ALMA, g.secret) == "in"
    eventually(lambda: len(events(g, "door.login.allowed")) > before, 20)
    fresh = g.enrol(ALMA, "Fresh")
    with session(g, ALMA, fresh) as line:
        assert g.run("device", "revoke", _device(g, "Fresh")).returncode == 0
        assert _closed(line)
    eventually(lambda: health(g)["state"] == "ok", RHYTHM)


def _guess(g: Gambeson, source: str) -> str:
    """What a wrong password gets from there: ``refused`` or ``throttled``."""
    with open_door(g, "imaps", source) as line:
        word, said = answer(line, "imaps", ALMA, "a guess")
    if b"Too many failed" in said:
        return "throttled"
    assert word == "no", said
    return "refused"


def _device(g: Gambeson, name: str) -> str:
    [found] = [d["id"] for d in g.json("device", "list")["devices"] if d["name"] == name]
    return str(found)


def _closed(line: Line) -> bool:
    """Reads up to the end of the connection. Raises TimeoutError where there is none."""
    try:
        while True:
            line.line()
    except ConnectionError:
        return True


def _seen(g: Gambeson) -> float:
    """The time on the health page, seconds since 1970."""
    return datetime.fromisoformat(health(g)["measured"]).timestamp()
