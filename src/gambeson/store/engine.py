"""Connections: how a transaction begins, how durable it is, and for which organisation it counts.

* SQLite: WAL; a writing transaction takes the write lock at its start (BEGIN IMMEDIATE), so that it
  waits in the busy timeout instead of failing half-way; ``synchronous=FULL``: a change that was
  confirmed survives a power cut; files are 0600.
* PostgreSQL: the transaction says for which organisation it speaks (``gambeson.organisation``) and
  row-level security holds it to that, below every statement. Readers see one snapshot
  (REPEATABLE READ).

A Database must be opened after the process has forked: a shared connection corrupts.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from .errors import StoreError, StoreUnreachable, explained
from .urls import Location

EVERYWHERE = "*"  # all organisations; only for the worker's own work, see the callers of it
_WRITING = "gambeson_writing"
_WAL_SECONDS = 0.02  # between two attempts to change a new file's mode


class Database:
    """One SQLite file, or the PostgreSQL database. Threads may share it; processes may not."""

    def __init__(self, engine: Engine, shown: str, path: Path | None) -> None:
        self.shown = shown
        self.path = path
        self.postgresql = engine.dialect.name == "postgresql"
        self.engine = engine
        self._pid = os.getpid()
        self._reading: Engine = engine
        self._writing: Engine = engine
        if self.postgresql:
            self._reading = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        else:
            self._writing = engine.execution_options(**{_WRITING: True})

    @contextmanager
    def read(self, organisation: str) -> Iterator[Connection]:
        """One read transaction: what it sees does not change while it lasts."""
        with self._transaction(self._reading, organisation) as conn:
            yield conn

    @contextmanager
    def write(self, organisation: str) -> Iterator[Connection]:
        """One write transaction: everything or, where an exception passes, nothing."""
        with self._transaction(self._writing, organisation) as conn:
            yield conn

    @contextmanager
    def _transaction(self, engine: Engine, organisation: str) -> Iterator[Connection]:
        if os.getpid() != self._pid:
            raise StoreError("The store was opened by another process: open it after the fork.")
        with explained(self.shown), engine.connect() as conn, conn.begin():
            if self.postgresql:
                # The parametrised form of SET LOCAL.
                conn.execute(
                    sa.text("SELECT set_config('gambeson.organisation', :organisation, true)"),
                    {"organisation": organisation},
                )
            yield conn

    def close(self) -> None:
        """Closes the connections (SQLite folds its WAL into the file with the last one)."""
        self.engine.dispose()


def open_databases(location: Location, *, create: bool, timeout: float) -> tuple[Database, Database]:
    """The control database and the events database (PostgreSQL: the same one twice).

    ``timeout`` is in seconds: how long a writer waits for another. Raises StoreUnreachable.
    """
    if location.url is not None:
        database = Database(_postgresql(location.url, timeout), location.shown, None)
        return database, database
    if location.control is None or location.events is None:
        raise StoreUnreachable("The store has no address.")
    return _open_file(location.control, create, timeout), _open_file(location.events, create, timeout)


def _open_file(path: Path, create: bool, timeout: float) -> Database:
    _secure(path, create)
    return Database(_sqlite(path, timeout), str(path), path)


def _secure(path: Path, create: bool) -> None:
    """Makes the file with mode 0600, or takes other people's rights off it. SQLite gives its
    journal files the mode of the database. A link is refused: the folder is the worker's, and root opens it too."""
    try:
        if create:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        # O_PATH, because closing any other descriptor of a file drops the locks that SQLite holds on it here.
        file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            mode = os.fstat(file).st_mode
            if not stat.S_ISREG(mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if mode & 0o077:
                os.chmod(f"/proc/self/fd/{file}", 0o600)
        finally:
            os.close(file)
    except FileNotFoundError:
        raise StoreUnreachable(
            f"There is no store at {path}: check the data directory, or start gambeson there first."
        ) from None
    except OSError as error:
        raise StoreUnreachable(
            f"The store at {path} cannot be opened for writing: check the path, its owner and its mode."
        ) from error


def _sqlite(path: Path, timeout: float) -> Engine:
    engine = sa.create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": timeout},
        hide_parameters=True,
        pool_timeout=timeout,
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(dbapi: Any, _record: object) -> None:
        dbapi.isolation_level = None  # transactions begin below and nowhere else
        cursor = dbapi.cursor()
        _use_wal(cursor, timeout)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        writing = conn.get_execution_options().get(_WRITING, False)
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _use_wal(cursor: sqlite3.Cursor, timeout: float) -> None:
    """Two that open a new file together both want it alone to change its mode; SQLite then tells one of them "locked"
    at once, whatever its busy timeout. Raises sqlite3.OperationalError."""
    until = time.monotonic() + timeout
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_WAL_SECONDS)


def _postgresql(url: URL, timeout: float) -> Engine:
    milliseconds = int(timeout * 1000)
    try:
        return sa.create_engine(
            url,
            connect_args={
                "connect_timeout": max(2, int(timeout)),
                "options": f"-c lock_timeout={milliseconds} -c timezone=UTC",
                "application_name": "gambeson",
            },
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=timeout,
        )
    except ImportError:
        raise StoreUnreachable(
            "PostgreSQL needs the package psycopg[binary], which is missing: install it, or start ./gambeson."
        ) from None
