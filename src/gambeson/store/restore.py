"""Restoring a backup: all of it, or nothing, and the old state is kept aside.

The archive is unpacked and examined beside the data directory, then the two change places by
renaming. Gambeson must be stopped meanwhile; the command line sees to that. Sessions of the portal and of the console
that were open in the backup are over in what is restored; binding codes, links of staff and break-glass codes are good
no more.
"""

from __future__ import annotations

import hmac
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import migrate
from .archive import MAX_BYTES, Archive, Manifest, open_archive
from .engine import EVERYWHERE, open_databases
from .errors import BadValue, Conflict, StoreDamaged, StoreUnreachable, explained
from .event_schema import events_metadata
from .schema import control_metadata
from .urls import CONTROL_FILE, EVENTS_FILE, STORE_FOLDER, locate

DATABASES = (CONTROL_FILE, EVENTS_FILE)
WORKERS = (STORE_FOLDER, "playground/mail")  # what in a data directory may belong to another than its starter

_FORGOTTEN = {
    "web_sessions": (
        "UPDATE web_sessions SET ended_at = :now, end_reason = 'restored from a backup' WHERE ended_at = 0"
    ),
    "binding_codes": "DELETE FROM binding_codes",
    "staff_sessions": (
        "UPDATE staff_sessions SET ended_at = :now, end_reason = 'restored from a backup' WHERE ended_at = 0"
    ),
    "staff_links": "DELETE FROM staff_links",
    "break_glass_codes": "UPDATE break_glass_codes SET ended = 'void', ended_at = :now WHERE ended = ''",
    "idempotency_keys": "DELETE FROM idempotency_keys",
}


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored; ``aside`` is where the old data directory lies now (None: there was none)."""

    manifest: Manifest
    aside: Path | None = None


def restore(
    source: Path,
    data_dir: Path,
    *,
    force: bool = False,
    keep: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
) -> Restored:
    """Restores a SQLite backup into ``data_dir``.

    A data directory with something in it is replaced only with ``force``, and kept aside. ``keep``
    names entries of the old one (the keeper's key) that are copied over where the backup has none.
    Raises BadValue, Conflict, StoreDamaged, SchemaNewer, StoreUnreachable, StoreFull.
    """
    target = data_dir.resolve()
    with open_archive(source, max_bytes=max_bytes) as archive:
        _check_kind(archive, "sqlite", source)
        occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
        if occupied and not force:
            raise Conflict(f"{target} is not empty: give --force to replace it (it is kept aside).")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=".gambeson-restore-", dir=target.parent))
            try:
                _unpack(archive, work)
                if occupied:
                    _take_over(target, work, keep)
                aside = _swap(work, target, occupied)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise StoreUnreachable(
                f"{target} could not be restored ({error.strerror}): nothing was changed."
            ) from error
        return Restored(archive.manifest, aside)


def restore_databases(source: Path, folder: Path) -> None:
    """Put only the two SQLite databases of the backup into ``folder``, in place. All is unpacked and examined within
    the data directory (``folder``'s parent), so that neither it nor what lies around it is moved or written: under a
    service manager its parent may be read-only, and itself a mount point. As root they get the owner of ``folder``.

    Raises BadValue, StoreDamaged, SchemaNewer, StoreUnreachable.
    """
    with open_archive(source) as archive:
        _check_kind(archive, "sqlite", source)
        try:
            owner = folder.lstat()
            if not stat.S_ISDIR(owner.st_mode):
                raise BadValue(f"{folder} is no folder: move it away.")
            work = Path(tempfile.mkdtemp(prefix=".gambeson-restore-", dir=folder.parent))
            try:
                for name in DATABASES:
                    _extract(archive, name, work / name)
                _examine(work)
                for name in reversed(DATABASES):  # the control database last, which says what the store is
                    if os.geteuid() == 0:
                        os.chown(work / name, owner.st_uid, owner.st_gid)
                    for end in (
                        "-wal",
                        "-shm",
                        "-journal",
                    ):  # of what is replaced: they would be played into it
                        (folder / f"{name}{end}").unlink(missing_ok=True)
                    os.replace(work / name, folder / name)
                _settle(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise StoreUnreachable(f"{folder} could not be restored ({error.strerror}).") from error


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def restore_postgresql(source: Path, url: str, *, timeout: float = 30.0) -> Restored:
    """Restores a PostgreSQL backup into an empty database. Files beside the tables are not restored.

    Raises BadValue, Conflict (database not empty), StoreDamaged, SchemaNewer and the like.
    """
    with open_archive(source) as archive:
        _check_kind(archive, "postgresql", source)
        database, _ = open_databases(locate(url), create=False, timeout=timeout)
        try:
            if not database.postgresql:
                raise BadValue(f"The backup {source} is of a PostgreSQL store: give a postgresql:// address.")
            with database.write(EVERYWHERE) as conn:
                migrate.lock(conn)
                _require_empty(conn, database.shown)
                _make(conn, archive)
                for statement in _forgotten(set(sa.inspect(conn).get_table_names())):
                    conn.execute(sa.text(statement), {"now": time.time()} if ":now" in statement else {})
            for lineage in migrate.HEADS:
                migrate.ensure(database, lineage, migrate=True)
        finally:
            database.close()
        return Restored(archive.manifest)


def put_back_postgresql(source: Path, url: str, *, timeout: float = 30.0) -> None:
    """Put the backup in the place of the store that is in the database, in its own schema version and in one
    transaction: all of it, or nothing changes. Tables that are not Gambeson's stay.

    Raises BadValue, StoreDamaged, SchemaNewer, StoreUnreachable.
    """
    with open_archive(source) as archive:
        _check_kind(archive, "postgresql", source)
        database, _ = open_databases(locate(url), create=False, timeout=timeout)
        try:
            with database.write(EVERYWHERE) as conn:
                migrate.lock(conn)
                _drop_ours(conn)
                _make(conn, archive)
        finally:
            database.close()


def _drop_ours(conn: Connection) -> None:
    """By name and not by migrating down, which would need the half-made state to be one that a migration knows."""
    import psycopg
    from psycopg import sql

    there = set(sa.inspect(conn).get_table_names())
    ours = {f"schema_{lineage}" for lineage in migrate.HEADS}
    ours |= {*control_metadata.tables, *events_metadata.tables}
    names = sorted(ours & there)
    if names:
        driver: Any = conn.connection.driver_connection
        with driver.cursor() as cursor:
            try:
                cursor.execute(
                    sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(map(sql.Identifier, names)))
                )
            except psycopg.Error as error:
                why = " ".join(str(error).split())[:300]
                raise StoreUnreachable(f"What is there cannot be removed: {why}") from error


def _make(conn: Connection, archive: Archive) -> None:
    for lineage in migrate.HEADS:
        migrate.move_within(conn, lineage, archive.manifest.schema[lineage])
    _copy_in(conn, archive)


def restore_files(source: Path, data_dir: Path, *, kind: str = "") -> tuple[str, ...]:
    """Unpack the files beside the databases (keys, certificates) whose folder ``data_dir`` does not have yet, or has
    empty; gives their names. What is there is never touched. ``kind``: the store the backup must be of.
    Raises BadValue, Conflict (another master key is there), StoreDamaged, StoreUnreachable."""
    made: list[str] = []
    with open_archive(source) as archive:
        if kind:
            _check_kind(archive, kind, source)
        _same_key(archive, data_dir)
        names = [name for name in archive.manifest.files if name.startswith("files/")]
        inside = {name: name.removeprefix("files/") for name in names}
        present = {top for top in (n.partition("/")[0] for n in inside.values()) if _has(data_dir / top)}
        for name, relative in inside.items():
            if relative.partition("/")[0] in present or relative.startswith(f"{STORE_FOLDER}/"):
                continue
            path = data_dir / relative
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                    archive.extract(name, out)
            except OSError as error:
                raise StoreUnreachable(f"{path} could not be restored ({error.strerror}).") from error
            made.append(relative)
    return tuple(made)


def _has(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


def _same_key(archive: Archive, data_dir: Path) -> None:
    """The backup's secrets open only with its own master key."""
    name, there = "files/keeper/master.key", data_dir / "keeper" / "master.key"
    if name not in archive.manifest.files or not os.path.lexists(there):
        return
    try:
        same = hmac.compare_digest(there.read_bytes(), b"".join(archive.chunks(name)))
    except OSError as error:
        raise StoreUnreachable(f"{there} cannot be read ({error.strerror}).") from error
    if not same:
        raise Conflict(
            f"{there} is not the master key of this backup: move {there.parent} aside, or restore elsewhere."
        )


def _check_kind(archive: Archive, kind: str, source: Path) -> None:
    manifest = archive.manifest
    if manifest.kind != kind:
        raise BadValue(f"The backup {source} is of a {manifest.kind!a} store, not of {kind}.")
    wanted = (
        {CONTROL_FILE, EVENTS_FILE} if kind == "sqlite" else {f"tables/{t}.copy" for t in manifest.tables}
    )
    if (
        not wanted
        or not wanted <= set(manifest.files)
        or set(manifest.schema) != set(migrate.HEADS)
        or "" in manifest.schema.values()
    ):
        raise StoreDamaged(f"The backup {source} cannot be used: a database is missing in it.")
    for lineage, version in manifest.schema.items():
        migrate.check(version, lineage, str(source))


def _unpack(archive: Archive, work: Path) -> None:
    for name in archive.manifest.files:
        path = work / (f"{STORE_FOLDER}/{name}" if name in DATABASES else name.removeprefix("files/"))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _extract(archive, name, path)
    _examine(work / STORE_FOLDER)
    with explained(CONTROL_FILE), closing(sqlite3.connect(work / STORE_FOLDER / CONTROL_FILE)) as conn:
        there = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        with conn:
            for statement in _forgotten(there):
                conn.execute(statement, {"now": time.time()})


def _forgotten(there: Collection[str]) -> list[str]:
    """What was in force when the backup was made and must not be again: a session may have been ended since, a code or
    a link used. Ended and not deleted, so that snapshots name them while a token of theirs may be in force."""
    return [statement for table, statement in _FORGOTTEN.items() if table in there]


def _extract(archive: Archive, name: str, path: Path) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        archive.extract(name, out)
        out.flush()
        os.fsync(out.fileno())


def _examine(folder: Path) -> None:
    for name in DATABASES:
        path = folder / name
        with explained(str(path)), closing(sqlite3.connect(path)) as conn:
            if conn.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise StoreDamaged(f"The backup cannot be used: {name} in it is damaged.")


def _take_over(old: Path, work: Path, keep: Sequence[str]) -> None:
    """Copies what shall be kept, and gives everything its owner: what the worker writes whom it belonged to, all else
    the starter. Where the databases are the worker's and the keys root's, they must not all become the worker's."""
    for name in keep:
        entry, new = old / name, work / name
        if not entry.exists() or new.exists():
            continue
        if entry.is_dir():
            shutil.copytree(entry, new, symlinks=True)
        else:
            shutil.copy2(entry, new)
    if os.geteuid() != 0:
        return
    house = old / "run" if (old / "run").exists() else old  # whoever starts it made that folder
    _give(work, house)
    for name in WORKERS:
        earlier = old / CONTROL_FILE if name == STORE_FOLDER else old  # a store before it had a folder
        before = next((path for path in (old / name, earlier) if os.path.lexists(path)), house)
        if (work / name).exists():
            _give(work / name, before)
    passage = (work, *(path for path in (work / "playground",) if path.exists()))
    for folder in passage:  # the worker's way to its folders
        os.chown(folder, -1, old.stat().st_gid)
        folder.chmod(0o700 | old.stat().st_mode & 0o010)


def _give(path: Path, like: Path) -> None:
    owner = like.lstat()
    for each in (path, *path.rglob("*")):
        os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _swap(work: Path, target: Path, occupied: bool) -> Path | None:
    if not occupied:
        work.rename(target)  # onto an empty directory, or none
        return None
    number = 1
    while (aside := target.with_name(f"{target.name}.before-restore-{number}")).exists():
        number += 1
    target.rename(aside)
    try:
        work.rename(target)
    except OSError:
        aside.rename(target)
        raise
    return aside


def _require_empty(conn: Connection, shown: str) -> None:
    if any(migrate.version(conn, lineage) for lineage in migrate.HEADS):
        raise Conflict(f"The database {shown} has a store in it: make an empty one and restore there.")


def _copy_in(conn: Connection, archive: Archive) -> None:
    import psycopg
    from psycopg import sql

    inspector = sa.inspect(conn)
    known = {name: {c["name"] for c in inspector.get_columns(name)} for name in inspector.get_table_names()}
    for table, columns in archive.manifest.tables.items():
        if not columns or not set(columns) <= known.get(table, set()):
            raise StoreDamaged(f"The backup cannot be used: it has a table {table!a} of another kind.")
    catalogue = sa.table("pg_class", sa.column("relname"), sa.column("relforcerowsecurity"))
    query = sa.select(catalogue.c.relname).where(
        catalogue.c.relforcerowsecurity, catalogue.c.relname.in_(list(archive.manifest.tables))
    )
    forced = {row.relname for row in conn.execute(query)}
    conn.exec_driver_sql("DELETE FROM installation")
    driver: Any = conn.connection.driver_connection
    with driver.cursor() as cursor:
        for table, columns in archive.manifest.tables.items():
            name = sql.Identifier(table)
            # COPY FROM refuses tables with row-level security even where all rows would pass; the
            # owner may lift it for itself in this transaction, and nobody else sees that.
            if table in forced:
                cursor.execute(sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(name))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                name, sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            try:
                with cursor.copy(statement) as copy:
                    for chunk in archive.chunks(f"tables/{table}.copy"):
                        copy.write(chunk)
            except psycopg.Error as error:
                raise StoreDamaged(f"The backup cannot be used: its table {table} was refused.") from error
        for table in sorted(forced):
            cursor.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(sql.Identifier(table)))
