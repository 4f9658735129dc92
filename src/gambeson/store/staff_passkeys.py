"""Passkeys of staff: the only thing that signs in at the console.

What opens a mailbox never opens the console: these stand in a table of their own, and a passkey of the portal is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from . import plain, staff_links
from . import staff_schema as tables
from .authenticators import (
    MAX_CREDENTIAL_ID,
    MAX_KEY,
    MAX_PASSKEYS,
    MAX_TRANSPORTS,
    UsedAlready,
    counter,
)
from .errors import BadValue, Conflict, NotFound
from .installation import Installed, WholeChange
from .staff_rows import owned_still, staff_row


@dataclass(frozen=True, slots=True)
class StoredPasskey:
    """``public_id`` is the credential id, ``public_key`` its COSE octets. ``last_used`` 0: never."""

    id: str
    staff: str
    name: str
    public_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int = 0
    backup_eligible: bool = False
    backed_up: bool = False
    transports: tuple[str, ...] = ()
    created_at: float = 0.0
    last_used: float = 0.0


class StaffPasskeys(Installed):
    """The passkeys part of :class:`gambeson.store.staff.StaffStore`."""

    def passkeys(self, staff: str) -> Sequence[StoredPasskey]:
        """Those of a member of staff, oldest first. Empty for one who is not there."""
        table = tables.staff_passkeys
        with self._reading() as scope:
            rows = scope.rows(table, table.c.staff == staff, order=[table.c.created_at, table.c.id])
        return [passkey_of(row) for row in rows]

    def passkey(self, public_id: bytes) -> StoredPasskey | None:
        """The passkey of a credential id, or None."""
        table = tables.staff_passkeys
        with self._reading() as scope:
            row = scope.one(table, table.c.public_id == public_id.hex())
        return passkey_of(row) if row is not None else None

    def add_passkey(
        self,
        staff: str,
        *,
        name: str,
        public_id: bytes,
        public_key: bytes,
        sign_count: int = 0,
        backup_eligible: bool = False,
        backed_up: bool = False,
        transports: Iterable[str] = (),
        link: bytes = b"",
        by: str,
        at: float,
    ) -> StoredPasskey:
        """Keeps a new one. ``link``: the verifier of the link that allows it, which is used up in the same transaction.
        Raises NotFound, BadValue, Conflict (known, too many, disabled, the link was used or is another's)."""
        ways = tuple(transports)
        if not 0 < len(public_id) <= MAX_CREDENTIAL_ID or not 0 < len(public_key) <= MAX_KEY:
            raise BadValue("A passkey has a credential id and a public key, neither too long.")
        if len(ways) > MAX_TRANSPORTS:
            raise BadValue(f"A passkey names at most {MAX_TRANSPORTS} transports.")
        table, new = tables.staff_passkeys, plain.new_id("key")
        with self._changing(by, at) as change:
            staff_row(change, staff, enabled=True)
            if link and staff_links.spend(change, link).staff != staff:
                raise Conflict("This link is another member of staff's.")
            if len(change.rows(table, table.c.staff == staff)) >= MAX_PASSKEYS:
                raise Conflict(f"A member of staff has at most {MAX_PASSKEYS} passkeys: remove one first.")
            change.insert(
                table,
                taken="This passkey is registered already: use it, or take another one.",
                id=new,
                staff=staff,
                name=plain.text(name, "name", 100),
                public_id=public_id.hex(),
                public_key=bytes(public_key),
                sign_count=counter(sign_count),
                backup_eligible=bool(backup_eligible),
                backed_up=bool(backed_up),
                transports=plain.dump([plain.text(way, "transport", 40) for way in ways]),
                created_at=change.at,
                last_used=0.0,
            )
            change.audit("staff-passkey.added", new, staff=staff, name=name)
            return passkey_of(_row(change, new))

    def use_passkey(self, id: str, *, sign_count: int, backed_up: bool, by: str, at: float) -> StoredPasskey:
        """One was used. Raises NotFound, BadValue, Conflict (disabled), and UsedAlready for a counter that does not
        grow, unless it never counted (WebAuthn section 6.1.1: both 0)."""
        with self._changing(by, at) as change:
            row = _row(change, id)
            staff_row(change, row.staff, enabled=True)
            if (row.sign_count or sign_count) and counter(sign_count) <= row.sign_count:
                raise UsedAlready("This passkey's counter went back: it may be a copy.")
            values: dict[str, Any] = {
                "sign_count": sign_count,
                "backed_up": bool(backed_up),
                "last_used": change.at,
            }
            change.update(tables.staff_passkeys, tables.staff_passkeys.c.id == id, **values)
            change.audit("staff-passkey.used", id, staff=row.staff)
            return passkey_of(_row(change, id))

    def remove_passkey(self, staff: str, id: str, *, keep_one: bool = True, by: str, at: float) -> None:
        """Forgets one of a member of staff's. Raises NotFound; Conflict with ``keep_one`` for the last one, and where
        nobody would own the installation any more."""
        table = tables.staff_passkeys
        with self._changing(by, at) as change, owned_still(change):
            row = change.one(table, table.c.id == id, table.c.staff == staff)
            if row is None:
                raise NotFound(f"There is no passkey {id[:80]!a} of this member of staff.")
            if keep_one and change.one(table, table.c.staff == staff, table.c.id != id) is None:
                raise Conflict("This is the last passkey: add another one first.")
            change.delete(table, table.c.id == id)
            change.audit("staff-passkey.removed", id, staff=staff, name=row.name)


def passkey_of(row: sa.Row[Any]) -> StoredPasskey:
    """The passkey in a row."""
    values = dict(row._mapping)
    return StoredPasskey(
        **values | {"public_id": bytes.fromhex(row.public_id), "transports": plain.words(row.transports)}
    )


def _row(change: WholeChange, id: str) -> sa.Row[Any]:
    row = change.one(tables.staff_passkeys, tables.staff_passkeys.c.id == id)
    if row is None:
        raise NotFound(f"There is no passkey {id[:80]!a}.")
    return row
