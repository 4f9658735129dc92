"""Rights given up: as root, a dropped child with a private data directory and a private interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from process_up import HERE, LOGIN, SRC, Up, quietly, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def run(code, user="nobody"):
    return subprocess.run(
        [sys.executable, "-c", code, user],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )


@needs_root
def test_nothing_is_left_and_there_is_no_way_back():
    code = """
import os, sys
from gambeson.process import privileges as p
p.drop(sys.argv[1])
assert os.getuid() != 0 and os.getgroups() == [] and p.capabilities() == (0, 0, 0)
status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)
for field in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
    assert int(status[field], 16) == 0, field
assert status['NoNewPrivs'].strip() == '1'
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chroot('/')):
    try: attempt()
    except PermissionError: continue
    raise SystemExit('a right is left')
print('dropped')
"""
    assert run(code).stdout == "dropped\n"


@needs_root
@pytest.mark.parametrize(("user", "sentence"), [("no-such-user", "no user"), ("root", "root itself")])
def test_a_user_that_does_not_do_is_one_sentence(user, sentence):
    code = """
import sys
from gambeson.process import privileges as p
try: p.drop(sys.argv[1])
except p.PrivilegeError as error: print(error)
"""
    out = run(code, user).stdout
    assert sentence in out
    assert out.count("\n") == 1


@needs_root
def test_a_drop_that_did_not_take_is_noticed():
    """Capabilities kept over the change of user (as SECBIT_KEEP_CAPS would): the drop must fail."""
    code = """
import sys
from gambeson.process import privileges as p
p._libc.prctl(28, 1 << 2, 0, 0, 0)  # PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP
try: p.drop(sys.argv[1])
except p.PrivilegeError as error: print(error)
"""
    assert "left over" in run(code).stdout


@needs_root
def test_dropped_children_serve_and_can_reach_neither_data_nor_interpreter(tmp_path):
    """Data, our package and the interpreter's environment lie where only root may look; doors and
    keeper run as another user, sealed; everything works, and they can open nothing."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(SRC, private / "src", ignore=shutil.ignore_patterns("__pycache__"))
    here = private / "here"
    shutil.copytree(HERE, here, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(private / "venv", with_pip=False, symlinks=True)
    packages = next((private / "venv" / "lib").glob("python*")) / "site-packages"
    (packages / "outer.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    up = Up(
        private / "data",
        source=private / "src",
        here=here,
        python=str(private / "venv" / "bin" / "python"),
        users={"doors": "nobody", "keeper": "daemon"},
        doors=1,
        loop="uvloop",
    )
    try:
        up.ready()
        talk = up.talk()
        assert "mechanism" in talk.say(LOGIN)
        paths = [
            str(p)
            for p in (up.data, up.data / "state.json", here, private / "venv/bin/python", private / "src")
        ]
        said = talk.say("probe " + " ".join(paths))
        assert said["uid"][0] not in (0, os.getuid())
        assert said["uid"] == [said["uid"][0]] * 3
        assert said["groups"] == []
        assert [said[p] for p in paths] == [False] * len(paths)
        assert (said["import"], said["open"], said["exec"]) == ("ImportError", "EPERM", "EPERM")
        assert said["root"] == "EPERM"
        assert said["encode"] == "done"
        assert said["told"] == ["import wave", "open '/etc/hostname'", "os.system"]
        keeper = up.children()["keeper"][0]
        status = dict(x.split(":", 1) for x in Path(f"/proc/{keeper}/status").read_text().splitlines())
        assert status["CapEff"].strip() == "0" * 16
        assert status["Uid"].split()[0] != "0"
        os.kill(up.children()["doors"][0], 9)  # a successor is born from root again
        until(lambda: "mechanism" in (quietly(lambda: up.talk().say(LOGIN)) or {}))
    finally:
        up.process.kill()
        up.process.wait()


def test_without_root_everything_runs_as_the_caller(tmp_path):
    """(As root here: with no users named, children stay who started them, and are sealed all the same.)"""
    up = Up(tmp_path / "data", doors=1)
    try:
        talk = up.ready().talk()
        said = talk.say("probe /")
        assert said["uid"] == [os.getuid()] * 3
        assert said["import"] == "ImportError"
        assert "mechanism" in talk.say(LOGIN)
    finally:
        up.process.kill()
        up.process.wait()
