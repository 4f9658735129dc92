"""Policy versions, door modes, the emergency bypass and named sealed boxes of an organisation.

A policy is kept as the text that somebody wrote; what it means is read above the store. A version is
never changed: putting an old one back makes it the active one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gambeson.model.access import DoorKind, Mode
from gambeson.model.rule import ModeEntry

from . import plain, schema
from .accounts import account_row
from .errors import BadValue, NotFound
from .scope import Scoped

MAX_POLICY = 512 * 1024
MAX_BOX = 64 * 1024


@dataclass(frozen=True, slots=True)
class PolicySource:
    """One version of an organisation's policy: TOML text, who wrote it, when and why."""

    organisation: str
    version: int
    source: str
    note: str = ""
    by: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A version without its text, whose length in characters is ``size``."""

    version: int
    note: str
    by: str
    at: float
    size: int


@dataclass(frozen=True, slots=True)
class Bypass:
    """``guard open``: the doors let through until ``until``; ``by`` answers for it."""

    organisation: str
    until: float
    reason: str
    by: str
    at: float


class Policies(Scoped):
    """The policy versions of one organisation."""

    def add(self, source: str, *, note: str = "", activate: bool = True, by: str, at: float) -> PolicySource:
        """A new version, active at once unless said otherwise. Parse it first: the store does not."""
        plain.text(source, "policy", MAX_POLICY, lines=True)
        plain.text(note, "note")
        with self._changing(by, at) as change:
            version = change.highest(schema.policies.c.version) + 1
            change.insert(schema.policies, version=version, source=source, note=note, by=by, at=at)
            if activate:
                change.update(schema.organisations, policy_version=version)
            change.audit("policy.added", str(version), note=note, active=activate)
        return PolicySource(self._organisation, version, source, note, by, at)

    def get(self, version: int) -> PolicySource:
        """That version. Raises NotFound."""
        with self._reading() as scope:
            row = scope.one(schema.policies, schema.policies.c.version == version)
        if row is None:
            raise NotFound(f"There is no policy version {version}: see gambeson policy list.")
        return policy_of(row)

    def active(self) -> PolicySource | None:
        """The active version, or None where the organisation has no policy yet."""
        with self._reading() as scope:
            organisation = scope.one(schema.organisations)
            version = organisation.policy_version if organisation is not None else 0
            row = scope.one(schema.policies, schema.policies.c.version == version)
        return policy_of(row) if row is not None else None

    def list(self) -> Sequence[PolicySource]:
        """Every version, newest first."""
        with self._reading() as scope:
            rows = scope.rows(schema.policies, order=[schema.policies.c.version.desc()])
        return [policy_of(row) for row in rows]

    def history(self, *, offset: int = 0, limit: int = 50) -> tuple[Sequence[PolicyVersion], int]:
        """Some versions without their texts, newest first, and how many there are."""
        table = schema.policies
        columns = (
            table.c.version,
            table.c.note,
            table.c.by,
            table.c.at,
            sa.func.length(table.c.source).label("size"),
        )
        with self._reading() as scope:
            mine = table.c.organisation == scope.organisation
            query = (
                sa.select(*columns).where(mine).order_by(table.c.version.desc()).limit(limit).offset(offset)
            )
            total = scope.conn.execute(sa.select(sa.func.count()).select_from(table).where(mine)).scalar()
            return [PolicyVersion(**row._mapping) for row in scope.conn.execute(query)], int(total or 0)

    def active_number(self) -> int:
        """The number of the version in force; 0 where none is."""
        with self._reading() as scope:
            organisation = scope.one(schema.organisations)
        return organisation.policy_version if organisation is not None else 0

    def activate(self, version: int, *, by: str, at: float) -> PolicySource:
        """Makes an older (or newer) version the active one. Raises NotFound."""
        policy = self.get(version)
        with self._changing(by, at) as change:
            change.update(schema.organisations, policy_version=version)
            change.audit("policy.activated", str(version))
        return policy

    def reset(self, *, by: str, at: float) -> None:
        """None of the versions is active any more: the policy that Gambeson brings holds. The versions stay."""
        with self._changing(by, at) as change:
            change.update(schema.organisations, policy_version=0)
            change.audit("policy.reset", "0")


class Modes(Scoped):
    """How far each door holds: for the organisation, a group or an account."""

    def set(
        self,
        door: DoorKind,
        mode: Mode,
        *,
        until: float = 0.0,
        group: str = "",
        account: str = "",
        reason: str = "",
        by: str,
        at: float,
    ) -> ModeEntry:
        """Sets one entry. observe and warn need an end. Raises BadValue, NotFound (account)."""
        entry = ModeEntry(DoorKind(door), Mode(mode), plain.moment(until, "end"), group, account)
        plain.text(group, "group's name", 100)
        plain.text(reason, "reason")
        if group and account:
            raise BadValue("A mode is set for a group or for an account, not for both.")
        if entry.mode is not Mode.ENFORCE and entry.until <= at:
            raise BadValue(f"The mode {entry.mode} needs an end in the future: say until when.")
        where = _mode_key(entry.door, group, account)
        with self._changing(by, at) as change:
            if account:
                account_row(change, account)
            change.delete(schema.modes, *where)
            change.insert(
                schema.modes,
                door=str(entry.door),
                group_name=group,
                account=account,
                mode=str(entry.mode),
                until=entry.until,
                reason=reason,
            )
            change.audit(
                "mode.set",
                str(entry.door),
                mode=str(entry.mode),
                until=entry.until,
                group=group,
                account=account,
                reason=reason,
            )
        return entry

    def clear(self, door: DoorKind, *, group: str = "", account: str = "", by: str, at: float) -> None:
        """Takes an entry away: the next wider one holds. Raises NotFound."""
        with self._changing(by, at) as change:
            if not change.delete(schema.modes, *_mode_key(DoorKind(door), group, account)):
                raise NotFound(f"There is no mode set for {door} there: see gambeson guard mode.")
            change.audit("mode.cleared", str(door), group=group, account=account)

    def list(self) -> Sequence[ModeEntry]:
        """Every entry."""
        with self._reading() as scope:
            rows = scope.rows(schema.modes, order=[schema.modes.c.door, schema.modes.c.group_name])
        return [mode_of(row) for row in rows]


class Bypasses(Scoped):
    """The emergency bypass of one organisation."""

    def open(self, until: float, reason: str, *, by: str, at: float) -> Bypass:
        """Opens until ``until`` (at most 24 hours from ``at``). Raises BadValue."""
        plain.text(reason, "reason", empty=False)
        if not at < plain.moment(until, "end") <= at + 24 * 3600:
            raise BadValue("The bypass ends within 24 hours: give a shorter time.")
        with self._changing(by, at) as change:
            change.delete(schema.bypasses)
            change.insert(schema.bypasses, until=until, reason=reason, by=by, at=at)
            change.audit("bypass.opened", self._organisation, until=until, reason=reason)
        return Bypass(self._organisation, until, reason, by, at)

    def close(self, *, by: str, at: float) -> bool:
        """Closes it now; False where none was there."""
        with self._changing(by, at) as change:
            was = change.delete(schema.bypasses) > 0
            change.audit("bypass.closed", self._organisation, was_open=was)
        return was

    def get(self) -> Bypass | None:
        """The last bypass that was opened and not closed; look at its ``until``."""
        with self._reading() as scope:
            row = scope.one(schema.bypasses)
        return Bypass(**row._mapping) if row is not None else None


class SealedBoxes(Scoped):
    """Named secrets that the keeper sealed (a master password, a directory's bind password)."""

    def put(self, name: str, box: bytes, *, by: str, at: float) -> None:
        """Stores a box; one of that name is replaced."""
        plain.text(name, "name", 100, empty=False)
        if not 0 < len(box) <= MAX_BOX:
            raise BadValue(f"A sealed box has between 1 and {MAX_BOX} bytes.")
        with self._changing(by, at) as change:
            change.delete(schema.sealed, schema.sealed.c.name == name)
            change.insert(schema.sealed, name=name, box=bytes(box), at=at)
            change.audit("sealed.put", name)

    def get(self, name: str) -> bytes:
        """The box. Raises NotFound."""
        with self._reading() as scope:
            row = scope.one(schema.sealed, schema.sealed.c.name == name)
        if row is None:
            raise NotFound(f"There is no sealed secret named {name[:80]}.")
        return bytes(row.box)

    def names(self) -> Sequence[str]:
        """The names of the boxes."""
        with self._reading() as scope:
            return [row.name for row in scope.rows(schema.sealed, order=[schema.sealed.c.name])]

    def delete(self, name: str, *, by: str, at: float) -> None:
        """Throws a box away. Raises NotFound."""
        with self._changing(by, at) as change:
            if not change.delete(schema.sealed, schema.sealed.c.name == name):
                raise NotFound(f"There is no sealed secret named {name[:80]}.")
            change.audit("sealed.deleted", name)


def policy_of(row: sa.Row[Any]) -> PolicySource:
    """The policy version in a row."""
    return PolicySource(**row._mapping)


def mode_of(row: sa.Row[Any]) -> ModeEntry:
    """The mode entry in a row."""
    return ModeEntry(DoorKind(row.door), Mode(row.mode), row.until, row.group_name, row.account)


def _mode_key(door: DoorKind, group: str, account: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = schema.modes
    return (table.c.door == str(door), table.c.group_name == group, table.c.account == account)
