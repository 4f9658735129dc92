"""Devices: the registered things that read or send mail, and what binds a machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from gambeson.model.access import DoorKind
from gambeson.model.address import canonical
from gambeson.model.asset import Device, DeviceKind, DeviceState

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, NotFound
from .scope import Change, Scope, Scoped, Where

MAX_LIST = 100


class Devices(Scoped):
    """The devices of one organisation."""

    def create(
        self,
        account: str,
        name: str,
        *,
        doors: Iterable[DoorKind],
        kind: DeviceKind = DeviceKind.PERSONAL,
        state: DeviceState = DeviceState.REGISTERED,
        expires_at: float = 0.0,
        networks: Iterable[str] = (),
        senders: Iterable[str] = (),
        hourly_limit: int = 0,
        owner: str = "",
        review_at: float = 0.0,
        id: str = "",
        by: str,
        at: float,
    ) -> Device:
        """A new device of ``account`` (its id). Raises NotFound, BadValue, Conflict (name in use)."""
        given = {
            "name": name,
            "doors": doors,
            "kind": kind,
            "state": state,
            "expires_at": expires_at,
            "networks": networks,
            "senders": senders,
            "hourly_limit": hourly_limit,
            "owner": owner,
            "review_at": review_at,
        }
        values = {what: _CHECKS[what](value) for what, value in given.items()}
        device = plain.text(id, "id", 64) or plain.new_id("dev")
        with self._changing(by, at) as change:
            account_row(change, account)
            change.insert(
                schema.devices,
                taken=f"The account has a device named {values['name']} already: choose another name.",
                id=device,
                account=account,
                created_at=at,
                **values,
            )
            change.audit("device.created", device, account=account, **values)
            return _get(change, device)

    def get(self, id: str) -> Device:
        """The device. Raises NotFound."""
        with self._reading() as scope:
            return _get(scope, id)

    def list(
        self,
        *,
        account: str | None = None,
        kind: DeviceKind | None = None,
        state: DeviceState | None = None,
        limit: int = 100_000,
        offset: int = 0,
    ) -> Sequence[Device]:
        """The devices (of an account, of a kind, in a state) by account and name."""
        table = schema.devices
        where = _which(account, kind, state)
        with self._reading() as scope:
            order = [table.c.account, table.c.name]
            rows = scope.rows(table, *where, order=order, limit=limit, offset=offset)
        return [device_of(row) for row in rows]

    def count(
        self,
        *,
        account: str | None = None,
        kind: DeviceKind | None = None,
        state: DeviceState | None = None,
    ) -> int:
        """How many devices (of an account, of a kind, in a state) there are."""
        with self._reading() as scope:
            mine = schema.devices.c.organisation == scope.organisation
            query = sa.select(sa.func.count()).select_from(schema.devices)
            return int(scope.conn.execute(query.where(mine, *_which(account, kind, state))).scalar() or 0)

    def update(self, id: str, *, by: str, at: float, **changes: object) -> Device:
        """Changes the given fields of :class:`Device`. Raises NotFound, BadValue, Conflict."""
        unknown = set(changes) - set(_CHECKS)
        if unknown:
            raise BadValue(f"A device has no {sorted(unknown)[0]} that could be changed.")
        values = {what: _CHECKS[what](value) for what, value in changes.items()}
        with self._changing(by, at) as change:
            _get(change, id)
            if values:
                taken = "The account has a device of that name already: choose another name."
                change.update(schema.devices, schema.devices.c.id == id, taken=taken, **values)
            change.audit("device.changed", id, **values)
            return _get(change, id)

    def set_state(self, id: str, state: DeviceState, *, reason: str = "", by: str, at: float) -> Device:
        """Registers, quarantines, blocks or loses a device. Raises NotFound."""
        wanted = _state(state)
        why = plain.text(reason, "reason")
        with self._changing(by, at) as change:
            before = _get(change, id)
            change.update(schema.devices, schema.devices.c.id == id, state=wanted)
            change.audit("device.state-set", id, state=wanted, before=str(before.state), reason=why)
            return _get(change, id)

    def revoke(self, id: str, *, reason: str = "", by: str, at: float) -> Device:
        """Blocks the device and revokes its secrets and certificates for ever, in one change."""
        why = plain.text(reason, "reason")
        with self._changing(by, at) as change:
            _get(change, id)
            revoke_proofs(change, id, why or "device revoked")
            change.update(schema.devices, schema.devices.c.id == id, state=str(DeviceState.BLOCKED))
            change.audit("device.revoked", id, reason=why)
            return _get(change, id)

    def delete(self, id: str, *, by: str, at: float) -> None:
        """Removes the device and its credentials; its certificates are revoked first."""
        with self._changing(by, at) as change:
            device = _get(change, id)
            revoke_proofs(change, id, "device deleted")
            change.delete(schema.devices, schema.devices.c.id == id)
            change.audit("device.deleted", id, account=device.account, name=device.name)


def _which(account: str | None, kind: DeviceKind | None, state: DeviceState | None) -> list[Where]:
    table = schema.devices
    where: list[Where] = [] if account is None else [table.c.account == account]
    if kind is not None:
        where.append(table.c.kind == str(kind))
    if state is not None:
        where.append(table.c.state == str(state))
    return where


def revoke_proofs(change: Change, device: str, reason: str) -> None:
    """Revokes everything that the device proves itself with."""
    credentials, certificates = schema.credentials, schema.certificates
    change.update(
        credentials, credentials.c.device == device, credentials.c.revoked_at == 0, revoked_at=change.at
    )
    change.update(
        certificates,
        certificates.c.device == device,
        certificates.c.revoked_at == 0,
        revoked_at=change.at,
        revocation_reason=reason,
    )


def device_row(scope: Scope, id: str) -> sa.Row[Any]:
    """The device's row. Raises NotFound."""
    row = scope.one(schema.devices, schema.devices.c.id == id)
    if row is None:
        raise NotFound(f"There is no device {id[:80]}: see gambeson device list.")
    return row


