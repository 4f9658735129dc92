"""Sessions of the portal.

1. A session lives until somebody ends it, ``LONGEST`` after it began, or ``IDLE`` after it was last seen. No clock
   that is set back brings an ended one back.
2. The browser's cookie is known only by its SHA-256.
3. That a session was seen is no act: it is written at most every ``SEEN_EVERY`` and not audited. Opening, stepping up
   and ending are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gambeson.model.access import Rung

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, NotFound
from .scope import Change, Scoped

IDLE, LONGEST = 3600.0, 12 * 3600.0
SEEN_EVERY = 60.0
TOLD_FOR = 20 * 60.0  # seconds that a snapshot names an ended session: a token lives for 15 minutes
KEPT_FOR = 86400.0
MAX_LIVE = 50  # of one account; the longest unseen is ended for a new one
SECRET = 32  # octets


@dataclass(frozen=True, slots=True)
class WebSession:
    """``stepped_at`` is when it last proved a second factor again, ``ends`` its end at the latest. ``ended_at`` 0:
    nobody ended it."""

    id: str
    organisation: str
    account: str
    rung: str
    at: float
    last_seen: float
    stepped_at: float
    ends: float
    source: str = ""
    agent: str = ""
    how: str = ""
    ended_at: float = 0.0
    end_reason: str = ""


_COLUMNS = tuple(WebSession.__dataclass_fields__)


class WebSessions(Scoped):
    """The portal's sessions of one organisation's accounts."""

    def open(
        self,
        account: str,
        rung: str,
        secret: bytes,
        *,
        source: str = "",
        agent: str = "",
        how: str = "",
        id: str = "",
        by: str,
        at: float,
    ) -> WebSession:
        """A new session. ``secret`` is the SHA-256 of the browser's cookie. Raises NotFound, BadValue."""
        new = plain.text(id, "id", 64) or plain.new_id("web")
        if len(secret) != SECRET:
            raise BadValue(f"A session's secret is known by {SECRET} octets.")
        with self._changing(by, at) as change:
            account_row(change, account)
            live = sorted(change.rows(schema.web_sessions, *_live(at, account)), key=lambda r: r.last_seen)
            for row in live[: max(0, len(live) - MAX_LIVE + 1)]:
                _end(change, row.id, "too many sessions")
            change.insert(
                schema.web_sessions,
                id=new,
                account=account,
                secret=secret.hex(),
                rung=_rung(rung),
                at=at,
                last_seen=at,
                stepped_at=at,
                ends=plain.moment(at + LONGEST),
                source=plain.text(source, "source", 64),
                agent=shown(agent),
                how=plain.text(how, "way of signing in", 200),
                ended_at=0.0,
                end_reason="",
            )
            invited = schema.invitations
            change.update(
                invited, invited.c.account == account, invited.c.first_sign_in == 0, first_sign_in=at
            )
            change.audit("web-session.opened", new, account=account, rung=rung, source=source, how=how)
            made = change.one(schema.web_sessions, schema.web_sessions.c.id == new)
            assert made is not None
            return session_of(made)

    def seen(self, id: str, at: float) -> WebSession:
        """The live session of that id, which was seen now. Raises NotFound for one that is over."""
        table = schema.web_sessions
        with self._reading() as scope:
            row = scope.one(table, table.c.id == id, *_live(at))
        if row is None:
            raise NotFound("This session is over: sign in again.")
        if at - row.last_seen >= SEEN_EVERY:
            with self._database.write(self._organisation) as conn:
                conn.execute(
                    sa.update(table)
                    .where(table.c.organisation == self._organisation, table.c.id == id, *_live(at))
                    .values(last_seen=at)
                )
        return session_of(row)

    def list(self, account: str | None, at: float) -> Sequence[WebSession]:
        """The live sessions (of an account), the last seen first."""
        table = schema.web_sessions
        with self._reading() as scope:
            rows = scope.rows(table, *_live(at, account), order=[table.c.last_seen.desc(), table.c.id])
        return [session_of(row) for row in rows]

    def step(
        self, id: str, *, rung: str = "", how: str = "", secret: bytes = b"", by: str, at: float
    ) -> WebSession:
        """A live session proved a second factor again; its rung may rise and never falls. ``secret`` takes the place of
        the one before: the old cookie opens nothing any more. Raises NotFound, BadValue, Conflict."""
        if secret and len(secret) != SECRET:
            raise BadValue(f"A session's secret is known by {SECRET} octets.")
        table = schema.web_sessions
        with self._changing(by, at) as change:
            row = change.one(table, table.c.id == id, *_live(at))
            if row is None:
                raise NotFound("This session is over: sign in again.")
            before = Rung.from_word(row.rung)
            after = max(before, Rung.from_word(_rung(rung))) if rung else before
            way = plain.text(how, "way of signing in", 200) or row.how
            change.update(
                table,
                table.c.id == id,
                rung=after.word,
                how=way,
                secret=secret.hex() or row.secret,
                stepped_at=at,
                last_seen=at,
            )
            change.audit("web-session.stepped-up", id, account=row.account, rung=after.word, how=how)
            found = change.one(table, table.c.id == id)
            assert found is not None
            return session_of(found)

    def end(
        self, account: str, *, id: str = "", keep: str = "", reason: str = "", by: str, at: float
    ) -> Sequence[str]:
        """Ends one session of the account, or all but ``keep``; gives their ids. One that is over stays as it is."""
        table = schema.web_sessions
        why = plain.text(reason, "reason", 200)
        with self._changing(by, at) as change:
            where = [table.c.account == account, table.c.ended_at == 0]
            where += [table.c.id == id] if id else [table.c.id != keep]
            ids = [row.id for row in change.rows(table, *where, order=[table.c.id])]
            for each in ids:
                _end(change, each, why)
            return ids


def ended(now: float) -> sa.Select[Any]:
    """The ids of the sessions that were ended so shortly before ``now`` that a token of theirs may be in force."""
    table = schema.web_sessions
    return sa.select(table.c.id).where(table.c.ended_at > now - TOLD_FOR).order_by(table.c.id)


def prune(conn: Connection, now: float) -> int:
    """Throws away what has been over for a day, of all organisations, and binding codes whose time is over."""
    table, codes = schema.web_sessions, schema.binding_codes
    conn.execute(sa.delete(codes).where(codes.c.expires_at < now))
    old = sa.or_(
        sa.and_(table.c.ended_at > 0, table.c.ended_at < now - KEPT_FOR), table.c.ends < now - KEPT_FOR
    )
    return conn.execute(sa.delete(table).where(old)).rowcount


def shown(agent: str) -> str:
    """What a browser calls itself, cut and cleaned: it may say anything."""
    return "".join(c if c.isprintable() else "\ufffd" for c in agent[:200])


def session_of(row: sa.Row[Any]) -> WebSession:
    """The session in a row (its secret stays there)."""
    return WebSession(**{name: row._mapping[name] for name in _COLUMNS})


def _live(at: float, account: str | None = None) -> list[sa.ColumnElement[bool]]:
    table = schema.web_sessions
    found = [table.c.ended_at == 0, table.c.ends > at, table.c.last_seen > at - IDLE]
    return found if account is None else [*found, table.c.account == account]


def _end(change: Change, id: str, why: str) -> None:
    table = schema.web_sessions
    change.update(table, table.c.id == id, table.c.ended_at == 0, ended_at=change.at, end_reason=why)
    change.audit("web-session.ended", id, reason=why)


def _rung(word: str) -> str:
    try:
        return Rung.from_word(word).word
    except ValueError as error:
        raise BadValue(str(error)) from None
