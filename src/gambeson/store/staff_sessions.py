"""Sessions of the console.

1. A session lives until somebody ends it, until its ``ends``, or ``IDLE`` after it was last seen; and no longer than
   its member of staff is enabled. No clock that is set back brings an ended one back.
2. The browser's cookie is known only by its SHA-256.
3. One by break-glass is nobody's, lasts an hour at most, and has never proved a passkey.
4. That a session was seen is no act: it is written at most every ``SEEN_EVERY`` and not audited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import plain
from . import staff_schema as tables
from .engine import EVERYWHERE
from .errors import BadValue, NotFound
from .installation import Installed, WholeChange
from .staff_rows import staff_row
from .web_sessions import IDLE, KEPT_FOR, LONGEST, MAX_LIVE, SECRET, SEEN_EVERY, shown

BREAK_GLASS = "break-glass"  # ``how`` of a session that a sealed code opened
BREAK_GLASS_LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class StaffSession:
    """``staff`` is empty in one by break-glass. ``stepped_at``: when a passkey was last proved (0: never)."""

    id: str
    staff: str
    how: str
    source: str
    agent: str
    at: float
    last_seen: float
    stepped_at: float
    ends: float
    ended_at: float = 0.0
    end_reason: str = ""


_COLUMNS = tuple(StaffSession.__dataclass_fields__)


class StaffSessions(Installed):
    """The sessions part of :class:`gambeson.store.staff.StaffStore`."""

    def open_session(
        self,
        staff: str,
        *,
        secret: bytes,
        how: str,
        source: str = "",
        agent: str = "",
        ends: float,
        by: str,
        at: float,
    ) -> StaffSession:
        """A new session until ``ends``, at most 12 hours on. ``secret`` is the SHA-256 of the browser's cookie. Only
        one with ``how`` :data:`BREAK_GLASS` names no staff. Raises NotFound, BadValue, Conflict (disabled)."""
        glass = how == BREAK_GLASS
        if glass == bool(staff):
            raise BadValue("A session is a member of staff's, or one by break-glass.")
        if not at < plain.moment(ends, "end") <= at + (BREAK_GLASS_LONGEST if glass else LONGEST):
            raise BadValue("The session's end is past, or too far away.")
        table, new = tables.staff_sessions, plain.new_id("desk")
        with self._changing(by, at) as change:
            if staff:
                staff_row(change, staff, enabled=True)
            where = [table.c.staff == staff, *_live(at)]
            live = change.rows(table, *where, order=[table.c.last_seen, table.c.id])
            for row in live[: max(0, len(live) - MAX_LIVE + 1)]:
                _end(change, row.id, "too many sessions")
            change.insert(
                table,
                id=new,
                staff=staff,
                secret=_secret(secret),
                how=plain.text(how, "way of signing in", 200, empty=False),
                source=plain.text(source, "source", 64),
                agent=shown(agent),
                at=change.at,
                last_seen=change.at,
                stepped_at=0.0 if glass else change.at,
                ends=ends,
                ended_at=0.0,
                end_reason="",
            )
            change.audit("staff-session.opened", new, staff=staff, source=source, how=how)
            return session_of(_row(change, new))

    def session(self, secret: bytes, at: float) -> StaffSession | None:
        """The live session of a cookie (its SHA-256), or None."""
        if len(secret) != SECRET:
            return None
        table, staff = tables.staff_sessions, tables.staff
        with self._reading() as scope:
            row = scope.one(table, table.c.secret == secret.hex(), *_live(at))
            if row is None or (
                row.staff and scope.one(staff, staff.c.id == row.staff, staff.c.enabled) is None
            ):
                return None
        return session_of(row)

    def sessions(self, staff: str, at: float) -> Sequence[StaffSession]:
        """The live sessions of a member of staff (empty: those by break-glass), the last seen first."""
        table = tables.staff_sessions
        order = [table.c.last_seen.desc(), table.c.id]
        with self._reading() as scope:
            return [
                session_of(row) for row in scope.rows(table, table.c.staff == staff, *_live(at), order=order)
            ]

    def touch(self, id: str, at: float) -> None:
        """A live session was seen now. Written now and then only."""
        table = tables.staff_sessions
        old = table.c.last_seen <= plain.moment(at) - SEEN_EVERY
        with self._reading() as scope:
            if scope.one(table, table.c.id == id, old, *_live(at)) is None:
                return
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.update(table).where(table.c.id == id, old, *_live(at)).values(last_seen=at))

    def step(self, id: str, secret: bytes, *, by: str, at: float) -> StaffSession:
        """A live session proved a passkey again; ``secret`` takes the place of the one before, whose cookie opens
        nothing any more. Raises NotFound, BadValue (one by break-glass has no passkey)."""
        table = tables.staff_sessions
        with self._changing(by, at) as change:
            row = change.one(table, table.c.id == id, *_live(at))
            if row is None:
                raise NotFound("This session is over: sign in again.")
            if not row.staff:
                raise BadValue("A session by break-glass has no passkey to prove.")
            staff_row(change, row.staff, enabled=True)
            change.update(
                table,
                table.c.id == id,
                taken="This secret is in use.",
                secret=_secret(secret),
                stepped_at=change.at,
                last_seen=change.at,
            )
            change.audit("staff-session.stepped-up", id, staff=row.staff)
            return session_of(_row(change, id))

    def end_session(self, id: str, reason: str = "", *, by: str, at: float) -> bool:
        """Ends one; False where it was over or never there."""
        table, why = tables.staff_sessions, plain.text(reason, "reason", 200)
        with self._changing(by, at) as change:
            if change.one(table, table.c.id == id, table.c.ended_at == 0) is None:
                return False
            _end(change, id, why)
            return True

    def end_sessions(
        self, staff: str, keep: str = "", reason: str = "", *, by: str, at: float
    ) -> Sequence[str]:
        """Ends all of a member of staff's (empty: those by break-glass) but ``keep``; gives their ids."""
        why = plain.text(reason, "reason", 200)
        with self._changing(by, at) as change:
            return end_all(change, staff, why, keep)


