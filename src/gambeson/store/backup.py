"""Online backup: one archive, consistent, while everything goes on writing.

SQLite copies each database under a read lock (its backup interface); PostgreSQL is read through COPY
in one REPEATABLE READ transaction. The keeper's key is not in a backup unless the caller adds it: a
stolen backup must not open the sealed boxes in it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

import gambeson

from . import migrate
from .archive import Manifest, Member, add_file, add_manifest, add_stream, checked_name
from .control import Store
from .engine import EVERYWHERE
from .errors import BadValue, StoreFull, StoreUnreachable, explained
from .event_schema import events_metadata
from .schema import control_metadata
from .urls import CONTROL_FILE, EVENTS_FILE


def backup(store: Store, target: Path, *, at: float, extra: Mapping[str, Path] | None = None) -> Manifest:
    """Writes a backup to ``target`` (a new file, mode 0600) and says what is in it.

    ``extra`` maps paths relative to the data directory to the files to put there. Raises BadValue
    (target is there, bad name), StoreUnreachable, StoreFull.
    """
    added = {checked_name(f"files/{name}"): path for name, path in (extra or {}).items()}
    if target.exists():
        raise BadValue(f"{target} is there already: choose another name for the backup.")
    try:
        with tempfile.TemporaryDirectory(prefix=".gambeson-backup-", dir=target.parent) as work:
            part = Path(work, "archive")
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "wb") as out:
                with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                    manifest = _write(store, archive, Path(work), at, added)
                out.flush()
                os.fsync(out.fileno())
            os.link(part, target)  # refuses to replace a file that came meanwhile
        _sync_directory(target.parent)
    except FileExistsError:
        raise BadValue(f"{target} is there already: choose another name for the backup.") from None
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise StoreFull(
                f"There is no room for the backup {target}: make room, or write elsewhere."
            ) from error
        where = error.filename or target
        raise StoreUnreachable(f"The backup {target} failed at {where}: {error.strerror}.") from error
    return manifest


def _write(
    store: Store, archive: zipfile.ZipFile, work: Path, at: float, added: Mapping[str, Path]
) -> Manifest:
    files: dict[str, Member] = {}
    tables: dict[str, list[str]] = {}
    count, digest = 0, ""
    if store.control.postgresql:
        kind = "postgresql"
        with store.control.read(EVERYWHERE) as conn:
            schema = {lineage: migrate.version(conn, lineage) for lineage in migrate.HEADS}
            count, digest = _head(conn)
            # Before an upgrade the store is older than we are: what there is is saved, not what we would make.
            inspector = sa.inspect(conn)
            there = set(inspector.get_table_names())
            for metadata in (control_metadata, events_metadata):
                for table in metadata.sorted_tables:
                    if table.name not in there:
                        continue
                    found = {column["name"] for column in inspector.get_columns(table.name)}
                    tables[table.name] = [column.name for column in table.columns if column.name in found]
                    name = f"tables/{table.name}.copy"
                    files[name] = add_stream(archive, name, _copy_out(conn, table.name, tables[table.name]))
    else:
        kind = "sqlite"
        databases = {CONTROL_FILE: store.control, EVENTS_FILE: store.event_database}
        schema = {}
        for (name, database), lineage in zip(databases.items(), migrate.HEADS, strict=True):
            if database.path is None:
                raise StoreUnreachable("The store has no file.")
            copy = work / name
            with explained(database.shown):
                _copy_sqlite(database.path, copy)
                with sqlite3.connect(copy) as conn_copy:
                    schema[lineage] = _one(conn_copy, f"SELECT version_num FROM schema_{lineage}")[0]  # noqa: S608 - two constants
                    if name == CONTROL_FILE:
                        count, digest = _one(conn_copy, "SELECT audit_count, audit_hash FROM installation")
                conn_copy.close()
            files[name] = add_file(archive, name, copy)
            copy.unlink()
    for name, path in added.items():
        files[name] = add_file(archive, name, path)
    manifest = Manifest(
        kind=kind,
        made_at=at,
        gambeson=gambeson.__version__,
        schema=schema,
        audit_count=count,
        audit_hash=digest,
        files=files,
        tables=tables,
    )
    add_manifest(archive, manifest)
    return manifest


def _copy_sqlite(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
    reader = sqlite3.connect(source)
    writer = sqlite3.connect(target)
    try:
        reader.backup(writer)  # all pages in one step: one read lock, nobody waits for it in WAL mode
    finally:
        writer.close()
        reader.close()


def _one(conn: sqlite3.Connection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = conn.execute(query).fetchone()
    return row


def _head(conn: Connection) -> tuple[int, str]:
    row = conn.exec_driver_sql("SELECT audit_count, audit_hash FROM installation").one()
    return row.audit_count, row.audit_hash


def _copy_out(conn: Connection, table: str, columns: list[str]) -> Iterator[bytes]:
    from psycopg import sql

    # A query, because plain COPY TO refuses tables with row-level security.
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )
    driver: Any = conn.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in copy:
            yield bytes(chunk)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
