"""What the throttle counted outlives a reload and a restart of everything."""

from __future__ import annotations

import imaplib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gambeson.process.throttle_shelf import Kept
from peers.gambeson import Gambeson


def guess(gambeson: Gambeson, name: str) -> None:
    client = imaplib.IMAP4_SSL("localhost", gambeson.port("imaps"), ssl_context=gambeson.tls, timeout=20)
    with pytest.raises(imaplib.IMAP4.error):
        client.login(name, "a guess")
    client.shutdown()


def kept(gambeson: Gambeson) -> tuple[str, int]:
    """Which door's counters are on disk, and how many failures from one source they hold."""
    state = msgspec.msgpack.decode((gambeson.data / "throttle" / "0.state").read_bytes(), type=Kept)
    counters = msgspec.msgpack.decode(state.data)
    return state.name, sum(sum(counts) for _, counts in counters["source"].values())


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_a_reload_and_a_restart_forget_no_guess() -> None:
    with tempfile.TemporaryDirectory(prefix="gambeson-throttle-") as folder:
        Path(folder).chmod(0o755)
        with Gambeson(Path(folder) / "data") as gambeson:
            for number in range(4):
                guess(gambeson, f"nobody{number}@playground.example")
            before = gambeson.children()
            embedded = before.pop("playground")  # stays: sessions through the old doors are open at it
            assert gambeson.process is not None
            os.kill(gambeson.process.pid, signal.SIGHUP)
            until(
                lambda: len(now := gambeson.children()) == 6 and not set(now.values()) & set(before.values())
            )
            assert gambeson.children()["playground"] == embedded
            time.sleep(1)  # the last of them, just begun, is ready
            guess(gambeson, "another@playground.example")
            assert gambeson.stop() == 0
            assert kept(gambeson) == ("doors.2.0", 5)
            gambeson.start()
            guess(gambeson, "more@playground.example")
            assert gambeson.stop() == 0
            assert kept(gambeson) == ("doors.1.0", 6)
