"""After a restore as root each process still owns only what it works with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gambeson.store.backup import backup
from gambeson.store.control import Store
from gambeson.store.restore import restore

WORKER = 64112

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize("with_keys", [True, False])
def test_the_keepers_key_does_not_become_the_workers(tmp_path: Path, with_keys: bool) -> None:
    """The data directory is the worker's, so everything restored was given to it: the master key too."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for name in ("run", "keeper", "tls"):
        (data / name).mkdir(mode=0o700)
    key = data / "keeper" / "master.key"
    key.write_text("00" * 32)
    key.chmod(0o600)
    with Store.open(f"sqlite:///{data}/control.db") as store:
        extra = {"keeper/master.key": key} if with_keys else {}
        backup(store, tmp_path / "b.zip", at=1.0, extra=extra)
    for path in (data, *data.glob("*.db*")):
        os.chown(path, WORKER, WORKER)
    restore(tmp_path / "b.zip", data, force=True, keep=("keeper", "tls"))
    assert key.read_text() == "00" * 32
    assert [p.stat().st_uid for p in (key, key.parent, data / "tls")] == [0, 0, 0]
    assert [p.stat().st_uid for p in (data, data / "control.db", data / "events.db")] == [WORKER] * 3