def device_of(row: sa.Row[Any]) -> Device:
    """The device in a row."""
    return Device(
        id=row.id,
        organisation=row.organisation,
        account=row.account,
        name=row.name,
        kind=DeviceKind(row.kind),
        state=DeviceState(row.state),
        doors=_door_kinds(row.doors),
        created_at=row.created_at,
        expires_at=row.expires_at,
        networks=plain.words(row.networks),
        senders=plain.words(row.senders),
        hourly_limit=row.hourly_limit,
        owner=row.owner,
        review_at=row.review_at,
    )


def _get(scope: Scope, id: str) -> Device:
    return device_of(device_row(scope, id))


@lru_cache(maxsize=1024)
def _door_kinds(stored: str) -> tuple[DoorKind, ...]:
    return tuple(DoorKind(word) for word in plain.words(stored))


def _list(values: Any, what: str) -> list[str]:
    if isinstance(values, str):
        raise BadValue(f"The {what} are a list, not one word.")
    items = list(dict.fromkeys(str(v) for v in values))
    if len(items) > MAX_LIST:
        raise BadValue(f"A device has at most {MAX_LIST} {what}.")
    return items


def _doors(values: Any) -> str:
    try:
        return plain.dump([str(DoorKind(v)) for v in _list(values, "doors")])
    except ValueError as error:
        raise BadValue(f"A door has no such name ({error}).") from None


def _networks(values: Any) -> str:
    try:
        return plain.dump([str(ipaddress.ip_network(v, strict=False)) for v in _list(values, "networks")])
    except ValueError as error:
        raise BadValue(f"A network is written as 192.0.2.0/24 or 2001:db8::/32 ({error}).") from None


def _senders(values: Any) -> str:
    try:
        return plain.dump([canonical(v) for v in _list(values, "senders")])
    except ValueError as error:
        raise BadValue(str(error)) from None


def _state(value: Any) -> str:
    try:
        return str(DeviceState(value))
    except ValueError:
        raise BadValue(f"A device's state is one of {', '.join(DeviceState)}.") from None


def _kind(value: Any) -> str:
    try:
        return str(DeviceKind(value))
    except ValueError:
        raise BadValue(f"A device's kind is one of {', '.join(DeviceKind)}.") from None


def _hourly(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise BadValue("A device's hourly limit is between 0 (none of its own) and 1000000 messages.")
    return value


# What may be given, and how each is brought into the form that is stored.
_CHECKS: dict[str, Any] = {
    "name": lambda v: plain.text(v, "device's name", 100, empty=False),
    "doors": _doors,
    "kind": _kind,
    "state": _state,
    "expires_at": lambda v: plain.moment(v, "end of the device"),
    "networks": _networks,
    "senders": _senders,
    "hourly_limit": _hourly,
    "owner": lambda v: plain.text(v, "owner", 254),
    "review_at": lambda v: plain.moment(v, "date of review"),
}
