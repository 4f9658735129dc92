"""Invitations: who was asked to bind a second factor, and how far each is.

An invitation is a binding code that was printed and handed out, and the row that remembers it. The row says what came
of it: when a binding code was used, when the person signed in at the portal for the first time after it. Whether there
is a second factor or a device is looked up where those are, so that nothing here can be out of date.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gambeson.model.asset import DeviceState

from . import plain, schema
from .authenticators import AuthenticatorKind
from .binding_codes import keep
from .errors import BadValue
from .scope import Scope, Scoped, Where

MAX_AT_ONCE = 1_000
MAX_LISTED = 200


class Among(StrEnum):
    """Whom an invitation may be for."""

    GROUP = "group"
    NO_FACTOR = "no-factor"
    NO_DEVICE = "no-device"
    NOT_YET = "not-yet"  # invited, and without a second factor still
    PEOPLE = "people"


class Progress(StrEnum):
    """Which invitations to list."""

    ALL = "all"
    NOT_YET = "not-yet"  # no second factor
    OVER = "over"  # no second factor, and no code that is good
    NO_DEVICE = "no-device"
    THERE = "there"  # second factor and device


@dataclass(frozen=True, slots=True)
class Chosen:
    """``total`` is how many fit, ``people`` the first of them by address: (account's id, address)."""

    total: int
    people: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Invitation:
    """One person's. ``code_until`` is when the account's unused code ends, 0 where none is good. Times 0: not yet."""

    account: str
    address: str
    enabled: bool
    by: str
    made_at: float
    times: int
    used_at: float
    first_sign_in: float
    code_until: float
    factor: bool
    device: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Of everybody invited: how many there are, have used a code, a second factor, a device, both, a code that is good
    and no factor yet, neither factor nor good code."""

    invited: int = 0
    used: int = 0
    factor: int = 0
    device: int = 0
    there: int = 0
    waiting: int = 0
    over: int = 0


class Invitations(Scoped):
    """The invitations of one organisation, at most one for each account."""

    def groups(self) -> Sequence[str]:
        """The names of the groups that accounts are in."""
        table = schema.accounts
        with self._reading() as scope:
            query = sa.select(table.c.groups).where(table.c.organisation == scope.organisation).distinct()
            rows = scope.conn.execute(query.limit(10_000)).scalars().all()
        return sorted({name for row in rows for name in plain.words(row)}, key=str.casefold)

    def choose(
        self,
        among: Among,
        *,
        group: str = "",
        people: Sequence[str] = (),
        replacing: bool = False,
        at: float,
        limit: int = MAX_AT_ONCE,
    ) -> Chosen:
        """Who that would be: enabled accounts by address. ``people`` are ids or addresses. Who has a code that is good
        is left out, unless it is to be replaced."""
        table = schema.accounts
        if len(people) > MAX_AT_ONCE:
            raise BadValue(f"At most {MAX_AT_ONCE} people are invited at once.")
        with self._reading() as scope:
            where = [table.c.organisation == scope.organisation, table.c.enabled.is_(True)]
            where.append(_AMONG[among](scope.organisation, group, people))
            if not replacing:
                where.append(sa.not_(_code(scope.organisation, table.c.id, at)))
            total = scope.conn.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar()
            query = sa.select(table.c.id, table.c.address).where(*where).order_by(table.c.address)
            rows = scope.conn.execute(query.limit(min(limit, MAX_AT_ONCE))).all()
        return Chosen(int(total or 0), tuple((row.id, row.address) for row in rows))

    def search(self, text: str, *, limit: int = 20) -> Sequence[tuple[str, str]]:
        """Enabled accounts whose address has ``text`` in it: (id, address)."""
        table = schema.accounts
        with self._reading() as scope:
            query = sa.select(table.c.id, table.c.address).where(
                table.c.organisation == scope.organisation,
                table.c.enabled.is_(True),
                table.c.address.contains(text.strip().lower(), autoescape=True),
            )
            rows = scope.conn.execute(query.order_by(table.c.address).limit(min(limit, MAX_LISTED))).all()
        return [(row.id, row.address) for row in rows]

    def make(self, codes: Sequence[tuple[str, bytes]], *, good_for: float, by: str, at: float) -> float:
        """Keeps new codes, (account's id, verifier) each, and that they were handed out: all of them, or none. Gives
        when they end. Raises NotFound, BadValue."""
        if not 0 < len(codes) <= MAX_AT_ONCE or len({account for account, _ in codes}) != len(codes):
            raise BadValue(f"Between 1 and {MAX_AT_ONCE} people are invited at once, each once.")
        table, ends = schema.invitations, 0.0
        with self._changing(by, at) as change:
            for account, verifier in codes:
                ends = keep(change, account, verifier, good_for, {"kind": "invitation"})
                known = change.one(table, table.c.account == account)
                change.delete(table, table.c.account == account)
                change.insert(
                    table,
                    account=account,
                    by=change.by,
                    made_at=at,
                    expires_at=ends,
                    used_at=0.0,
                    first_sign_in=0.0,
                    times=1 if known is None else known.times + 1,
                )
        return ends

    def list(
        self,
        progress: Progress = Progress.ALL,
        *,
        text: str = "",
        at: float,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[Sequence[Invitation], int]:
        """Invitations by address, and how many there are of that kind."""
        table, accounts = schema.invitations, schema.accounts
        with self._reading() as scope:
            factor, device, code = _states(scope, at)
            where = [_PROGRESS[progress](factor, device, code)]
            if text.strip():
                where.append(accounts.c.address.contains(text.strip().lower(), autoescape=True))
            columns = (*table.c, accounts.c.address, accounts.c.enabled)
            query = _joined(scope, *columns, factor.label("factor"), device.label("device")).where(*where)
            total = scope.conn.execute(_joined(scope, sa.func.count()).where(*where)).scalar()
            query = query.order_by(accounts.c.address).limit(min(limit, MAX_LISTED)).offset(offset)
            rows = scope.conn.execute(query).all()
            codes = schema.binding_codes
            good = scope.rows(
                codes, codes.c.account.in_([row.account for row in rows]), codes.c.expires_at > at
            )
        until = {row.account: float(row.expires_at) for row in good}
        return [_invitation(row, until.get(row.account, 0.0)) for row in rows], int(total or 0)

    def counts(self, at: float) -> Counts:
        """How far everybody is."""
        table = schema.invitations
        with self._reading() as scope:
            factor, device, code = _states(scope, at)
            wanted = {
                "used": table.c.used_at > 0,
                "factor": factor,
                "device": device,
                "there": sa.and_(factor, device),
                "waiting": sa.and_(sa.not_(factor), code),
                "over": sa.and_(sa.not_(factor), sa.not_(code)),
            }
            sums = [sa.func.sum(sa.case((c, 1), else_=0)).label(name) for name, c in wanted.items()]
            row = scope.conn.execute(_joined(scope, sa.func.count().label("invited"), *sums)).one()
        return Counts(**{name: int(value or 0) for name, value in row._mapping.items()})


def _joined(scope: Scope, *columns: Any) -> sa.Select[Any]:
    table, accounts = schema.invitations, schema.accounts
    both = sa.and_(accounts.c.organisation == table.c.organisation, accounts.c.id == table.c.account)
    joined = sa.select(*columns).select_from(table.join(accounts, both))
    return joined.where(table.c.organisation == scope.organisation)


def _states(scope: Scope, at: float) -> tuple[Where, Where, Where]:
    account = schema.invitations.c.account
    mine = scope.organisation
    return _factor(mine, account), _device(mine, account), _code(mine, account, at)


def _factor(organisation: str, account: sa.ColumnElement[str]) -> Where:
    """Whether there is a second factor: one that signs in."""
    table = schema.authenticators
    return sa.exists().where(
        table.c.organisation == organisation,
        table.c.account == account,
        table.c.kind != str(AuthenticatorKind.RECOVERY),
    )


def _device(organisation: str, account: sa.ColumnElement[str]) -> Where:
    table = schema.devices
    return sa.exists().where(
        table.c.organisation == organisation,
        table.c.account == account,
        table.c.state == str(DeviceState.REGISTERED),
    )


def _code(organisation: str, account: sa.ColumnElement[str], at: float) -> Where:
    table = schema.binding_codes
    return sa.exists().where(
        table.c.organisation == organisation, table.c.account == account, table.c.expires_at > at
    )


def _in_group(organisation: str, group: str, people: Sequence[str]) -> Where:
    """Groups are stored as a list in JSON: a name in quotes is in it or not."""
    return schema.accounts.c.groups.contains(json.dumps(group, ensure_ascii=False), autoescape=True)


def _one_of(organisation: str, group: str, people: Sequence[str]) -> Where:
    table, names = schema.accounts, schema.addresses
    wanted = [each.strip().lower() for each in people if each.strip()]
    known = sa.select(names.c.account).where(
        names.c.organisation == organisation, names.c.address.in_(wanted)
    )
    return sa.or_(table.c.id.in_(list(people)), table.c.id.in_(known))


def _not_yet(organisation: str, group: str, people: Sequence[str]) -> Where:
    table, account = schema.invitations, schema.accounts.c.id
    invited = sa.exists().where(table.c.organisation == organisation, table.c.account == account)
    return sa.and_(invited, sa.not_(_factor(organisation, account)))


_AMONG: dict[Among, Any] = {
    Among.GROUP: _in_group,
    Among.NO_FACTOR: lambda org, *_: sa.not_(_factor(org, schema.accounts.c.id)),
    Among.NO_DEVICE: lambda org, *_: sa.not_(_device(org, schema.accounts.c.id)),
    Among.NOT_YET: _not_yet,
    Among.PEOPLE: _one_of,
}
_PROGRESS: dict[Progress, Any] = {
    Progress.ALL: lambda _factor, _device, _code: sa.true(),
    Progress.NOT_YET: lambda factor, _device, _code: sa.not_(factor),
    Progress.OVER: lambda factor, _device, code: sa.and_(sa.not_(factor), sa.not_(code)),
    Progress.NO_DEVICE: lambda _factor, device, _code: sa.not_(device),
    Progress.THERE: lambda factor, device, _code: sa.and_(factor, device),
}


def _invitation(row: sa.Row[Any], code_until: float) -> Invitation:
    return Invitation(
        account=row.account,
        address=row.address,
        enabled=bool(row.enabled),
        by=row.by,
        made_at=row.made_at,
        times=int(row.times),
        used_at=row.used_at,
        first_sign_in=row.first_sign_in,
        code_until=code_until,
        factor=bool(row.factor),
        device=bool(row.device),
    )
