"""The audit log: who changed what, in a chain that shows when somebody touched it.

Each entry carries the hash of the one before it, and the hash of itself over a canonical encoding
that includes its number. It is written in the same transaction as the change it tells of. A chain
alone can be rewritten by whoever owns the database, so count and head are signed by the keeper,
whose key is outside it: :meth:`AuditLog.seal` stores signed heads, :meth:`AuditLog.verify` (in
``audit_verify.py``) holds the log against them. A head kept elsewhere as well shows even a database
that was put back as a whole. What no head covers yet is protected by the chain only:
:meth:`AuditLog.unsealed` says how many entries that are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import plain, schema
from .audit_verify import AuditFault, Tip, find_faults
from .engine import EVERYWHERE, Database

GENESIS = "0" * 64  # what the first entry names as the hash before it
_KEPT_HEADS = 1_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. ``details`` is canonical JSON text; ``hash`` covers everything before it."""

    seq: int
    at: float
    by: str
    organisation: str
    action: str
    subject: str
    details: str
    prev_hash: str
    hash: str

    def hash_as(self, seq: int) -> str:
        """The hash that this entry would have as number ``seq``."""
        parts = [
            seq,
            self.at,
            self.by,
            self.organisation,
            self.action,
            self.subject,
            self.details,
            self.prev_hash,
        ]
        return sha256(b"gambeson-audit-1\n" + _canonical(parts)).hexdigest()

    def line(self) -> str:
        """The entry as one line of JSON."""
        return _canonical(asdict(self)).decode()


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What the keeper vouches for: after ``count`` entries the chain ended in ``hash``."""

    count: int
    hash: str
    at: float
    signature: bytes

    def payload(self, installation: str) -> bytes:
        """The bytes that are signed; they name the installation, so that heads cannot be swapped."""
        parts = {"at": self.at, "count": self.count, "hash": self.hash, "installation": installation}
        return b"gambeson-audit-head-1\n" + _canonical(parts)

    def line(self) -> str:
        """The head as one line of JSON."""
        head = {"count": self.count, "hash": self.hash, "at": self.at, "signature": self.signature.hex()}
        return _canonical({"head": head}).decode()


def head_of_line(line: str) -> SignedHead | None:
    """The signed head in a line of an export; None for an entry's line. Raises ValueError for any other line."""
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("no line of an export")
    if "head" not in document:
        return None
    try:
        head = document["head"]
        return SignedHead(
            int(head["count"]), str(head["hash"]), float(head["at"]), bytes.fromhex(head["signature"])
        )
    except (KeyError, TypeError) as error:
        raise ValueError("no signed head") from error


class AuditLog:
    """The whole installation's log. An organisation reads its own part by ``OrganisationStore.audit``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self) -> tuple[int, str]:
        """Number of entries and the last hash, as the installation's row has them."""
        with self._database.read(EVERYWHERE) as conn:
            tip = _tip(conn)
        return tip.count, tip.hash

    def seal(self, sign: Callable[[bytes], bytes], at: float) -> SignedHead:
        """Signs the present head and stores it. The same head is not signed twice."""
        plain.moment(at)
        with self._database.read(EVERYWHERE) as conn:
            tip = _tip(conn)
            last = _heads(conn, 1)
        if last and (last[0].count, last[0].hash) == (tip.count, tip.hash):
            return last[0]
        # Signed outside any transaction: the keeper may be slow, and writers must not wait for it.
        unsigned = SignedHead(tip.count, tip.hash, at, b"")
        head = SignedHead(tip.count, tip.hash, at, sign(unsigned.payload(tip.installation)))
        table = schema.audit_heads
        with self._database.write(EVERYWHERE) as conn:
            conn.execute(sa.delete(table).where(table.c.count == head.count))
            conn.execute(sa.insert(table).values(**asdict(head)))
            kept = sa.select(table.c.count).order_by(table.c.count.desc()).limit(_KEPT_HEADS)
            conn.execute(sa.delete(table).where(table.c.count.not_in(kept)))
        return head

    def signed_head(self) -> SignedHead | None:
        """The newest stored head."""
        with self._database.read(EVERYWHERE) as conn:
            heads = _heads(conn, 1)
        return heads[0] if heads else None

    def unsealed(self) -> int:
        """How many entries no signed head covers yet."""
        head = self.signed_head()
        return self.head()[0] - (head.count if head else 0)

    def verify(
        self, verify: Callable[[bytes, bytes], bool], heads: Iterable[SignedHead] = ()
    ) -> list[AuditFault]:
        """Every fault, named; empty: the log is whole. ``verify(payload, signature)`` is the keeper's
        public key; ``heads`` are heads that were kept outside the database."""
        with self._database.read(EVERYWHERE) as conn:
            tip = _tip(conn)
            signed = {(h.count, h.signature): h for h in (*_heads(conn, _KEPT_HEADS), *heads)}
            good: list[tuple[int, str, float]] = []
            faults: list[AuditFault] = []
            for head in sorted(signed.values(), key=lambda h: h.count):
                if verify(head.payload(tip.installation), head.signature):
                    good.append((head.count, head.hash, head.at))
                else:
                    faults.append(AuditFault("head", head.count, "a signed head's signature is not valid"))
            return faults + find_faults(_all(conn), tip, good, lambda digest: _position(conn, digest))

    def export(self) -> Iterator[str]:
        """Every entry as a line of JSON, oldest first, then the newest signed head."""
        with self._database.read(EVERYWHERE) as conn:
            for entry in _all(conn):
                yield entry.line()
            for head in _heads(conn, 1):
                yield head.line()


def append(conn: Connection, tip: Tip, entries: Iterable[AuditEntry]) -> Tip:
    """Adds entries (their ``seq`` and hashes are set here) after ``tip``; gives the new tip.

    The caller holds the lock on the installation's row and writes the new tip into it.
    """
    count, last = tip.count, tip.hash
    for draft in entries:
        count += 1
        values = asdict(draft) | {"seq": count, "prev_hash": last, "hash": ""}
        last = AuditEntry(**values).hash_as(count)
        conn.execute(sa.insert(schema.audit).values(**values | {"hash": last}))
    return Tip(count, last, tip.installation)


def draft(at: float, by: str, organisation: str, action: str, subject: str, details: object) -> AuditEntry:
    """An entry that has no place in the chain yet."""
    return AuditEntry(0, at, by, organisation, action, subject, plain.dump(details), "", "")


def entry(row: sa.Row[Any]) -> AuditEntry:
    """The entry in a row of the table."""
    return AuditEntry(**row._mapping)


def _all(conn: Connection) -> Iterator[AuditEntry]:
    rows = conn.execution_options(yield_per=1000).execute(
        sa.select(schema.audit).order_by(schema.audit.c.seq)
    )
    return (entry(row) for row in rows)


def _tip(conn: Connection) -> Tip:
    row = conn.execute(sa.select(schema.installation)).one()
    return Tip(row.audit_count, row.audit_hash, row.name)


def _heads(conn: Connection, limit: int) -> list[SignedHead]:
    table = schema.audit_heads
    rows = conn.execute(sa.select(table).order_by(table.c.count.desc()).limit(limit))
    return [SignedHead(**row._mapping) for row in rows]


def _position(conn: Connection, digest: str) -> int | None:
    table = schema.audit
    found: int | None = conn.execute(sa.select(table.c.seq).where(table.c.hash == digest)).scalar()
    return found


def _canonical(value: object) -> bytes:
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode("utf-8", "surrogatepass")
