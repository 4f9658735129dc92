"""Ports, waiting, and child processes that end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """A TCP port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def wait_until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Waits; raises TimeoutError naming ``what``."""
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

    def wait_for(self, *ports: int) -> None:
        """Waits until all answer; raises RuntimeError with the end of the log where it died or never does."""
        try:
            wait_until(lambda: self._process.poll() is not None or all(map(answers, ports)), f"ports {ports}")
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
