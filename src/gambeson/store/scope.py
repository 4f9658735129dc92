"""The one place where statements are built, each with the condition "of this organisation".

A :class:`Scope` reads, a :class:`Change` also writes; both know their organisation and put it into
every statement, so that no caller can forget it, or give another one. Whatever a Change does, it has
to tell the audit log in the same transaction, or the transaction fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from . import audit, plain, schema
from .audit_verify import Tip
from .engine import Database
from .errors import Conflict

Where = sa.ColumnElement[bool]
MAX_ROWS = 100_000


def owner(table: sa.FromClause) -> sa.ColumnElement[str]:
    """The column that says whose a row is."""
    return table.c.id if table is schema.organisations else table.c.organisation


class Scope:
    """Reads of one organisation in one transaction."""

    def __init__(self, conn: Connection, organisation: str) -> None:
        self.conn = conn
        self.organisation = organisation

    def rows(
        self,
        table: sa.Table,
        *where: Where,
        order: Sequence[sa.ColumnElement[Any]] = (),
        limit: int = MAX_ROWS,
        offset: int = 0,
    ) -> Sequence[sa.Row[Any]]:
        """The organisation's rows that fit."""
        query = sa.select(table).where(self._mine(table), *where).order_by(*order)
        return self.conn.execute(query.limit(min(limit, MAX_ROWS)).offset(offset)).all()

    def one(self, table: sa.Table, *where: Where) -> sa.Row[Any] | None:
        """The organisation's row that fits, or None."""
        query = sa.select(table).where(self._mine(table), *where).limit(1)
        return self.conn.execute(query).one_or_none()

    def highest(self, column: sa.Column[int]) -> int:
        """The largest value in the organisation's rows; 0 where there are none."""
        query = sa.select(sa.func.max(column)).where(self._mine(column.table))
        return int(self.conn.execute(query).scalar() or 0)

    def _mine(self, table: sa.FromClause) -> Where:
        return owner(table) == self.organisation


class Change(Scope):
    """One change by somebody at some time: statements, and the audit entries that tell of them."""

    def __init__(self, conn: Connection, organisation: str, by: str, at: float) -> None:
        super().__init__(conn, organisation)
        self.by = plain.text(by, "name of who does it", 200, empty=False)
        self.at = plain.moment(at)
        self.entries: list[audit.AuditEntry] = []
        self.touched = False

    def insert(self, table: sa.Table, taken: str = "", **values: Any) -> None:
        """Inserts a row of the organisation. ``taken`` is the sentence where its key is in use."""
        row = values | self._mark(table)
        self.touched = True
        try:
            self.conn.execute(sa.insert(table).values(**row))
        except IntegrityError as error:
            raise Conflict(taken or "This is already there.") from error

    def update(self, table: sa.Table, *where: Where, taken: str = "", **values: Any) -> int:
        """Updates the organisation's rows that fit; gives how many they were."""
        self.touched = True
        try:
            done = self.conn.execute(sa.update(table).where(self._mine(table), *where).values(**values))
        except IntegrityError as error:
            raise Conflict(taken or "This is already there.") from error
        return done.rowcount

    def delete(self, table: sa.Table, *where: Where) -> int:
        """Deletes the organisation's rows that fit; gives how many they were."""
        self.touched = True
        return self.conn.execute(sa.delete(table).where(self._mine(table), *where)).rowcount

    def audit(self, action: str, subject: str, **details: object) -> None:
        """Tells the audit log. ``details`` are plain JSON values and never a secret."""
        self.entries.append(audit.draft(self.at, self.by, self.organisation, action, subject, details))

    def unaudited(self) -> None:
        """Says that this is no act to audit: a finding seen again, a job's progress."""
        self.touched = False

    def _mark(self, table: sa.Table) -> dict[str, str]:
        return {owner(table).name: self.organisation}


@contextmanager
def changing(database: Database, organisation: str, by: str, at: float) -> Iterator[Change]:
    """One change to an organisation's things; see :func:`told`."""
    with database.write(organisation) as conn:
        change = Change(conn, organisation, by, at)
        with told(change):
            yield change


@contextmanager
def told(change: Change) -> Iterator[None]:
    """One change: the statements, their audit entries and the change counter, or nothing of it.

    The installation's row is locked first: changes happen one after the other, which is what a
    chain needs, and what makes look-before-insert safe.
    """
    conn = change.conn
    row = conn.execute(sa.select(schema.installation).with_for_update()).one()
    yield
    if change.touched and not change.entries:
        raise RuntimeError("a change that does not tell the audit log")
    tip = audit.append(conn, Tip(row.audit_count, row.audit_hash, row.name), change.entries)
    conn.execute(
        sa.update(schema.installation).values(
            change_counter=row.change_counter + 1, audit_count=tip.count, audit_hash=tip.hash
        )
    )


class Scoped:
    """The base of the stores of one organisation's things."""

    def __init__(self, database: Database, organisation: str) -> None:
        self._database = database
        self._organisation = organisation

    @contextmanager
    def _reading(self) -> Iterator[Scope]:
        with self._database.read(self._organisation) as conn:
            yield Scope(conn, self._organisation)

    @contextmanager
    def _changing(self, by: str, at: float) -> Iterator[Change]:
        with changing(self._database, self._organisation, by, at) as change:
            yield change
