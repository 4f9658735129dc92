"""The accounts of one organisation as lists of people: a page at a time, counted, and written many at once.

Ten thousand accounts are never read to show fifty: what is asked for is asked in SQL, and a page costs five statements
however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from gambeson.model.address import canonical, domain_of
from gambeson.model.asset import Account, DeviceState, IdentitySource

from . import plain, schema
from .accounts import MAX_ALIASES, MAX_GROUPS, account_of, aliases_by_account
from .errors import BadValue, Conflict, NotFound
from .scope import Change, Scope, Scoped

MAX_PAGE = 200
MAX_AT_ONCE = 500  # written in one change
_SAMPLE = 20_000  # distinct lists of groups that are looked through


@dataclass(frozen=True, slots=True)
class PeopleQuery:
    """Which accounts. ``search`` is a part of an address or alias, ``group`` a group's whole name. ``among``: only
    those (their ids); None: all. ``without_device``: those that no registered device belongs to."""

    search: str = ""
    group: str = ""
    without_device: bool = False
    without_factor: bool = False
    off: bool = False
    among: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """An account, how many devices it has by state, and the kinds of its second factors (a passkey for each)."""

    account: Account
    devices: Mapping[str, int] = field(default_factory=dict)
    factors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeopleCounts:
    """How many accounts there are, and of how many something is missing."""

    total: int
    off: int
    without_device: int
    without_factor: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as it is to be: a new one where ``account`` is empty. Of one that is there, None changes nothing."""

    address: str
    account: str = ""
    aliases: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    server: str | None = None
    upstream_login: str | None = None


class People(Scoped):
    """The people of one organisation."""

    def page(self, query: PeopleQuery, *, limit: int = 50, offset: int = 0) -> tuple[int, Sequence[Person]]:
        """How many fit, and some of them, by address."""
        table = schema.accounts
        with self._reading() as scope:
            where = [table.c.organisation == self._organisation, *self._where(scope, query)]
            total = scope.conn.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar()
            rows = scope.rows(
                table, *where, order=[table.c.address], limit=min(limit, MAX_PAGE), offset=max(0, offset)
            )
            ids = [row.id for row in rows]
            if not ids:
                return int(total or 0), []
            aliases = aliases_by_account(scope.rows(schema.addresses, schema.addresses.c.account.in_(ids)))
            devices: dict[str, dict[str, int]] = {}
            for account, state, count in self._counted(scope, schema.devices, schema.devices.c.state, ids):
                devices.setdefault(account, {})[state] = count
            factors: dict[str, list[str]] = {}
            kinds = schema.authenticators
            for account, kind, count in self._counted(scope, kinds, kinds.c.kind, ids):
                factors.setdefault(account, []).extend([kind] * count)
        return int(total or 0), [
            Person(
                account_of(row, aliases.get(row.id, ())),
                devices.get(row.id, {}),
                tuple(sorted(factors.get(row.id, ()))),
            )
            for row in rows
        ]

    def counts(self) -> PeopleCounts:
        """All, switched off, without a registered device, without a second factor."""
        accounts, devices, factors = schema.accounts, schema.devices, schema.authenticators
        mine = accounts.c.organisation == self._organisation
        registered = devices.c.state == str(DeviceState.REGISTERED)
        query = sa.select(
            sa.select(sa.func.count()).select_from(accounts).where(mine).scalar_subquery(),
            sa.select(sa.func.count())
            .select_from(accounts)
            .where(mine, accounts.c.enabled.is_(False))
            .scalar_subquery(),
            sa.select(sa.func.count(devices.c.account.distinct()))
            .where(devices.c.organisation == self._organisation, registered)
            .scalar_subquery(),
            sa.select(sa.func.count(factors.c.account.distinct()))
            .where(factors.c.organisation == self._organisation)
            .scalar_subquery(),
        )
        with self._reading() as scope:
            total, off, with_device, with_factor = scope.conn.execute(query).one()
        return PeopleCounts(int(total), int(off), int(total - with_device), int(total - with_factor))

    def groups(self) -> tuple[str, ...]:
        """The names of the groups that somebody is in, in alphabetical order."""
        table = schema.accounts
        query = (
            sa.select(table.c.groups)
            .distinct()
            .where(table.c.organisation == self._organisation, table.c.groups != "[]")
            .limit(_SAMPLE)
        )
        with self._reading() as scope:
            stored = scope.conn.execute(query).scalars().all()
        return tuple(
            sorted({name for each in stored for name in plain.words(each)}, key=lambda n: (n.casefold(), n))
        )

    def write(self, wanted: Sequence[Wanted], *, by: str, at: float) -> int:
        """Makes or changes up to ``MAX_AT_ONCE`` accounts in one change, or none of them; gives how many. Raises
        BadValue, Conflict (an address in use), NotFound."""
        if len(wanted) > MAX_AT_ONCE:
            raise BadValue(f"At most {MAX_AT_ONCE} accounts are written at once.")
        with self._changing(by, at) as change:
            domains = {row.domain for row in change.rows(schema.domains)}
            held = _holders(change, wanted)
            for each in wanted:
                if each.account:
                    _change(change, each, domains, held)
                else:
                    _make(change, each, domains, held)
            if not wanted:
                change.unaudited()
        return len(wanted)

    def _counted(
        self, scope: Scope, table: sa.Table, column: sa.ColumnElement[Any], ids: list[str]
    ) -> Iterable[tuple[str, str, int]]:
        query = (
            sa.select(table.c.account, column, sa.func.count())
            .where(table.c.organisation == self._organisation, table.c.account.in_(ids))
            .group_by(table.c.account, column)
        )
        return [(row[0], row[1], int(row[2])) for row in scope.conn.execute(query)]

    def _where(self, scope: Scope, query: PeopleQuery) -> list[sa.ColumnElement[bool]]:
        table, names, mine = schema.accounts, schema.addresses, self._organisation
        where: list[sa.ColumnElement[bool]] = []
        if query.search:
            said = plain.text(query.search, "search", 254).strip().lower()
            found = sa.select(names.c.account).where(
                names.c.organisation == mine, names.c.address.contains(said, autoescape=True)
            )
            where.append(table.c.id.in_(found))
        if query.group:
            # A list of words is kept as canonical JSON, so a whole name stands between its quotes.
            needle = plain.dump([plain.text(query.group, "group's name", 100)])[1:-1]
            place = sa.func.strpos if scope.conn.dialect.name == "postgresql" else sa.func.instr
            where.append(place(table.c.groups, needle) > 0)
        if query.off:
            where.append(table.c.enabled.is_(False))
        if query.without_device:
            owned = sa.select(schema.devices.c.account).where(
                schema.devices.c.organisation == mine,
                schema.devices.c.state == str(DeviceState.REGISTERED),
            )
            where.append(table.c.id.not_in(owned))
        if query.without_factor:
            proven = sa.select(schema.authenticators.c.account).where(
                schema.authenticators.c.organisation == mine
            )
            where.append(table.c.id.not_in(proven))
        if query.among is not None:
            where.append(table.c.id.in_(_listed(scope, query.among)))
        return where


