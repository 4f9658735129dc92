"""Schema versions: is this store current, too old, or too new, and how it gets there.

Two lineages, ``control`` and ``events``, each with its own version table. Opening a current store
only compares one word by plain SQL; Alembic is imported when something has to change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .engine import EVERYWHERE, Database
from .errors import SchemaNewer, SchemaOlder

HEADS: Final = {"control": "0008", "events": "0004"}
_ADVISORY_LOCK = 0x67616D62  # "gamb": two processes that start together migrate one after the other


def version(conn: Connection, lineage: str) -> str:
    """The schema version of a lineage in this database; empty where there is none yet."""
    name = f"schema_{lineage}"
    if not sa.inspect(conn).has_table(name):
        return ""
    table = sa.table(name, sa.column("version_num"))
    return str(conn.execute(sa.select(table.c.version_num)).scalar() or "")


def ensure(database: Database, lineage: str, *, migrate: bool, more: Path | None = None) -> None:
    """Brings a lineage to this Gambeson's version, and beyond it to ``more``. Raises SchemaNewer, SchemaOlder."""
    with database.read(EVERYWHERE) as conn:
        found = version(conn, lineage)
    check(found, lineage, database.shown)
    if found == HEADS[lineage] and more is None:
        return
    if not migrate:
        raise SchemaOlder(
            f"The store at {database.shown} has schema {found or 'none'} and this Gambeson needs"
            f" {HEADS[lineage]}: run gambeson up once, it takes a backup and upgrades."
        )
    move(database, lineage, "head", more=more)


def check(found: str, lineage: str, shown: str) -> None:
    """Raises SchemaNewer where ``found`` is not a version that this Gambeson knows."""
    known = found == "" or (found.isdigit() and int(found) <= int(HEADS[lineage]))
    if not known:
        raise SchemaNewer(
            f"The store at {shown} was written by a newer Gambeson (schema {found}, this one knows"
            f" {HEADS[lineage]}): install that version again, or restore a backup made before it."
        )


def move(database: Database, lineage: str, target: str, *, more: Path | None = None) -> None:
    """Migrates to ``target`` ("head", "base" or a version), up or down, in one transaction. ``more``: a folder with
    migrations that follow ours; how a test has one that fails half way."""
    with database.write(EVERYWHERE) as conn:
        lock(conn)
        check(version(conn, lineage), lineage, database.shown)
        move_within(conn, lineage, target, more=more)


def lock(conn: Connection) -> None:
    """Until the transaction's end nobody else migrates. SQLite's writer is alone anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def move_within(conn: Connection, lineage: str, target: str, *, more: Path | None = None) -> None:
    """As :func:`move`, in a transaction of the caller's, who has looked at the version."""
    from alembic import command
    from alembic.config import Config

    locations = [f"gambeson.store.migrations:{lineage}", *([str(more)] if more is not None else [])]
    config = Config()
    config.set_main_option("script_location", "gambeson.store:migrations")
    config.set_main_option("version_locations", "\n".join(locations))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = conn
    config.attributes["version_table"] = f"schema_{lineage}"
    up = target == "head" or (target.isdigit() and int(target) >= int(version(conn, lineage) or "0"))
    (command.upgrade if up else command.downgrade)(config, target)
