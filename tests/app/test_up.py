"""``up`` after a supervisor that was killed: nothing of before looks as if it ran."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from gambeson.app import setup, up
from gambeson.process.run_directory import RunDirectory, RunError, read_ready
from peers.gambeson import Gambeson


class _Reached(Exception):
    pass


def test_a_stale_ready_json_is_gone_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    (data / "run").mkdir(mode=0o700, parents=True)
    (data / "run" / "ready.json").write_text(json.dumps({"pid": os.getpid()}))
    there: list[bool] = []

    def opens(*_: object) -> None:
        there.append((data / "run" / "ready.json").exists())
        raise _Reached

    monkeypatch.setattr(setup, "public_keys", opens)
    wish = up.Wish(data, None, lambda: None)
    with pytest.raises(_Reached):
        up.run(wish, lambda text: None)
    assert there == [False]
    running = RunDirectory(data)
    running.write_ready({"pid": os.getpid()})
    with pytest.raises(RunError, match="already runs"):
        up.run(wish, lambda text: None)
    assert there == [False]  # nothing was opened beneath it
    assert (running.path / "ready.json").exists()
    running.close()


def test_what_a_killed_supervisor_left_is_not_believed(tmp_path: Path) -> None:
    gambeson = Gambeson(tmp_path / "data").start()
    assert gambeson.process is not None
    children = gambeson.all_children("doors") + list(gambeson.children().values())
    gambeson.process.send_signal(signal.SIGKILL)
    gambeson.process.wait()
    gambeson.process = None
    stale = gambeson.data / "run" / "ready.json"
    assert stale.exists()
    assert read_ready(gambeson.data) == {}
    checks = json.loads(gambeson.run("doctor", "--json", check=False).stdout)["checks"]
    assert "failed" in {check["state"] for check in checks if check["name"] in ("doors", "processes")}
    for pid in children:  # they end by themselves; what is left would hold the ports
        for _ in range(200):
            if not Path(f"/proc/{pid}/cmdline").exists():
                break
            signal.sigtimedwait([], 0.05)
    with gambeson:
        assert read_ready(gambeson.data)["pid"] == gambeson.ready["pid"]