def _listed(scope: Scope, ids: Collection[str]) -> sa.Select[Any]:
    """Many ids as one parameter: a database takes only so many of them."""
    text = sa.literal(plain.dump(sorted(ids), 64 * 1024 * 1024), sa.Text)
    if scope.conn.dialect.name == "postgresql":
        each = sa.func.json_array_elements_text(sa.cast(text, sa.JSON())).column_valued("listed")
        return sa.select(each)
    return sa.select(sa.func.json_each(text).table_valued("value").c.value)


def _holders(change: Change, wanted: Sequence[Wanted]) -> dict[str, str]:
    """Whose each address is now: of those that are wanted."""
    names = {name for each in wanted for name in (each.address, *(each.aliases or ()))}
    rows = change.rows(schema.addresses, schema.addresses.c.address.in_(_listed(change, names)))
    return {row.address: row.account for row in rows}


def _canonical(name: str) -> str:
    """The canonical form; empty where it is no address."""
    try:
        return canonical(name)
    except ValueError:
        return ""


def _names(each: Wanted, domains: set[str], held: dict[str, str], id: str, others: tuple[str, ...]) -> str:
    """The address, where it and the aliases may be this account's. Raises BadValue, Conflict."""
    if len(others) > MAX_ALIASES:
        raise BadValue(f"An account has at most {MAX_ALIASES} aliases.")
    for name in (each.address, *others):
        if _canonical(name) != name:
            raise BadValue(f"{name[:254]} is no address in canonical form.")
        if domain_of(name) not in domains:
            raise BadValue(
                f"{name} is not in a domain of this organisation: add {domain_of(name)} to it first."
            )
        if held.get(name, id) != id:
            raise Conflict(f"The address {name} is in use by another account: take it away there first.")
        held[name] = id
    return each.address


def _groups(groups: Iterable[str]) -> str:
    names = list(dict.fromkeys(plain.text(g, "group's name", 100, empty=False) for g in groups))
    if len(names) > MAX_GROUPS:
        raise BadValue(f"An account is in at most {MAX_GROUPS} groups.")
    return plain.dump(names)


def _fields(each: Wanted) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if each.groups is not None:
        values["groups"] = _groups(each.groups)
    if each.server is not None:
        values["server"] = plain.text(each.server, "server's name", 100)
    if each.upstream_login is not None:
        values["upstream_login"] = plain.text(each.upstream_login, "login on the mail server", 254)
    return values


def _insert_names(change: Change, id: str, main: str, others: tuple[str, ...]) -> None:
    for position, name in enumerate((main, *others)):
        used = f"The address {name} is in use by another account: take it away there first."
        change.insert(
            schema.addresses, taken=used, address=name, account=id, alias=position > 0, position=position
        )


def _make(change: Change, each: Wanted, domains: set[str], held: dict[str, str]) -> None:
    id, others = plain.new_id("acc"), tuple(n for n in each.aliases or () if n != each.address)
    main = _names(each, domains, held, id, others)
    values = {"groups": "[]", "server": "", "upstream_login": ""} | _fields(each)
    change.insert(
        schema.accounts,
        id=id,
        address=main,
        enabled=True,
        source=str(IdentitySource.LOCAL),
        sealed_password=b"",
        **values,
    )
    _insert_names(change, id, main, others)
    change.audit("account.created", id, address=main, aliases=list(others))


def _change(change: Change, each: Wanted, domains: set[str], held: dict[str, str]) -> None:
    row = change.one(schema.accounts, schema.accounts.c.id == each.account)
    if row is None or row.address != each.address:
        raise NotFound(f"There is no account {each.address[:254]} any more: look at the table again.")
    values = _fields(each)
    details = dict(values)
    if each.aliases is not None:
        others = tuple(n for n in each.aliases if n != each.address)
        main = _names(each, domains, held, each.account, others)
        change.delete(schema.addresses, schema.addresses.c.account == each.account)
        _insert_names(change, each.account, main, others)
        details["aliases"] = list(others)
    if values:
        change.update(schema.accounts, schema.accounts.c.id == each.account, **values)
    change.audit("account.changed", each.account, **details)
