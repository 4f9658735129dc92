"""Tokens of the API, and the idempotency keys of requests that came with them.

1. A token is known by its public id; of its secret only the SHA-256 is kept. It names the organisations and the verbs
   that it may; it is over when it was revoked, at its end, and when its member of staff is disabled or removed.
2. A key is good for one request of one token: who comes first reserves it, and for a day the same request gets the same
   answer. Keys are no acts and are not audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gambeson.model.staff import EVERY, Verb

from . import plain, schema
from . import staff_schema as tables
from .engine import EVERYWHERE
from .errors import BadValue, Conflict, NotFound
from .installation import Installed, WholeChange
from .scope import Change
from .staff_rows import staff_row

MAX_TOKENS = 1_000  # that are not revoked
MAX_ORGANISATIONS = 1_000  # that a token names
VERIFIER = 32  # octets
USED_EVERY = 60.0  # seconds
REMEMBERED_FOR = 86400.0
WORKING_FOR = 120.0  # after so long, a request that was not answered is taken for dead
KEPT_FOR = 90 * 86400.0  # a token that is over stays in the list for so long
MAX_KEY, MAX_BODY = 255, 1024 * 1024


@dataclass(frozen=True, slots=True)
class ApiToken:
    """``organisations`` are ids, or ``*``. ``staff``: who answers for it (empty: made at the command line).
    ``expires_at`` 0: no end; ``last_used`` 0: never; ``revoked_at`` 0: not revoked."""

    id: str
    name: str
    public_id: str
    organisations: tuple[str, ...]
    verbs: frozenset[Verb]
    verifier: bytes = field(repr=False)
    staff: str = ""
    created_at: float = 0.0
    expires_at: float = 0.0
    last_used: float = 0.0
    revoked_at: float = 0.0

    def alive(self, at: float) -> bool:
        """Whether it opens anything at ``at``."""
        return not self.revoked_at and (not self.expires_at or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer that a request got; ``status`` 0: it is still being worked on. ``digest`` is the request's."""

    status: int
    body: bytes
    digest: str


class ApiTokens(Installed):
    """The API's tokens."""

    def create(
        self,
        name: str,
        *,
        organisations: Iterable[str],
        verbs: Iterable[Verb],
        verifier: bytes,
        public_id: str,
        staff: str = "",
        expires_at: float = 0.0,
        by: str,
        at: float,
    ) -> ApiToken:
        """A new token. ``verifier`` is the SHA-256 of its secret. Raises BadValue, NotFound (organisation, staff) and
        Conflict (public id in use, too many tokens, staff disabled)."""
        shown = plain.text(name, "token's name", 100, empty=False).strip()
        whose, may = tuple(dict.fromkeys(organisations)), frozenset(Verb(v) for v in verbs)
        if not 0 < len(whose) <= MAX_ORGANISATIONS or not may:
            raise BadValue(f"A token names at least one verb, and 1 to {MAX_ORGANISATIONS} organisations.")
        if len(verifier) != VERIFIER:
            raise BadValue(f"A token's verifier has {VERIFIER} octets.")
        if expires_at and plain.moment(expires_at, "end") <= at:
            raise BadValue("The token's end is past: give one in the future.")
        table, new = tables.api_tokens, plain.new_id("token")
        with self._changing(by, at) as change:
            if staff:
                staff_row(change, staff, enabled=True)
            _known(change, whose)
            if len(change.rows(table, table.c.revoked_at == 0)) >= MAX_TOKENS:
                raise Conflict(f"There are at most {MAX_TOKENS} tokens: revoke one first.")
            change.insert(
                table,
                taken="This public id is in use: make another token.",
                id=new,
                name=shown,
                public_id=plain.text(public_id, "public id", 64, empty=False),
                verifier=bytes(verifier),
                organisations=plain.dump(list(whose)),
                verbs=plain.dump(sorted(may)),
                staff=staff,
                created_at=change.at,
                expires_at=expires_at,
                last_used=0.0,
                revoked_at=0.0,
            )
            details = {"name": shown, "organisations": list(whose), "verbs": sorted(may)}
            change.audit("token.created", new, staff=staff, ends=expires_at, **details)
            return _get(change, new)

    def find(self, public_id: str) -> ApiToken | None:
        """The token of a public id that is not revoked, or None. Compare its verifier, and ask ``alive``."""
        table = tables.api_tokens
        with self._reading() as scope:
            row = scope.one(table, table.c.public_id == public_id, table.c.revoked_at == 0)
        return token_of(row) if row is not None else None

    def get(self, id: str) -> ApiToken:
        """The token of that id, also a revoked one. Raises NotFound."""
        table = tables.api_tokens
        with self._reading() as scope:
            row = scope.one(table, table.c.id == id)
        if row is None:
            raise _unknown(id)
        return token_of(row)

    def list(self) -> Sequence[ApiToken]:
        """Every token, newest first; revoked ones too."""
        table = tables.api_tokens
        with self._reading() as scope:
            return [token_of(row) for row in scope.rows(table, order=[table.c.created_at.desc(), table.c.id])]

    def revoke(self, id: str, *, by: str, at: float) -> ApiToken:
        """It opens nothing any more. Revoking one again changes nothing. Raises NotFound."""
        with self._changing(by, at) as change:
            if not _get(change, id).revoked_at:
                _revoke(change, id, "")
            return _get(change, id)

    def touch(self, id: str, at: float) -> None:
        """It was used now. Written now and then only."""
        table = tables.api_tokens
        old = table.c.last_used <= plain.moment(at) - USED_EVERY
        with self._reading() as scope:
            if scope.one(table, table.c.id == id, old) is None:
                return
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.update(table).where(table.c.id == id, old).values(last_used=at))

    def reserve(self, token: str, key: str, digest: str, at: float) -> Remembered | None:
        """Takes a key for a request that begins now: None, and the caller answers it and says so by :meth:`remember` or
        :meth:`release`. Else what is known of the key; one of another ``digest`` was for another request."""
        table = tables.idempotency_keys
        values = _request(token, key, digest, 0, b"", at)
        with self._database.write(EVERYWHERE) as conn:
            # Two at once: the installation's row makes the second one wait and see the first one's.
            conn.execute(sa.select(schema.installation).with_for_update()).one()
            found = _remembered(conn, token, key, at)
            if found is None:
                conn.execute(sa.delete(table).where(table.c.token == token, table.c.key == key))
                conn.execute(sa.insert(table).values(**values))
        return found

    def remembered(self, token: str, key: str, at: float) -> Remembered | None:
        """What a request with this key was answered within the last day, or None."""
        with self._database.read(EVERYWHERE) as conn:
            return _remembered(conn, token, key, at)

    def remember(self, token: str, key: str, digest: str, status: int, body: bytes, at: float) -> None:
        """Keeps the answer to a request. Raises BadValue; Conflict for a token that is not there."""
        table = tables.idempotency_keys
        values = _request(token, key, digest, status, body, at)
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.delete(table).where(table.c.token == token, table.c.key == key))
            conn.execute(sa.insert(table).values(**values))

    def release(self, token: str, key: str) -> None:
        """Gives a reserved key back that got no answer."""
        table = tables.idempotency_keys
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(
                sa.delete(table).where(table.c.token == token, table.c.key == key, table.c.status == 0)
            )

    def prune(self, at: float) -> int:
        """Forgets keys after a day, and tokens long after they were over; gives how many keys."""
        with self._database.write(EVERYWHERE) as conn:
            return prune(conn, at)


