"""What can go wrong with the store, each as one sentence that says what, where and what to do.

Callers show ``str(error)`` as it is. The database's own words (which may quote values) stay in
``__cause__`` and are never shown. ``usage`` is true where the caller asked for something that cannot
be (command line: exit 2), false where the store could not be used (exit 3).
"""

# ruff: noqa: N818 - the names say what happened, and read so where they are caught

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc


class StoreError(Exception):
    """The base of all. Raised itself only where no narrower class says more."""

    usage = False


class StoreLocked(StoreError):
    """Another process held the write lock for longer than the timeout."""


class StoreFull(StoreError):
    """The disk (or the quota) behind the store is full. Nothing was changed."""


class StoreUnreachable(StoreError):
    """The file cannot be opened or written, or the server does not answer."""


class StoreDamaged(StoreError):
    """The file is not a database any more, or a backup archive is not whole."""


class SchemaNewer(StoreError):
    """A newer Gambeson has written this store."""


class SchemaOlder(StoreError):
    """The schema is older than this Gambeson needs and the caller did not allow migrating."""


class NotFound(StoreError):
    """No such thing in this organisation (whether another organisation has it is never told)."""

    usage = True


class Conflict(StoreError):
    """The name, domain or address is taken, or the thing is in use."""

    usage = True


class BadValue(StoreError):
    """A value that cannot be stored: too long, not an address, no such state ..."""

    usage = True


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turns the database's exceptions into StoreErrors about the store at ``where``."""
    try:
        yield
    except StoreError:
        raise
    except exc.TimeoutError as error:
        raise StoreLocked(f"The store at {where} is busy: try again in a moment.") from error
    except exc.IntegrityError as error:
        raise Conflict("This is already there, or something else still refers to it.") from error
    except exc.DBAPIError as error:
        raise explain(error.orig, where) from error
    except sqlite3.Error as error:
        raise explain(error, where) from error


def explain(error: BaseException | None, where: str) -> StoreError:
    """The StoreError for a driver's exception (sqlite3 or psycopg)."""
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, sqlite3.Error):
        return _explain_sqlite(error, where)
    if sqlstate in ("53100", "53200"):
        return StoreFull(f"The disk of the database at {where} is full: make room, nothing was changed.")
    if sqlstate in ("55P03", "40P01", "40001", "57014"):
        return StoreLocked(f"The database at {where} is locked by another process: try again in a moment.")
    if sqlstate is None or sqlstate[:2] in ("08", "28", "3D", "57", "53"):
        return StoreUnreachable(
            f"The database at {where} cannot be reached: check that it runs and that the address, user and"
            " database name are right."
        )
    return StoreError(f"The database at {where} refused a statement (code {sqlstate}): see its log.")


def _explain_sqlite(error: sqlite3.Error, where: str) -> StoreError:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreLocked(
            f"The store at {where} is locked by another process: wait for it to end and try again."
        )
    if name.startswith("SQLITE_FULL"):
        return StoreFull(f"The disk with the store at {where} is full: make room, nothing was changed.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreUnreachable(
            f"The store at {where} cannot be opened for writing: check the path, its owner and its mode."
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreDamaged(f"The store at {where} is damaged: restore the last backup (gambeson restore).")
    if name.startswith("SQLITE_IOERR"):
        return StoreUnreachable(f"The disk with the store at {where} gives errors: check the disk.")
    return StoreError(f"The store at {where} refused a statement ({name or 'unknown error'}).")
