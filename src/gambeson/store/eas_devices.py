"""What an administrator decided of ActiveSync devices, by account and DeviceId.

A DeviceId is what a client merely claims (MS-ASHTTP section 2.2.1.1.1.2.3): it can shut a device out, never let one in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
        """Takes a decision back. Raises NotFound."""
        table, name = schema.eas_devices, device_id.lower()
        with self._changing(by, at) as change:
            if not change.delete(table, table.c.account == account, table.c.device_id == name):
                raise NotFound("Nothing was decided of this ActiveSync device.")
            change.audit("eas-device.forgotten", name, account=account)

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
