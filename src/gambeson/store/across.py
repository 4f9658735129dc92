"""Reads over several organisations at once, for whoever looks after them: counts, modes, what is worst, what is new.

Made by ``Store.across`` with the ids that its caller may read. Every statement has the condition "of one of these", and
on PostgreSQL the transaction names them, so that row-level security holds it to them too. There is no change here. For
no organisations every answer is empty, and the database is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gambeson.model.event import Event
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry

from . import plain, schema
from .engine import EVERYWHERE, Database
from .errors import BadValue
from .event_schema import events
from .events import event_of
from .findings import LIVE, finding_of
from .policy import Bypass, mode_of
from .scope import MAX_ROWS, Where, owner
from .tenant import organisation_in

MAX_ORGANISATIONS = 10_000
DECISIONS = (
    "door.login.allowed",
    "door.login.refused",
    "door.login.failed",
    "door.request.refused",
    "door.request.shielded",
    "door.web.refused",
    "door.eas.refused",
    "door.ews.refused",
    "door.message.refused",
)


class Across:
    """Reads of a set of organisations. Each method is one transaction."""

    def __init__(self, control: Database, events: Database, organisations: Iterable[str]) -> None:
        ids = tuple(dict.fromkeys(organisations))
        if len(ids) > MAX_ORGANISATIONS:
            raise BadValue(f"At most {MAX_ORGANISATIONS} organisations are looked at together.")
        for id in ids:
            checked_id(id)
        self.ids = ids
        self._control, self._events = control, events

    def organisations(self) -> Sequence[Organisation]:
        """The organisations themselves, by name."""
        table, domains = schema.organisations, schema.domains
        named: dict[str, list[str]] = {}
        if not self.ids:
            return []
        with self._control.read(",".join(self.ids)) as conn:
            rows = self._ask(conn, sa.select(table), table, order=[table.c.name_key])
            for row in self._ask(conn, sa.select(domains), domains, order=[domains.c.domain]):
                named.setdefault(row.organisation, []).append(row.domain)
        return [organisation_in(row, tuple(named.get(row.id, ()))) for row in rows]

    def hours(self) -> dict[str, float]:
        """``{organisation: hours a week}`` that each gives to its mail."""
        table = schema.organisations
        return {row.id: float(row.hours_per_week) for row in self._rows(sa.select(table), table)}

    def finding_counts(self) -> dict[str, dict[Severity, int]]:
        """``{organisation: {severity: how many are open}}``; acknowledged ones are open."""
        table = schema.findings
        found: dict[str, dict[Severity, int]] = {id: {} for id in self.ids}
        for whose, severity, count in self._counts(table, table.c.severity, _live()):
            found[whose][Severity(severity)] = count
        return found

    def rule_counts(self) -> dict[str, dict[str, int]]:
        """``{rule: {organisation: how many of it are open}}``: "three of a hundred have y"."""
        table = schema.findings
        found: dict[str, dict[str, int]] = {}
        for whose, rule, count in self._counts(table, table.c.rule, _live()):
            found.setdefault(rule, {})[whose] = count
        return found

    def account_counts(self) -> dict[str, dict[str, int]]:
        """``{organisation: {"enabled" or "disabled": how many accounts}}``."""
        table = schema.accounts
        found: dict[str, dict[str, int]] = {id: {} for id in self.ids}
        for whose, enabled, count in self._counts(table, table.c.enabled):
            found[whose]["enabled" if enabled else "disabled"] = count
        return found

    def device_counts(self) -> dict[str, dict[str, int]]:
        """``{organisation: {state: how many devices}}``."""
        table = schema.devices
        found: dict[str, dict[str, int]] = {id: {} for id in self.ids}
        for whose, state, count in self._counts(table, table.c.state):
            found[whose][state] = count
        return found

    def policy_versions(self) -> dict[str, int]:
        """``{organisation: the active version of its policy}``; 0: the one that Gambeson brings."""
        table = schema.organisations
        return {row.id: int(row.policy_version) for row in self._rows(sa.select(table), table)}

    def modes(self) -> dict[str, Sequence[ModeEntry]]:
        """``{organisation: its entries}``; look at their ``until``."""
        table, found = schema.modes, {id: list[ModeEntry]() for id in self.ids}
        for row in self._rows(sa.select(table), table, order=[table.c.door, table.c.group_name]):
            found[row.organisation].append(mode_of(row))
        return dict(found)

    def bypasses(self, at: float) -> dict[str, Bypass]:
        """``{organisation: the emergency bypass that is open at that time}``; others are not named."""
        table = schema.bypasses
        rows = self._rows(sa.select(table), table, table.c.until > at)
        return {row.organisation: Bypass(**row._mapping) for row in rows}

    def findings(
        self,
        states: Sequence[FindingState] = LIVE,
        at_least: Severity = Severity.INFO,
        *,
        limit: int = 1_000,
        offset: int = 0,
    ) -> Sequence[Finding]:
        """Findings in one of ``states``, the worst first, then the newest; each says whose it is."""
        table = schema.findings
        where = (table.c.state.in_([str(s) for s in states]), table.c.severity >= int(at_least))
        order = [table.c.severity.desc(), table.c.last_seen.desc(), table.c.id]
        return [
            finding_of(row)
            for row in self._rows(sa.select(table), table, *where, order=order, limit=limit, offset=offset)
        ]

    def decision_counts(
        self, since: float, until: float = 0.0, kinds: Sequence[str] = DECISIONS
    ) -> dict[tuple[str, str, str], int]:
        """``{(organisation, door, kind): how many}`` of the doors' decisions since then; ``until`` is exclusive, 0
        means no end."""
        where = [events.c.at >= since, events.c.kind.in_(list(kinds))]
        if until:
            where.append(events.c.at < until)
        key = (events.c.organisation, events.c.door, events.c.kind)
        query = sa.select(*key, sa.func.count().label("n")).group_by(*key)
        rows = self._rows(query, events, *where)
        return {(row.organisation, row.door, row.kind): int(row.n) for row in rows}

    def recent(self, kinds: Sequence[str] = (), since: float = 0.0, limit: int = 100) -> Sequence[Event]:
        """Events since then, newest first; of these kinds, where some are given. Without a time, those of many
        organisations are all read to find the newest."""
        where = [events.c.at >= since]
        if kinds:
            where.append(events.c.kind.in_(list(kinds)))
        order = [events.c.at.desc(), events.c.id.desc()]
        return [
            event_of(row) for row in self._rows(sa.select(events), events, *where, order=order, limit=limit)
        ]

    def _counts(self, table: sa.Table, by: sa.Column[Any], *where: Where) -> Iterator[tuple[str, Any, int]]:
        key, n = (table.c.organisation, by.label("by")), sa.func.count().label("n")
        query = sa.select(*key, n).group_by(table.c.organisation, by)
        return ((row.organisation, row.by, int(row.n)) for row in self._rows(query, table, *where))

    def _rows(
        self, query: sa.Select[Any], table: sa.Table, *where: Where, **more: Any
    ) -> Sequence[sa.Row[Any]]:
        if not self.ids:
            return []
        database = self._events if table is events else self._control
        with database.read(",".join(self.ids)) as conn:
            return self._ask(conn, query, table, *where, **more)

    def _ask(
        self,
        conn: Connection,
        query: sa.Select[Any],
        table: sa.Table,
        *where: Where,
        order: Sequence[sa.ColumnElement[Any]] = (),
        limit: int = MAX_ROWS,
        offset: int = 0,
    ) -> Sequence[sa.Row[Any]]:
        """The rows of ``table`` that fit and are of one of the organisations: the one place that asks."""
        whole = query.where(owner(table).in_(self.ids), *where).order_by(*order)
        return conn.execute(whole.limit(min(limit, MAX_ROWS)).offset(offset)).all()


def checked_id(id: str) -> str:
    """``id`` where it can name one organisation and nothing else in a transaction's list. Raises BadValue."""
    if not id or "," in id or id == EVERYWHERE:
        raise BadValue(f"{id[:80]!a} is not the id of an organisation.")
    return plain.text(id, "organisation's id", 64)


def _live() -> Where:
    return schema.findings.c.state.in_([str(s) for s in LIVE])