def end_all(change: WholeChange, staff: str, why: str, keep: str = "") -> list[str]:
    """Ends the sessions of a member of staff within a change; gives their ids."""
    table = tables.staff_sessions
    where = (table.c.staff == staff, table.c.ended_at == 0, table.c.id != keep)
    ids = [str(row.id) for row in change.rows(table, *where, order=[table.c.id])]
    for id in ids:
        _end(change, id, why)
    return ids


def prune(conn: Connection, now: float) -> int:
    """Throws away what has been over for a day; gives how many."""
    table, old = tables.staff_sessions, now - KEPT_FOR
    over = sa.or_(sa.and_(table.c.ended_at > 0, table.c.ended_at < old), table.c.ends < old)
    return conn.execute(sa.delete(table).where(over)).rowcount


def session_of(row: sa.Row[Any]) -> StaffSession:
    """The session in a row (its secret stays there)."""
    return StaffSession(**{name: row._mapping[name] for name in _COLUMNS})


def _row(change: WholeChange, id: str) -> sa.Row[Any]:
    row = change.one(tables.staff_sessions, tables.staff_sessions.c.id == id)
    assert row is not None
    return row


def _live(at: float) -> list[sa.ColumnElement[bool]]:
    table = tables.staff_sessions
    return [table.c.ended_at == 0, table.c.ends > at, table.c.last_seen > at - IDLE]


def _end(change: WholeChange, id: str, why: str) -> None:
    table = tables.staff_sessions
    change.update(table, table.c.id == id, table.c.ended_at == 0, ended_at=change.at, end_reason=why)
    change.audit("staff-session.ended", id, reason=why)


def _secret(value: bytes) -> str:
    if len(value) != SECRET:
        raise BadValue(f"A session's secret is known by {SECRET} octets.")
    return value.hex()
