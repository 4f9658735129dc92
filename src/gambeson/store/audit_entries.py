"""Looking things up in the audit log: by who, what, whom and when; and reading it through.

One class for the part of one organisation and for the whole log. It only reads: what is written there, and whether it
is whole, is the matter of :mod:`.audit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from . import plain, schema
from .audit import AuditEntry, entry
from .engine import EVERYWHERE
from .scope import Scoped, Where

MAX_PAGE = 1_000
MAX_QUERY = 200


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries. ``by`` is looked for anywhere in the name of who did it, ``action`` is how the act's word begins
    (``finding.`` is every act on findings), ``subject`` is the whole word of what it was done to. ``since`` is
    inclusive, ``until`` exclusive (0: no end); ``organisation`` narrows the whole log."""

    by: str = ""
    action: str = ""
    subject: str = ""
    since: float = 0.0
    until: float = 0.0
    organisation: str = ""


class AuditEntries(Scoped):
    """The entries of ``organisation`` (its id), or with :data:`EVERYWHERE` all."""

    def search(
        self, query: AuditQuery | None = None, *, before: int = 0, limit: int = 50
    ) -> Sequence[AuditEntry]:
        """Those that fit, newest first; ``before`` a number to page on. Raises BadValue."""
        table = schema.audit
        where = self._where(query or AuditQuery())
        if before:
            where.append(table.c.seq < before)
        asked = sa.select(table).where(*where).order_by(table.c.seq.desc()).limit(min(limit, MAX_PAGE))
        with self._database.read(self._organisation) as conn:
            return [entry(row) for row in conn.execute(asked)]

    def get(self, seq: int) -> AuditEntry | None:
        """The entry with this number, or None where it is another organisation's or there is none."""
        table = schema.audit
        asked = sa.select(table).where(*self._where(AuditQuery()), table.c.seq == seq)
        with self._database.read(self._organisation) as conn:
            row = conn.execute(asked).one_or_none()
        return entry(row) if row is not None else None

    def forward(self, query: AuditQuery | None = None) -> Iterator[AuditEntry]:
        """Every entry that fits, oldest first. Read page by page, so that nobody waits for whoever reads slowly. Raises
        BadValue."""
        table, where, last = schema.audit, self._where(query or AuditQuery()), -1
        while True:
            asked = sa.select(table).where(*where, table.c.seq > last).order_by(table.c.seq).limit(MAX_PAGE)
            with self._database.read(self._organisation) as conn:
                found = [entry(row) for row in conn.execute(asked)]
            yield from found
            if len(found) < MAX_PAGE:
                return
            last = found[-1].seq

    def _where(self, query: AuditQuery) -> list[Where]:
        table, where = schema.audit, list[Where]()
        for name in ("by", "action", "subject", "organisation"):
            plain.text(getattr(query, name), f"{name} that is looked for", MAX_QUERY)
        if self._organisation != EVERYWHERE:
            where.append(table.c.organisation == self._organisation)
        if query.organisation:
            where.append(table.c.organisation == query.organisation)
        if query.by:
            where.append(table.c.by.icontains(query.by, autoescape=True))
        if query.action:
            where.append(table.c.action.startswith(query.action, autoescape=True))
        if query.subject:
            where.append(table.c.subject == query.subject)
        if query.since:
            where.append(table.c.at >= query.since)
        if query.until:
            where.append(table.c.at < query.until)
        return where
