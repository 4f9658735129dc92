"""Where the portal's desk finds whose a name, an account, a passkey or a cookie is: it asks before it knows the
organisation.

Only ids are given out here; what belongs to an organisation is read through its own store. Also here: the
installation's secret for answers about unknown names, counted guesses of one subject, and pruning.
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa

from . import schema, staff, tokens, web_sessions
from .engine import EVERYWHERE, Database
from .errors import Conflict
from .event_schema import failures
from .events import FAILURE_HOURS


class Whose:
    """Look-ups over all organisations. ``control`` and ``events`` are the store's databases."""

    def __init__(self, control: Database, events: Database) -> None:
        self._control, self._events = control, events
        self._secret = b""

    def account(self, id: str) -> str:
        """The organisation of an account; empty for none."""
        table = schema.accounts
        return self._word(sa.select(table.c.organisation).where(table.c.id == id))

    def address(self, address: str) -> tuple[str, str]:
        """Organisation and account of a canonical address or alias; empty for none."""
        table = schema.addresses
        return self._pair(sa.select(table.c.organisation, table.c.account).where(table.c.address == address))

    def domain(self, domain: str) -> str:
        """The organisation that answers for a domain; empty for none."""
        table = schema.domains
        return self._word(sa.select(table.c.organisation).where(table.c.domain == domain))

    def passkey(self, public_id: bytes) -> tuple[str, str]:
        """Organisation and account of a passkey's credential id; empty for none."""
        table = schema.authenticators
        return self._pair(
            sa.select(table.c.organisation, table.c.account).where(
                table.c.locator == public_id.hex(), table.c.kind == "passkey"
            )
        )

    def session(self, *, secret: bytes = b"", id: str = "") -> tuple[str, str]:
        """Organisation and id of the session of a cookie's SHA-256, or of an id; empty for none."""
        table = schema.web_sessions
        where = table.c.secret == secret.hex() if secret else table.c.id == id
        return self._pair(sa.select(table.c.organisation, table.c.id).where(where))

    def guesses(self, subject: str, now: float) -> int:
        """Failed guesses of the last day at an account (its id) or at an unknown address."""
        since = int(now // 3600) - FAILURE_HOURS
        query = sa.select(sa.func.sum(failures.c.count)).where(
            failures.c.subject == subject, failures.c.hour >= since
        )
        with self._events.read(EVERYWHERE) as conn:
            return int(conn.execute(query).scalar() or 0)

    def secret(self) -> bytes:
        """The installation's own 32 octets, made when they are first needed."""
        if not self._secret:
            self._secret = self._read_secret() or self._make_secret()
        return self._secret

    def prune(self, now: float) -> int:
        """Throws sessions away that have been over for a day; gives how many of the portal's. With them goes what is
        over of staff and of tokens."""
        with self._control.write(EVERYWHERE) as conn:
            staff.prune(conn, now)
            tokens.prune(conn, now)
            return web_sessions.prune(conn, now)

    def _read_secret(self) -> bytes:
        with self._control.read(EVERYWHERE) as conn:
            return bytes(conn.execute(sa.select(schema.portal_secrets.c.value)).scalar() or b"")

    def _make_secret(self) -> bytes:
        try:
            with self._control.write(EVERYWHERE) as conn:
                conn.execute(sa.insert(schema.portal_secrets).values(id=1, value=secrets.token_bytes(32)))
        except Conflict:
            pass  # somebody else was first: theirs holds
        return self._read_secret()

    def _word(self, query: sa.Select[Any]) -> str:
        with self._control.read(EVERYWHERE) as conn:
            return str(conn.execute(query).scalar() or "")

    def _pair(self, query: sa.Select[Any]) -> tuple[str, str]:
        with self._control.read(EVERYWHERE) as conn:
            row = conn.execute(query).first()
        return (str(row[0]), str(row[1])) if row is not None else ("", "")
