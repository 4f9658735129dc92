"""Statements about what belongs to the installation and to no organisation: its staff, and the tokens of its API.

The counterpart of :mod:`.scope`: a :class:`Whole` reaches those tables and refuses all others, so nothing of an
organisation is read or written from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from . import audit
from .engine import EVERYWHERE, Database
from .scope import Change, Scope, Where, told
from .staff_schema import OF_NOBODY


class Whole(Scope):
    """Reads of the installation's tables in one transaction."""

    def _mine(self, table: sa.FromClause) -> Where:
        if table not in OF_NOBODY:
            raise RuntimeError(f"{table} belongs to organisations")
        return sa.true()


class WholeChange(Whole, Change):
    """One change to them. Its audit entries name no organisation, unless said otherwise."""

    def audit_of(self, organisation: str, action: str, subject: str, /, **details: object) -> None:
        """Tells the part of the audit log that is an organisation's (``*``: the installation's)."""
        whose = "" if organisation == EVERYWHERE else organisation
        self.entries.append(audit.draft(self.at, self.by, whose, action, subject, details))

    def _mark(self, table: sa.Table) -> dict[str, str]:
        self._mine(table)
        return {}


class Installed:
    """The base of the stores of the installation's own things."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def _reading(self) -> Iterator[Whole]:
        with self._database.read(EVERYWHERE) as conn:
            yield Whole(conn, "")

    @contextmanager
    def _changing(self, by: str, at: float) -> Iterator[WholeChange]:
        with self._database.write(EVERYWHERE) as conn:
            change = WholeChange(conn, "", by, at)
            with told(change):
                yield change
