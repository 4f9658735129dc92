"""After a restore as root each process still owns only what it works with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gambeson.app.place import Place
from gambeson.store.backup import backup
from gambeson.store.control import Store
from gambeson.store.restore import restore

WORKER = 64112

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize("layout", ["now", "earlier"])
def test_the_keepers_key_does_not_become_the_workers(tmp_path: Path, with_keys: bool, layout: str) -> None:
    """The data directory was the worker's, so everything restored was given to it: the master key too. ``earlier``:
    what is replaced is still such a directory, with the databases in it."""
    place = Place(tmp_path / "data")
    control = place.control if layout == "now" else place.earlier_control
    for folder in (place.data, place.run, place.keeper, place.tls, place.playground, control.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    place.playground_mail.mkdir(mode=0o700)
    (place.playground_mail / "letter").write_text("Subject: x")
    key = place.keeper / "master.key"
    key.write_text("00" * 32)
    key.chmod(0o600)
    with Store.open(f"sqlite:///{control}") as store:
        extra = {"keeper/master.key": key} if with_keys else {}
        backup(store, tmp_path / "b.zip", at=1.0, extra=extra)
    workers = [control.parent, *control.parent.glob("*.db*"), *place.playground.rglob("*")]
    for path in workers if layout == "now" else (*workers, place.playground):
        os.chown(path, WORKER, WORKER)
    if layout == "now":
        for path in (place.data, place.playground):
            os.chown(path, 0, WORKER)
            path.chmod(0o710)

    restore(tmp_path / "b.zip", place.data, force=True, keep=("keeper", "tls", "playground"))

    assert key.read_text() == "00" * 32
    starters = (place.data, key, key.parent, place.tls, place.playground)
    assert [path.stat().st_uid for path in starters] == [0] * 5
    theirs = (
        place.store,
        place.control,
        place.events,
        place.playground_mail,
        place.playground_mail / "letter",
    )
    assert [path.stat().st_uid for path in theirs] == [WORKER] * 5
    if layout == "now":
        passage = [path.stat() for path in (place.data, place.playground)]
        assert [(p.st_gid, stat.S_IMODE(p.st_mode)) for p in passage] == [(WORKER, 0o710)] * 2
