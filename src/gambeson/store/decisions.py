"""What the doors decided, counted and looked up by the database: for pages that must stay quick over a million events.

Rules: a look goes through an index, and looks at so many of the newest rows at most (``MOST``); whatever was passed
over is told (``whole`` False). Nothing here reads one organisation's events for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from gambeson.model.event import Event

from .event_schema import events
from .events import event_of
from .scope import Scope, Scoped

MOST = 20_000
MOST_IDS = 1_000
ALLOWED = ("door.login.allowed",)
REFUSED = (
    "door.login.refused",
    "door.login.failed",
    "door.request.refused",
    "door.request.shielded",
    "door.web.refused",
    "door.enter.refused",
    "door.eas.refused",
    "door.ews.refused",
    "door.message.refused",
)


@dataclass(frozen=True, slots=True)
class Count:
    """``count`` decisions of one kind at a door. ``reason`` is the word of the record (of a failure: why), ``rung`` the
    word of what was proven."""

    door: str
    kind: str
    reason: str
    rung: str
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """``whole`` False: there were more, of which only the newest were counted."""

    counts: Sequence[Count]
    whole: bool


class Decisions(Scoped):
    """The decisions of one organisation's doors, to read."""

    def newest(
        self, since: float, limit: int, *, kinds: Sequence[str] = (*ALLOWED, *REFUSED), door: str = ""
    ) -> Sequence[Event]:
        """The newest of these kinds, at one door or at all."""
        with self._reading() as scope:
            seen = _window(scope, since)
            where = [seen.c.kind.in_(kinds), *([seen.c.door == door] if door else [])]
            return _events(scope, sa.select(seen).where(*where), seen, limit)

    def counts(self, since: float, *, door: str = "", kinds: Sequence[str] = (*ALLOWED, *REFUSED)) -> Counts:
        """How many there were of each sort, the most first."""
        with self._reading() as scope:
            seen = _window(scope, since)
            said = [_said(scope, seen, name) for name in ("reason", "why", "rung")]
            reason = sa.func.coalesce(said[0], said[1], "").label("reason")
            rung = sa.func.coalesce(said[2], "").label("rung")
            n = sa.func.count().label("n")
            where = [seen.c.kind.in_(kinds), *([seen.c.door == door] if door else [])]
            query = sa.select(seen.c.door, seen.c.kind, reason, rung, n).where(*where)
            query = query.group_by(seen.c.door, seen.c.kind, reason, rung).order_by(n.desc())
            found = [
                Count(row.door, row.kind, str(row.reason)[:200], str(row.rung), int(row.n))
                for row in scope.conn.execute(query)
            ]
            total = scope.conn.execute(sa.select(sa.func.count()).select_from(seen)).scalar_one()
        return Counts(found, total < MOST)

    def hours(
        self, since: float, door: str, kinds: Sequence[str] = (*ALLOWED, *REFUSED)
    ) -> dict[int, dict[str, int]]:
        """``{hour since 1970: {kind: how many}}`` at one door."""
        hour = sa.cast(sa.func.floor(events.c.at / 3600.0), sa.BigInteger).label("hour")
        query = sa.select(hour, events.c.kind, sa.func.count().label("n"))
        query = query.where(events.c.at >= since, events.c.door == door, events.c.kind.in_(kinds))
        found: dict[int, dict[str, int]] = {}
        with self._reading() as scope:
            mine = query.where(events.c.organisation == scope.organisation).group_by(hour, events.c.kind)
            for row in scope.conn.execute(mine):
                found.setdefault(int(row.hour), {})[row.kind] = int(row.n)
        return found

    def served(self, since: float) -> dict[tuple[str, str], float]:
        """``{(server, door): when somebody was last let in there}``, of what is looked at."""
        with self._reading() as scope:
            seen = _window(scope, since)
            server = _said(scope, seen, "server").label("server")
            query = sa.select(server, seen.c.door, sa.func.max(seen.c.at).label("at"))
            query = query.where(seen.c.kind.in_(ALLOWED)).group_by(server, seen.c.door)
            return {(str(row.server or ""), row.door): float(row.at) for row in scope.conn.execute(query)}

    def of_account(
        self, account: str, since: float, limit: int, kinds: Sequence[str] = REFUSED
    ) -> Sequence[Event]:
        """Decisions about a proven account (its id)."""
        with self._reading() as scope:
            seen = _window(scope, since, events.c.account == account)
            return _events(scope, sa.select(seen).where(seen.c.kind.in_(kinds)), seen, limit)

    def of_claimed(
        self, addresses: Sequence[str], since: float, limit: int, kinds: Sequence[str] = REFUSED
    ) -> Sequence[Event]:
        """Decisions about whoever named one of these addresses and proved nothing."""
        with self._reading() as scope:
            seen = _window(scope, since, events.c.account == "")
            where = (seen.c.kind.in_(kinds), _said(scope, seen, "claimed").in_(list(addresses)))
            return _events(scope, sa.select(seen).where(*where), seen, limit)

    def of_source(
        self, source: str, since: float, limit: int, kinds: Sequence[str] = REFUSED
    ) -> Sequence[Event]:
        """Decisions about what came from an address (in canonical text)."""
        with self._reading() as scope:
            seen = _window(scope, since)
            where = (seen.c.kind.in_(kinds), seen.c.source == source)
            return _events(scope, sa.select(seen).where(*where), seen, limit)

    def of_id(self, id: str, limit: int) -> Sequence[Event]:
        """Events whose id begins so, of the first ``MOST_IDS`` that do."""
        # The index of the ids answers a range, which a pattern may not; asked for alone, so that no other is taken.
        begins = sa.select(events).where(events.c.id >= id, events.c.id < id + "\U0010ffff")
        seen = begins.order_by(events.c.id).limit(MOST_IDS).subquery("seen")
        with self._reading() as scope:
            query = sa.select(seen).where(seen.c.organisation == scope.organisation)
            return _events(scope, query, seen, limit)

    def of_session(self, session: str, since: float, limit: int) -> Sequence[Event]:
        """Events of a session of a mail program or of the portal (its id)."""
        with self._reading() as scope:
            seen = _window(scope, since)
            same = sa.or_(_said(scope, seen, "id") == session, _said(scope, seen, "session") == session)
            return _events(scope, sa.select(seen).where(same), seen, limit)


def _window(scope: Scope, since: float, *where: sa.ColumnElement[bool]) -> sa.Subquery:
    """The newest rows since then that an index leads to: no look goes further."""
    query = sa.select(events).where(events.c.organisation == scope.organisation, events.c.at >= since, *where)
    return query.order_by(events.c.at.desc()).limit(MOST).subquery("seen")


def _said(scope: Scope, seen: sa.FromClause, name: str) -> sa.ColumnElement[str]:
    """One text of an event's data; NULL where it has none of that name."""
    if scope.conn.dialect.name == "postgresql":
        inside: sa.ColumnElement[str] = sa.cast(seen.c.data, JSON)[name].as_string()
        return inside
    found: sa.ColumnElement[str] = sa.func.json_extract(seen.c.data, f"$.{name}", type_=sa.Text)
    return found


def _events(scope: Scope, query: sa.Select[Any], seen: sa.FromClause, limit: int) -> Sequence[Event]:
    return [
        event_of(row)
        for row in scope.conn.execute(query.order_by(seen.c.at.desc(), seen.c.id.desc()).limit(limit))
    ]
