"""A whole installation, started the way a person starts it, on free ports of loopback and a data directory of its own.

    with Gambeson(tmp_path / "data") as gambeson:           # the playground
        secret = gambeson.enrol("alma@playground.example")
        gambeson.port("imaps")

With ``config`` (TOML text) it runs with that settings file; ``args`` are further arguments of ``up``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
START_SECONDS = 60


def free_ports(count: int = 9) -> int:
    """The first of ``count`` consecutive ports that are free now."""
    for first in range(20000 + os.getpid() % 200 * 50, 32000, count):
        bound = []
        try:
            for port in range(first, first + count):
                sock = socket.socket()
                bound.append(sock)
                sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for sock in bound:
                sock.close()
    raise RuntimeError("no free ports")


class Gambeson:
    """One running installation. ``process`` is the supervisor."""

    def __init__(self, data: Path, *args: str, config: str = "", env: dict[str, str] | None = None) -> None:
        self.data, self.args = data, args
        self.env = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        self.config: Path | None = None
        if config:
            self.config = data.parent / f"{data.name}.toml"
            self.config.write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.log"
        self.first_port = 0
        self.prefix: tuple[str, ...] = ()  # a program that starts it, such as setpriv

    def __enter__(self) -> Gambeson:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Gambeson:
        """Start and wait until everything answers. Raises RuntimeError with the log."""
        self.first_port = self.first_port or free_ports()
        command = [*self.prefix, sys.executable, "-m", "gambeson", "up", "--data", str(self.data)]
        command += ["--ports-from", str(self.first_port), *self.args]
        if self.config:
            command += ["--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
            )
        end = time.monotonic() + START_SECONDS
        while not self._stands():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"gambeson did not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        return self

    def _stands(self) -> bool:
        """Whether this very process says so: one that was killed has left its ready.json behind."""
        path = self.data / "run" / "ready.json"
        try:
            return self.process is not None and json.loads(path.read_text())["pid"] == self.process.pid
        except (OSError, ValueError):
            return False

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    @property
    def ready(self) -> dict[str, Any]:
        """The document ``ready.json``."""
        document: dict[str, Any] = json.loads((self.data / "run" / "ready.json").read_text())
        return document

    def port(self, listener: str) -> int:
        """The port of a listener."""
        return int(self.ready["doors"][listener].rpartition(":")[2])

    @property
    def ca(self) -> str:
        """The path of the authority that vouches for the doors."""
        return str(self.ready["ca"])

    @property
    def tls(self) -> ssl.SSLContext:
        """A strict client context."""
        return ssl.create_default_context(cafile=self.ca)

    @property
    def secret(self) -> str:
        """The device secret of the playground's registered device (alma)."""
        return str(self.ready["playground"]["devices"][0]["secret"])

    def run(self, *args: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the command line on this installation."""
        command = [sys.executable, "-m", "gambeson", *args, "--data", str(self.data)]
        if self.config:
            command += ["--config", str(self.config)]
        done = subprocess.run(command, env=self.env, input=stdin, capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"{args} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args: str) -> Any:
        """The JSON document that a command answers with."""
        return json.loads(self.run(*args, "--json").stdout)

    def enrol(self, address: str, name: str = "Test", doors: str = "imap,pop3,submission,sieve") -> str:
        """Register a device; its secret."""
        return str(self.json("device", "enrol", address, "--name", name, "--doors", doors)["secret"])

    def children(self) -> dict[str, int]:
        """Process ids by role (of several with the same role, one)."""
        return dict(self._family())

    def all_children(self, role: str) -> list[int]:
        """Process ids of one role: several doors, or old and new ones."""
        return sorted(pid for each, pid in self._family() if each == role)

    def _family(self) -> list[tuple[str, int]]:
        assert self.process is not None
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
                if int(text.rpartition(")")[2].split()[1]) != self.process.pid:
                    continue
                words = (stat.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"gambeson.app.children" in words:
                role = words[words.index(b"gambeson.app.children") + 1].decode()
                found.append((role, int(stat.parent.name)))
        return found
