"""What ``ready.json`` says counts only while the one who wrote it lives and holds the lock."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gambeson.process.run_directory import RunDirectory, RunError, read_ready


def test_it_is_trusted_while_its_writer_lives_and_holds_the_lock(tmp_path: Path) -> None:
    assert read_ready(tmp_path / "nothing") == {}
    run = RunDirectory(tmp_path)
    ready = run.write_ready({"pid": os.getpid(), "doors": {}})
    assert read_ready(tmp_path) == {"pid": os.getpid(), "doors": {}}
    gone = subprocess.Popen(["true"])
    gone.wait()
    for pid in (gone.pid, 0, -1, 1 << 70, None, "1"):
        ready.write_text(json.dumps({"pid": pid}))
        assert read_ready(tmp_path) == {}, pid
    ready.write_text("[1]")
    assert read_ready(tmp_path) == {}
    ready.write_text("[")
    with pytest.raises(ValueError, match="line 1"):
        read_ready(tmp_path)
    run.close()
    # Its lock is free, though its number lives: another process has it by now.
    ready.write_text(json.dumps({"pid": os.getpid()}))
    assert read_ready(tmp_path) == {}


def test_a_start_takes_a_stale_one_away_and_leaves_that_of_a_running_one(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    ready = run.write_ready({"pid": os.getpid()})
    with pytest.raises(RunError, match="already runs"):
        RunDirectory(tmp_path)
    assert ready.exists()
    run.close()
    ready.write_text("{}")
    RunDirectory(tmp_path).close()
    assert not ready.exists()
