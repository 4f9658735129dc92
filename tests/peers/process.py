"""Ports, waiting, and child processes that end with the test."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Below those that the kernel gives to outgoing connections (32768 and up): between our look and the peer's start
# nobody's connection takes one of these. ``peers.gambeson.free_ports`` begins at 20000.
_PORTS = range(14_200, 20_000)
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on just now, and that was not given to anybody here before."""
    for _ in range(1000):
        port = random.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            # As servers do: a port whose last connections have only just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def answers(port: int, address: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((address, port), 0.5).close()
    except OSError:
        return False
    return True


def wait_until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Waits, as long as a machine with too much to do may need; raises TimeoutError naming ``what``."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} within {seconds} s")
        time.sleep(0.05)


class Child:
    """A program in the foreground, in a process group of its own, its output in ``log``."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environ: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if environ is None else {**os.environ, **environ},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                cwd="/",
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, *ports: int, address: str = "127.0.0.1") -> None:
        """Waits until all answer; raises RuntimeError with the end of the log where it died or never does."""
        try:
            wait_until(
                lambda: self._process.poll() is not None or all(answers(port, address) for port in ports),
                f"ports {ports}",
            )
        except TimeoutError:
            self.stop()
            raise RuntimeError(self._last_words("does not answer")) from None
        if self._process.poll() is not None:
            raise RuntimeError(self._last_words(f"ended with {self._process.returncode}"))

    def _last_words(self, what: str) -> str:
        return f"{self._process.args!r} {what}: {self.log.read_text(errors='replace')[-2000:]}"

    def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, after five seconds by force, with everything in its group."""
        if self._process.poll() is None:
            self._process.send_signal(first)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
