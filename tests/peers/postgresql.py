"""Debian's PostgreSQL 15 with a cluster of its own, one database, durability switched off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from . import program
from .process import Child, free_port


class PostgreSql:
    """``url`` is for SQLAlchemy with psycopg; sign-in by trust, on loopback only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
            for each in folder.parents:
                if each == each.parent or str(each) == "/tmp":
                    break
                each.chmod(each.stat().st_mode | 0o711)
        self._data = folder / "data"
        subprocess.run(
            [
                program("initdb"),
                "-D",
                str(self._data),
                "-U",
                "gambeson",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            timeout=120,
            user=self._user,
            cwd="/",
        )
        self.url = f"postgresql+psycopg://gambeson@127.0.0.1:{self.port}/postgres"
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 100,
            "timezone": "UTC",
        }
        command = [program("postgres"), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._child = Child(command, self.folder / "postgresql.log", user=self._user)
        self._child.wait_for(self.port)

    def stop(self) -> None:
        """Stops it at once; ``start`` may follow."""
        if self._child:
            self._child.stop(signal.SIGINT)
            self._child = None
