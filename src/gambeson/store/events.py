"""Events: appended exactly once, asked for by one organisation.

A batch, the place in the spool behind it and the failed guesses that it tells of are one
transaction: after a crash the worker reads on from the stored place and nothing is counted twice or
lost. An event with an id that is there already is dropped, so even a spool that is read again from
its start adds nothing.

A spool is written by a door that faces the internet, so events are hostile input: text is cut to its
limit and cleaned, data that is too large or no JSON is replaced by a note, and no event can stop the
ingestion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gambeson.model.event import REQUEST, Event

from . import plain
from .engine import EVERYWHERE, Database
from .errors import BadValue, Conflict
from .event_schema import cursors, events, failures, requests
from .scope import Scoped

MAX_BATCH = 10_000
MAX_DATA = 16 * 1024
FAILURE_HOURS = 24
# Strangers make names up without end, and a snapshot carries the counts: the highest are what matters.
MAX_SUBJECTS = 20_000
_LIMITS = {
    "id": 128,
    "kind": 100,
    "organisation": 64,
    "account": 64,
    "device": 64,
    "door": 32,
    "source": 64,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A batch was read from ``spool`` between these places (bytes, or whatever the reader counts)."""

    spool: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed guess that event ``event`` tells of: ``subject`` is the account's id, or the canonical
    address where there is no such account (then ``organisation`` may be empty)."""

    event: str
    organisation: str
    subject: str
    at: float


class EventLog:
    """The worker's side: takes in what the doors wrote, for all organisations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, batch: Sequence[Event], cursor: Cursor | None = None, *, failures: Iterable[Failure] = ()
    ) -> int:
        """Stores a batch; gives how many of its events were new. Lines of the request log go to their own table
        (:mod:`.requests`) and are not counted.

        Where the spool's place is already at or past ``cursor.after``, nothing is done. Raises
        Conflict where ``cursor.before`` is not the stored place (somebody else reads that spool).
        """
        if len(batch) > MAX_BATCH:
            raise BadValue(f"A batch has at most {MAX_BATCH} events.")
        with self._database.write(EVERYWHERE) as conn:
            if cursor is not None and not _advance(conn, cursor):
                return 0
            rows, guesses = [_row(event) for event in batch if event.kind != REQUEST], list(failures)
            lines = [_line(event) for event in batch if event.kind == REQUEST]
            if lines:
                conn.execute(_statement(conn, requests, ["at", "id"]), lines)
            if not guesses and conn.dialect.name == "sqlite":
                # Nobody asks which were new: one call for all rows, at half the cost. (PostgreSQL's driver does
                # not count them then.)
                return max(0, conn.execute(_statement(conn), rows).rowcount) if rows else 0
            new = _insert(conn, rows)
            _count(conn, [f for f in guesses if _clean(f.event, _LIMITS["id"]) in new])
        return len(new)

    def cursor(self, spool: str) -> int:
        """The place up to which the spool was taken in; 0 for one that was never seen."""
        with self._database.read(EVERYWHERE) as conn:
            return _position(conn, spool) or 0

    def cursors(self) -> dict[str, int]:
        """The places of all spools that are known."""
        with self._database.read(EVERYWHERE) as conn:
            return {row.spool: int(row.position) for row in conn.execute(sa.select(cursors))}

    def forget_spool(self, spool: str) -> None:
        """Forgets the place of a spool that was taken in whole and deleted."""
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.delete(cursors).where(cursors.c.spool == spool))

    def failures(self, now: float) -> Sequence[tuple[str, int]]:
        """Failed guesses of the last 24 hours for each subject (whole hours, rounded up in time), by subject; of
        more than ``MAX_SUBJECTS`` those with the most."""
        since = _hour(now) - FAILURE_HOURS
        total = sa.func.sum(failures.c.count)
        query = (
            sa.select(failures.c.subject, total)
            .where(failures.c.hour >= since)
            .group_by(failures.c.subject)
            .order_by(total.desc(), failures.c.subject)
            .limit(MAX_SUBJECTS)
        )
        with self._database.read(EVERYWHERE) as conn:
            return sorted((row[0], int(row[1])) for row in conn.execute(query))

    def prune_failures(self, now: float) -> None:
        """Deletes the failed guesses that no longer count."""
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.delete(failures).where(failures.c.hour < _hour(now) - FAILURE_HOURS))

    def recent(self, kind: str, since: float, limit: int = 1_000, until: float = 0.0) -> Sequence[Event]:
        """Events of no organisation (what a door says of a mail server, say) that are of ``kind`` or begin with it,
        newest first; ``until`` is exclusive, 0 means no end."""
        query = (
            sa.select(events)
            .where(events.c.organisation == "", events.c.at >= since)
            .where(sa.or_(events.c.kind == kind, events.c.kind.startswith(kind + ".", autoescape=True)))
            .order_by(events.c.at.desc(), events.c.id.desc())
            .limit(min(limit, MAX_BATCH))
        )
        if until:
            query = query.where(events.c.at < until)
        with self._database.read(EVERYWHERE) as conn:
            return [event_of(row) for row in conn.execute(query)]

    def prune(self, before: float) -> int:
        """Deletes events older than ``before``; gives how many."""
        with self._database.write(EVERYWHERE) as conn:
            return conn.execute(sa.delete(events).where(events.c.at < before)).rowcount


