"""An upgrade takes a backup first; where Gambeson then does not stand, the store is what it was before."""

from __future__ import annotations

import imaplib
import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gambeson.app import setup, up
from gambeson.app.place import Place
from gambeson.app.plan import store_url
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind
from gambeson.model.event import Event
from gambeson.process.run_directory import RunDirectory, RunError
from gambeson.settings import Config
from gambeson.store.engine import EVERYWHERE, Database, open_databases
from gambeson.store.migrate import HEADS, move, version
from gambeson.store.urls import locate
from peers.gambeson import Gambeson
from peers.postgresql import PostgreSql

ALMA = "alma@playground.example"
NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "root@console", "at": NOW}
NUMBERS = itertools.count(1)
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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, str]:
    """An installation with something in it whose store has the first schema there was."""
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    if request.param == "sqlite":
        url = store_url(place, Config())
    else:
        url = database_of(request.getfixturevalue("postgresql"), f"upgrade_{next(NUMBERS)}")
    store, upgrade = setup.open_store(place, url)
    assert upgrade is None
    with store:
        organisation = store.create_organisation("Example", domains=["example.org"], **ADMIN)
        account = organisation.accounts.create("anna@example.org", **ADMIN)
        organisation.accounts.set_password(
            account.id, "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", **ADMIN
        )
        device = organisation.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **ADMIN)
        organisation.credentials.add(
            device.id, CredentialKind.DEVICE_SECRET, "a" * 16, verifier=bytes(range(32)), **ADMIN
        )
        store.events.append([Event("e1", NOW, "door.login.allowed", organisation.id, account.id)])
        store.audit.seal(lambda payload: payload[-8:], NOW)
    for lineage, database in databases(url):
        move(database, lineage, "0001")
    return place, url


def database_of(server: PostgreSql, name: str) -> str:
    """A database of its own that belongs to no superuser."""
    engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        if conn.exec_driver_sql("SELECT count(*) FROM pg_roles WHERE rolname = 'upgrader'").scalar() == 0:
            conn.exec_driver_sql("CREATE ROLE upgrader LOGIN NOSUPERUSER NOBYPASSRLS")
        conn.exec_driver_sql(f"CREATE DATABASE {name} OWNER upgrader")
    engine.dispose()
    return (
        sa.make_url(server.url).set(database=name, username="upgrader").render_as_string(hide_password=False)
    )


def databases(url: str) -> Iterator[tuple[str, Database]]:
    opened = open_databases(locate(url), create=False, timeout=5.0)
    try:
        yield from zip(("control", "events"), opened, strict=True)
    finally:
        for database in opened:
            database.close()


def everything(url: str) -> dict[str, object]:
    """Every table with every row of it, and every index, of both databases."""
    found: dict[str, object] = {}
    for lineage, database in databases(url):
        with database.read(EVERYWHERE) as conn:
            inspector = sa.inspect(conn)
            for name in inspector.get_table_names():
                table = sa.Table(name, sa.MetaData(), autoload_with=conn)
                rows = sorted(repr(tuple(row)) for row in conn.execute(sa.select(table)))
                indexes = sorted(str(index["name"]) for index in inspector.get_indexes(name))
                found[f"{lineage} {name}"] = (rows, sorted(c.name for c in table.columns), indexes)
    return found


BREAKS = """
from alembic import op
import sqlalchemy as sa

revision = "9000"
down_revision = "{head}"


def upgrade():
    {spoil}


def downgrade():
    raise RuntimeError("there is no way down")
"""
SPOIL = """op.execute("UPDATE accounts SET address = 'spoilt'")
    op.execute("DELETE FROM passwords")
    op.drop_table("modes")
    op.create_table("half_made", sa.Column("id", sa.Integer(), primary_key=True))"""
SPOIL_EVENTS = """op.execute("DELETE FROM events")
    op.create_table("half_of_events", sa.Column("id", sa.Integer(), primary_key=True))"""
FAIL = """
    op.execute("INSERT INTO there_is_no_such_table VALUES (1)")"""


def migrations(folder: Path, **spoil: str) -> dict[str, Path]:
    """For each lineage a folder with one migration more."""
    made = {}
    for lineage, text in spoil.items():
        made[lineage] = folder / lineage
        made[lineage].mkdir(parents=True)
        (made[lineage] / "v9000.py").write_text(BREAKS.format(head=HEADS[lineage], spoil=text))
    return made


