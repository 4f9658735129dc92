"""A full disk: doors admit nobody whose admission cannot be recorded, say so as a temporary trouble, and go on by
themselves when there is space again. Needs root, for a small file system of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.conftest import folder
from faults.hands import ALMA, DOORS, events, eventually, health, session, sign_in
from peers.gambeson import Gambeson


@pytest.fixture
def small() -> Iterator[Path]:
    """A file system of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    with folder() as path:
        disk = path / "disk"
        disk.mkdir()
        options = ["-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(disk)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)


def fill(disk: Path) -> None:
    """Not one octet more fits."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


@pytest.mark.slow
def test_a_full_disk(small: Path) -> None:
    with Gambeson(small / "data") as g:
        for listener in DOORS:
            assert sign_in(g, listener, ALMA, g.secret) == "in"
        inside = session(g, ALMA, g.secret)
        before = set(g.all_children("doors"))
        fill(small)
        # what fits into the last page of the spool may still be recorded, and then lets in
        eventually(lambda: sign_in(g, "imaps", ALMA, g.secret) == "later", 30, every=0.1)
        for listener in DOORS:
            assert sign_in(g, listener, ALMA, g.secret) == "later"
        assert sign_in(g, "imaps", ALMA, "wrong") in ("no", "later")
        inside.send(b"n NOOP")
        assert inside.until(b"n ").startswith(b"n OK")
        done = g.run("account", "add", "new@playground.example", check=False)
        assert done.returncode == 3, done
        assert done.stderr.count("\n") == 1
        assert "full" in done.stderr or "space" in done.stderr, done.stderr
        eventually(lambda: health(g)["state"] == "failed", 30, every=0.5)

        (small / "filler").unlink()
        for listener in DOORS:
            eventually(lambda d=listener: sign_in(g, d, ALMA, g.secret) == "in", 15, every=0.3)
        eventually(lambda: health(g)["state"] == "ok", 30, every=0.5)
        g.run("account", "add", "new@playground.example")
        assert set(g.all_children("doors")) == before
        # what was kept in memory meanwhile is on record now
        eventually(lambda: events(g, "door.login.failed"), 10)
        inside.close()
