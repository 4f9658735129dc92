"""A hijacked worker over a whole installation started by root: what its user can do to the files beside its own.

It owned the data directory once, so it could move the keeper's keys, the certificates and the command sockets away, or
put its own in their place, settings for the next start among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson.app.place import Place
from peers.gambeson import Gambeson
from peers.system_users import open_folder

WORKER = 64112  # gambeson.app.plan.PLAYGROUND_USERS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")

# Runs as the worker's user and prints what it could do, as JSON.
_HIJACKED = """
import json, os, sys
uid, data = int(sys.argv[1]), sys.argv[2]
names = json.loads(sys.argv[3])
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
done = []
def attempt(what, call, *args):
    try:
        call(*args)
    except PermissionError:
        return
    except OSError as error:
        what += " (" + type(error).__name__ + ")"
    done.append(what)
for name in names["own"]:
    attempt("move " + name, os.rename, data + "/" + name, data + "/moved")
    attempt("write in " + name, open, data + "/" + name + "/mine", "w")
attempt("list", os.listdir, data)
attempt("make a file", open, data + "/gambeson.toml.new", "x")
attempt("make a folder", os.mkdir, data + "/planted")
attempt("make a link", os.symlink, "/etc/shadow", data + "/planted-link")
attempt("open it", os.chmod, data, 0o777)
attempt("take it", os.chown, data, uid, uid)
attempt("move it", os.rename, data, data + ".moved")
for name in names["others"]:
    path = data + "/" + name
    attempt("read " + name, os.listdir if os.path.isdir(path) else open, path)
    attempt("write " + name, os.mkdir if os.path.isdir(path) else open, path + ("/x" if os.path.isdir(path) else ""),
            0o700 if os.path.isdir(path) else "a")
    attempt("move " + name, os.rename, path, data + "/store/stolen")
    attempt("delete " + name, os.rmdir if os.path.isdir(path) else os.unlink, path)
    attempt("replace " + name, os.rename, data + "/store/mine", path)
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def installation() -> Iterator[Gambeson]:
    with open_folder() as folder, Gambeson(folder / "data") as gambeson:
        (gambeson.data / "gambeson.toml").touch(mode=0o600)  # as connect writes it
        yield gambeson


def as_worker(data: Path, others: list[str], own: list[str]) -> list[str]:
    names = json.dumps({"others": others, "own": own})
    done = subprocess.run(
        [sys.executable, "-c", _HIJACKED, str(WORKER), str(data), names],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_the_workers_user_moves_replaces_and_makes_nothing_but_its_own(installation: Gambeson) -> None:
    place = Place(installation.data)
    own = [str(path.relative_to(place.data)) for path in (*place.written_by_worker, place.playground_mail)]
    others = [path.name for path in place.data.iterdir() if path.name not in own]
    others += ["playground/sample.json", "playground/people.json"]
    assert {"keeper", "tls", "run", "backups", "gambeson.toml", "instance", "servers.json"} <= set(others)
    assert as_worker(place.data, others, own) == [f"write in {name}" for name in own]


def test_what_is_in_those_folders_is_the_workers_and_nothing_else_is(installation: Gambeson) -> None:
    place = Place(installation.data)
    theirs = (*place.written_by_worker, place.playground_mail)
    for path in (place.data, *place.data.rglob("*")):
        inside = any(path == folder or folder in path.parents for folder in theirs)
        assert path.lstat().st_uid == (WORKER if inside else 0), path


def test_it_still_serves_and_starts_again(installation: Gambeson) -> None:
    installation.enrol("alma@playground.example")
    (installation.data / "gambeson.toml").unlink()  # without settings it is the playground again
    assert installation.stop() == 0
    installation.start()
    checks = json.loads(installation.run("doctor", "--json", check=False).stdout)["checks"]
    assert {c["state"] for c in checks if c["name"] in ("data directory", "store", "keeper")} == {"ok"}