def prune(conn: Connection, now: float) -> int:
    """Forgets keys after a day, and tokens long after they were over; gives how many keys."""
    table, keys, old = tables.api_tokens, tables.idempotency_keys, now - KEPT_FOR
    gone = conn.execute(sa.delete(keys).where(keys.c.at < now - REMEMBERED_FOR)).rowcount
    for ended in (table.c.revoked_at, table.c.expires_at):
        conn.execute(sa.delete(table).where(ended > 0, ended < old))
    return gone


def revoke_all(change: WholeChange, staff: str, why: str) -> int:
    """Revokes the tokens of a member of staff within a change; gives how many."""
    table = tables.api_tokens
    rows = change.rows(table, table.c.staff == staff, table.c.revoked_at == 0)
    for row in rows:
        _revoke(change, row.id, why)
    return len(rows)


def forget_organisation(change: Change) -> None:
    """No token names the organisation that is being removed any more; what named no other is revoked."""
    table = tables.api_tokens
    for row in change.conn.execute(sa.select(table).where(table.c.revoked_at == 0)).all():
        before = plain.words(row.organisations)
        if change.organisation not in before:
            continue
        after = [id for id in before if id != change.organisation]
        values: dict[str, Any] = {"organisations": plain.dump(after)}
        if not after:
            values["revoked_at"] = change.at
        change.conn.execute(sa.update(table).where(table.c.id == row.id).values(**values))
        change.audit("token.narrowed" if after else "token.revoked", row.id, name=row.name)


def token_of(row: sa.Row[Any]) -> ApiToken:
    """The token in a row."""
    values = dict(row._mapping)
    values["organisations"] = plain.words(row.organisations)
    values["verbs"] = frozenset(Verb(word) for word in plain.words(row.verbs))
    return ApiToken(**values)


def _revoke(change: WholeChange, id: str, why: str) -> None:
    table = tables.api_tokens
    change.update(table, table.c.id == id, revoked_at=change.at)
    change.audit("token.revoked", id, reason=why)


def _known(change: WholeChange, organisations: Sequence[str]) -> None:
    table = schema.organisations
    wanted = [id for id in organisations if id != EVERY]
    there = set(change.conn.execute(sa.select(table.c.id).where(table.c.id.in_(wanted))).scalars())
    for id in wanted:
        if id not in there:
            raise NotFound(f"There is no organisation {id[:80]!a}: see gambeson org list.")


def _get(change: WholeChange, id: str) -> ApiToken:
    row = change.one(tables.api_tokens, tables.api_tokens.c.id == id)
    if row is None:
        raise _unknown(id)
    return token_of(row)


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no token {id[:80]!a}: look at the list of tokens.")


def _remembered(conn: Connection, token: str, key: str, at: float) -> Remembered | None:
    table = tables.idempotency_keys
    row = conn.execute(sa.select(table).where(table.c.token == token, table.c.key == key)).one_or_none()
    if row is None or at - row.at >= (REMEMBERED_FOR if row.status else WORKING_FOR):
        return None
    return Remembered(row.status, bytes(row.body), row.digest)


def _request(token: str, key: str, digest: str, status: int, body: bytes, at: float) -> dict[str, Any]:
    if len(body) > MAX_BODY or not 0 <= status < 1_000:
        raise BadValue("This answer is too large to be remembered, or has no status.")
    return {
        "token": token,
        "key": plain.text(key, "idempotency key", MAX_KEY, empty=False),
        "digest": plain.text(digest, "digest", 128, empty=False),
        "status": status,
        "body": bytes(body),
        "at": plain.moment(at),
    }
