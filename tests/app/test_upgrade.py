"""An upgrade takes a backup first; where Gambeson then does not stand, the store is what it was before."""

from __future__ import annotations

import imaplib
import os
import socket
from pathlib import Path

import pytest

from gambeson.app import setup, up
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
    house, around = place.data.stat(), set(tmp_path.iterdir())
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
    # Neither the data directory nor what is around it was moved or written: under systemd its parent is read-only.
    now = place.data.stat()
    assert (now.st_dev, now.st_ino, now.st_mode, now.st_uid) == (
        house.st_dev,
        house.st_ino,
        house.st_mode,
        house.st_uid,
    )
    assert set(tmp_path.iterdir()) == around
    assert not list(place.data.glob(".gambeson-restore-*"))
    after = (place.data / "spool" / "doors.spool").stat()
    assert (after.st_uid, after.st_mode, after.st_size) == (before.st_uid, before.st_mode, before.st_size)


def test_the_databases_come_back_beneath_a_parent_nobody_writes_to(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    url = store_url(place, Config())
    setup.open_store(place, url)[0].close()
    schema(place.data, "0001")
    store, upgrade = setup.open_store(place, url)
    store.close()
    assert upgrade is not None
    stale = place.store / "control.db-wal"
    stale.write_bytes(b"of what is replaced")
    before = tmp_path.stat().st_mtime_ns
    tmp_path.chmod(0o555)
    try:
        said = setup.roll_back(place, url, upgrade)
    finally:
        tmp_path.chmod(0o700)
    assert "is as it was before" in said
    assert tmp_path.stat().st_mtime_ns == before  # root may write there all the same: it did not
    assert not stale.exists()
    assert schema(place.data) == OLD


def test_an_upgrade_that_breaks_off_is_taken_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    url = store_url(place, Config())
    setup.open_store(place, url)[0].close()
    schema(place.data, "0001")
    opened = setup.Store.open

    def breaks(url: str, *, migrate: bool = True) -> setup.Store:
        found = opened(url, migrate=migrate)
        if migrate:
            found.close()
            raise OSError(28, "No space left on device")
        return found

    monkeypatch.setattr(setup.Store, "open", breaks)
    with pytest.raises(RunError, match=r"No space left.*is as it was before"):
        setup.open_store(place, url)
    assert schema(place.data) == OLD


def test_the_instance_is_read_only_where_gambeson_wrote_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    made = up._instance(place)
    assert up._instance(place) == made
    path = place.data / "instance"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("../../elsewhere")
    with pytest.raises(RunError, match="remove it"):
        up._instance(place)
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(RunError, match="cannot be used"):
        up._instance(place)
    assert not (tmp_path / "other").exists()
