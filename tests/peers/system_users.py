"""As root: the system users that Gambeson's processes become. Only those that were missing are made, and taken away."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("gambeson-doors", "gambeson-keeper", "gambeson-worker", "gambeson-console")


@contextmanager
def system_users() -> Iterator[None]:
    """Between start and end they are there. Without root nothing is done, and nothing is needed."""
    made = []
    try:
        for name in NAMES if os.geteuid() == 0 else ():
            try:
                pwd.getpwnam(name)
            except KeyError:
                subprocess.run(["useradd", "-r", "-M", "-s", "/usr/sbin/nologin", name], check=True)
                made.append(name)
        yield
    finally:
        for name in made:
            subprocess.run(["userdel", name], check=True)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder of our own that other users may pass through, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="gambeson-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