class Events(Scoped):
    """The events of one organisation, to read."""

    def query(
        self,
        *,
        kind: str = "",
        account: str = "",
        device: str = "",
        door: str = "",
        since: float = 0.0,
        until: float = 0.0,
        before: tuple[float, str] | None = None,
        limit: int = 1_000,
        newest_first: bool = True,
    ) -> Sequence[Event]:
        """Events that fit every given condition; ``until`` is exclusive, 0 means no end. ``before`` is time and id of
        one, to page on behind it.

        ``kind`` is a whole kind or the beginning of one: ``door.login`` finds ``door.login.refused``.
        """
        where: list[sa.ColumnElement[bool]] = []
        if kind:
            where.append(sa.or_(events.c.kind == kind, events.c.kind.startswith(kind + ".", autoescape=True)))
        named = ((events.c.account, account), (events.c.device, device), (events.c.door, door))
        where += [column == value for column, value in named if value]
        if since:
            where.append(events.c.at >= since)
        if until:
            where.append(events.c.at < until)
        if before is not None:
            same = sa.and_(events.c.at == before[0], events.c.id < before[1])
            where += [events.c.at <= before[0], sa.or_(events.c.at < before[0], same)]
        order = [events.c.at.desc(), events.c.id.desc()] if newest_first else [events.c.at, events.c.id]
        with self._reading() as scope:
            return [event_of(row) for row in scope.rows(events, *where, order=order, limit=limit)]

    def newest(self) -> float:
        """When the newest event happened; 0 for none."""
        with self._reading() as scope:
            query = sa.select(sa.func.max(events.c.at)).where(events.c.organisation == scope.organisation)
            return float(scope.conn.execute(query).scalar() or 0.0)

    def last_use(self) -> dict[str, tuple[float, str, str]]:
        """When, from where and through which cloud service (its id; empty: none) each device was last let in:
        ``{device: (at, source, cloud)}``."""
        with self._reading() as scope:
            newest = (
                sa.select(events.c.device, sa.func.max(events.c.at).label("at"))
                .where(events.c.organisation == scope.organisation, events.c.device != "")
                .where(events.c.kind == "door.login.allowed")
                .group_by(events.c.device)
                .subquery()
            )
            query = (
                sa.select(events.c.device, events.c.at, events.c.source, events.c.data)
                .join(newest, sa.and_(newest.c.device == events.c.device, newest.c.at == events.c.at))
                .where(events.c.organisation == scope.organisation, events.c.kind == "door.login.allowed")
            )
            return {row.device: (row.at, row.source, _cloud(row.data)) for row in scope.conn.execute(query)}


def _cloud(stored: str) -> str:
    data = plain.load(stored) if '"cloud"' in stored else {}
    return str(data.get("cloud", "")) if isinstance(data, dict) else ""


def event_of(row: sa.Row[Any]) -> Event:
    """The event in a row."""
    return Event(**(dict(row._mapping) | {"data": cast("dict[str, object]", plain.load(row.data))}))


def _advance(conn: Connection, cursor: Cursor) -> bool:
    plain.text(cursor.spool, "spool's name", 200, empty=False)
    stored = _position(conn, cursor.spool, lock=True)
    if stored is not None and stored >= cursor.after:
        return False
    if (stored or 0) != cursor.before or cursor.after < cursor.before:
        raise Conflict(
            f"The spool {cursor.spool} was taken in up to {stored or 0}, not {cursor.before}: read on there."
        )
    if stored is None:
        conn.execute(sa.insert(cursors).values(spool=cursor.spool, position=cursor.after))
    else:
        conn.execute(sa.update(cursors).where(cursors.c.spool == cursor.spool).values(position=cursor.after))
    return True


def _position(conn: Connection, spool: str, *, lock: bool = False) -> int | None:
    query = sa.select(cursors.c.position).where(cursors.c.spool == spool)
    found: int | None = conn.execute(query.with_for_update() if lock else query).scalar()
    return found


def _insert(conn: Connection, rows: list[dict[str, object]]) -> set[str]:
    if not rows:
        return set()
    return {row.id for row in conn.execute(_statement(conn).returning(events.c.id), rows)}


def _statement(conn: Connection, table: sa.Table = events, key: Sequence[str] = ("id",)) -> Any:
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing(index_elements=list(key))


def _count(conn: Connection, found: list[Failure]) -> None:
    counts: dict[tuple[str, str, int], int] = {}
    for failure in found:
        hour = _hour(_time(failure.at))
        key = (_clean(failure.organisation, 64), _clean(failure.subject, 254), hour)
        counts[key] = counts.get(key, 0) + 1
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    for (organisation, subject, hour), count in sorted(counts.items()):
        statement = make(failures).values(organisation=organisation, subject=subject, hour=hour, count=count)
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=["organisation", "subject", "hour"],
                set_={"count": failures.c.count + statement.excluded.count},
            )
        )


def _row(event: Event) -> dict[str, object]:
    row: dict[str, object] = {name: _clean(getattr(event, name), limit) for name, limit in _LIMITS.items()}
    try:
        data = plain.dump(dict(event.data), MAX_DATA)
    except (BadValue, TypeError, ValueError):
        data = plain.dump({"_dropped": "the event's data was too large or not storable"})
    return row | {"at": _time(event.at), "data": data}


def _line(event: Event) -> dict[str, object]:
    row = _row(event)
    return {column.name: row[column.name] for column in requests.columns}


def _clean(value: object, limit: int) -> str:
    text = str(value)[:limit]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _time(at: object) -> float:
    good = isinstance(at, int | float) and math.isfinite(at) and 0 <= at < 253_402_300_800
    return float(cast("float", at)) if good else 0.0


def _hour(at: float) -> int:
    return int(at // 3600)