CASES = {
    "in the middle of the first": {"control": SPOIL + FAIL},
    "in the second, when the first is done": {"control": SPOIL, "events": SPOIL_EVENTS + FAIL},
}


@pytest.mark.parametrize("case", CASES)
def test_a_migration_that_fails_half_way_leaves_everything_as_it_was(
    old: tuple[Place, str], tmp_path: Path, case: str
) -> None:
    place, url = old
    before = everything(url)
    more = migrations(tmp_path / "more", **CASES[case])
    with pytest.raises(RunError, match=r"refused a statement.*is as it was before"):
        setup.open_store(place, url, more_migrations=more)
    after = everything(url)
    after.pop("control half_made", None)  # a table that no version of ours knows is left alone
    after.pop("events half_made", None)  # on PostgreSQL both are one database
    assert after == before
    assert len(list(place.backups.glob("before-upgrade-*.zip"))) == 1
    # The version before opens it and goes on; the next upgrade, with nothing wrong, comes through with everything.
    store, upgrade = setup.open_store(place, url)
    assert upgrade is not None
    assert upgrade.versions == OLD
    with store:
        organisation = store.organisation("Example")
        (account,) = organisation.accounts.list()
        assert account.address == "anna@example.org"
        assert [device.name for device in organisation.devices.list()] == ["Phone"]
        assert [event.id for event in organisation.events.query()] == ["e1"]
        assert store.audit.verify(lambda payload, sign: sign == payload[-8:]) == []
    assert versions(url) == HEADS
    # And taken back after it had come through, as where nothing stands afterwards.
    assert setup.roll_back(place, url, upgrade).endswith(f"as it was before (backup: {upgrade.backup}).")
    after = everything(url)
    after.pop("control half_made", None)
    after.pop("events half_made", None)
    assert after == before


def versions(url: str) -> dict[str, str]:
    found = {}
    for lineage, database in databases(url):
        with database.read(EVERYWHERE) as conn:
            found[lineage] = version(conn, lineage)
    return found


@pytest.mark.peer("postgresql")
def test_what_others_keep_in_the_database_stays(postgresql: PostgreSql, tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    url = database_of(postgresql, f"upgrade_{next(NUMBERS)}")
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE somebodys (id integer)")
        conn.exec_driver_sql("INSERT INTO somebodys VALUES (7)")
    setup.open_store(place, url)[0].close()
    for lineage, database in databases(url):
        move(database, lineage, "0001")
    store, upgrade = setup.open_store(place, url)
    store.close()
    assert upgrade is not None
    # A view of somebody's upon a table of ours: it is not torn down, and the backup is named.
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE VIEW theirs AS SELECT address FROM accounts")
    assert f"the backup from before is {upgrade.backup}" in setup.roll_back(place, url, upgrade)
    assert versions(url) == HEADS  # nothing by halves
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP VIEW theirs")
    assert "is as it was before" in setup.roll_back(place, url, upgrade)
    assert versions(url) == OLD
    with engine.connect() as conn:
        assert conn.exec_driver_sql("SELECT id FROM somebodys").all() == [(7,)]
    engine.dispose()


def test_only_the_newest_backups_of_upgrades_are_kept(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    setup.prepare_data(place, "")
    url = store_url(place, Config())
    setup.open_store(place, url)[0].close()
    names = [f"before-upgrade-2026010{n}T000000Z{more}.zip" for n in (1, 2) for more in ("", "-2", "-10")]
    persons = ["20260101T000000Z.zip", "before-upgrade-mine.zip", "notes.txt"]
    for name in (*names, *persons):
        (place.backups / name).write_bytes(b"x")
    schema(place.data, "0001")
    store, upgrade = setup.open_store(place, url, keep=Config().store.keep_upgrade_backups)
    store.close()
    assert upgrade is not None
    kept = {upgrade.backup.name, names[5], names[4], names[3], names[2]}
    assert {path.name for path in place.backups.iterdir()} == kept | set(persons)
    setup.prune_backups(place, upgrade.backup, 1)
    assert {path.name for path in place.backups.iterdir()} == {upgrade.backup.name, *persons}


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
