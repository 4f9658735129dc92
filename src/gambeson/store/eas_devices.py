"""What an administrator decided of ActiveSync devices, by account and DeviceId, and which DeviceId each credential
came with first.

A DeviceId is what a client merely claims (MS-ASHTTP section 2.2.1.1.1.2.3): it can shut a device out, never let one in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from . import schema
from .accounts import account_row
from .errors import BadValue, Conflict, NotFound
from .scope import Scoped

QUARANTINED = "quarantined"
DECISIONS = ("allowed", "blocked", QUARANTINED)
MAX_DEVICES = 200  # of one account
_DEVICE_ID = re.compile(r"[0-9a-z._{}-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class EasDevice:
    """One decision, by whom and when."""

    organisation: str
    account: str
    device_id: str
    decision: str
    by: str
    at: float


class EasDevices(Scoped):
    """The decisions of one organisation."""

    def decide(self, account: str, device_id: str, decision: str, *, by: str, at: float) -> EasDevice:
        """Decides of a device, in place of what was decided. Raises NotFound, BadValue, Conflict."""
        name = device_id.lower()
        if not _DEVICE_ID.match(name):
            raise BadValue("An ActiveSync DeviceId has 1 to 64 letters, digits and . _ - { }.")
        if decision not in DECISIONS:
            raise BadValue(f"An ActiveSync device is one of {', '.join(DECISIONS)}.")
        table = schema.eas_devices
        with self._changing(by, at) as change:
            account_row(change, account)
            change.delete(table, table.c.account == account, table.c.device_id == name)
            if len(change.rows(table, table.c.account == account)) >= MAX_DEVICES:
                raise Conflict(f"An account has at most {MAX_DEVICES} ActiveSync devices: forget one first.")
            change.insert(table, account=account, device_id=name, decision=decision, by=change.by, at=at)
            change.audit("eas-device.decided", name, account=account, decision=decision)
        return EasDevice(self._organisation, account, name, decision, by, at)

    def forget(self, account: str, device_id: str, *, by: str, at: float) -> None:
        """Takes a decision back; what came with this DeviceId first, may come with another. Raises NotFound."""
        name = device_id.lower()
        with self._changing(by, at) as change:
            gone = [
                change.delete(table, table.c.account == account, table.c.device_id == name)
                for table in (schema.eas_devices, schema.eas_firsts)
            ]
            if not any(gone):
                raise NotFound(
                    "Nothing was decided of this ActiveSync device, and it is no credential's first."
                )
            change.audit("eas-device.forgotten", name, account=account, firsts=gone[1])

    def came_first(self, credential: str, account: str, device_id: str, *, by: str, at: float) -> bool:
        """Keeps the DeviceId that an account's credential came with, where it has none; whether it is kept now. Another
        one than before changes nothing. Raises NotFound (no such credential of the account), BadValue."""
        name, table, of = device_id.lower(), schema.eas_firsts, schema.credentials
        if not _DEVICE_ID.match(name):
            raise BadValue("An ActiveSync DeviceId has 1 to 64 letters, digits and . _ - { }.")
        with self._reading() as scope:
            if scope.one(table, table.c.credential == credential) is not None:
                return False
        with self._changing(by, at) as change:
            row = change.one(of, of.c.id == credential)
            owner = change.one(schema.devices, schema.devices.c.id == row.device) if row is not None else None
            if owner is None or owner.account != account:
                raise NotFound("The account has no such credential.")
            if change.one(table, table.c.credential == credential) is not None:
                return False
            change.insert(table, credential=credential, account=account, device_id=name, at=change.at)
            change.audit("eas-device.came-first", name, account=account, credential=credential)
        return True

    def firsts(self, *, account: str | None = None) -> Mapping[str, str]:
        """The first DeviceId of each credential (of an account) that has one."""
        table = schema.eas_firsts
        where = [] if account is None else [table.c.account == account]
        with self._reading() as scope:
            return {row.credential: row.device_id for row in scope.rows(table, *where)}

    def list(self, *, account: str | None = None) -> Sequence[EasDevice]:
        """The decisions (of an account), by account and DeviceId."""
        table = schema.eas_devices
        where = [] if account is None else [table.c.account == account]
        with self._reading() as scope:
            rows = scope.rows(table, *where, order=[table.c.account, table.c.device_id])
        return [eas_device_of(row) for row in rows]


def eas_device_of(row: sa.Row[Any]) -> EasDevice:
    """The decision in a row."""
    return EasDevice(**row._mapping)


def firsts_in_use() -> sa.Select[Any]:
    """Credential and first DeviceId of those that are not revoked, of all organisations."""
    table, of = schema.eas_firsts, schema.credentials
    joined = sa.and_(of.c.organisation == table.c.organisation, of.c.id == table.c.credential)
    return (
        sa.select(table.c.credential, table.c.device_id)
        .join(of, joined)
        .where(of.c.revoked_at == 0)
        .order_by(table.c.credential)
    )
