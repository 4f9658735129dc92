"""An upgrade takes a backup first; where Gambeson then does not stand, the store is what it was before."""

from __future__ import annotations

import imaplib
import os
import socket
from pathlib import Path

import pytest

from gambeson.app import setup
from gambeson.app.place import Place
from gambeson.app.plan import store_url
from gambeson.process.run_directory import RunDirectory, RunError
from gambeson.settings import Config
from gambeson.store.engine import EVERYWHERE, open_databases
from gambeson.store.migrate import HEADS, move, version
from gambeson.store.urls import locate
from peers.gambeson import Gambeson

ALMA = "alma@playground.example"
OLD = {"control": "0001", "events": "0001"}


def schema(data: Path, target: str = "") -> dict[str, str]:
    """The versions of both lineages, after a move to ``target`` where one is given."""
    found = {}
    databases = open_databases(locate(store_url(Place(data), Config())), create=False, timeout=5.0)
    for lineage, database in zip(("control", "events"), databases, strict=True):
        if target:
            move(database, lineage, target)
        with database.read(EVERYWHERE) as conn:
            found[lineage] = version(conn, lineage)
        database.close()
    return found


@pytest.mark.slow
def test_an_upgrade_that_does_not_stand_is_taken_back_and_one_that_stands_stays(tmp_path: Path) -> None:
    gambeson = Gambeson(tmp_path / "data")
    with gambeson:
        secret = gambeson.enrol(ALMA)
    assert schema(gambeson.data, "0001") == OLD
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        failed = gambeson.run("up", "--ports-from", str(busy.getsockname()[1]), check=False)
    assert failed.returncode == 3, failed
    assert "the store is as it was before" in failed.stderr
    assert schema(gambeson.data) == OLD
    assert list((gambeson.data / "backups").glob("before-upgrade-*.zip"))
    with gambeson:
        assert schema(gambeson.data) == HEADS
        client = imaplib.IMAP4_SSL("127.0.0.1", gambeson.port("imaps"), ssl_context=gambeson.tls)
        assert client.login(ALMA, secret)[0] == "OK"
        client.logout()


def test_nothing_is_upgraded_beneath_an_earlier_version_that_runs(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    url = store_url(place, Config())
    setup.open_store(place, url)[0].close()
    schema(place.data, "0001")
    (place.data / "spool").mkdir()
    (place.data / "spool" / "doors.spool").write_bytes(b"not read yet")
    if os.geteuid() == 0:
        os.chown(place.data / "spool" / "doors.spool", 64112, 64112)
    before = (place.data / "spool" / "doors.spool").stat()
    running = RunDirectory(place.data)
    try:
        with pytest.raises(RunError, match="already runs"):
            setup.open_store(place, url)
    finally:
        running.close()
    assert schema(place.data) == OLD
    store, upgrade = setup.open_store(place, url)
    store.close()
    assert upgrade is not None
    assert upgrade.versions == OLD
    assert setup.roll_back(place, url, upgrade).startswith("It did not start after the upgrade; the store is")
    assert schema(place.data) == OLD
    after = (place.data / "spool" / "doors.spool").stat()
    assert (after.st_uid, after.st_mode, after.st_size) == (before.st_uid, before.st_mode, before.st_size)
