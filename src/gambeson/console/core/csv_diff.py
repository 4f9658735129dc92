"""What importing a table of people would change: new accounts, changed ones and in what, same ones, conflicts.

An address or alias names one account. A row that would take a name that another account has, or an earlier row takes,
is a conflict and changes nothing, even where a later row would give the name up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gambeson.model.address import domain_of
from gambeson.model.asset import Account

from .csv_import import COLUMNS, MAX_MANY, Problem, Row, shown


@dataclass(frozen=True, slots=True)
class Change:
    """One field of an account that would change."""

    field: str
    before: str | tuple[str, ...]
    after: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """An account (its id) that a row would change, and in what."""

    row: Row
    account: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """What importing would do. ``conflicts`` are the rows that cannot be, each once, by line."""

    new: tuple[Row, ...]
    changed: tuple[Changed, ...]
    same: tuple[Row, ...]
    conflicts: tuple[Problem, ...]


def diff(
    rows: Iterable[Row],
    accounts: Iterable[Account],
    domains: Iterable[str] = (),
    servers: Iterable[str] = (),
) -> Diff:
    """What importing ``rows`` would change about ``accounts`` (all of the organisation). ``domains`` are its domains,
    ``servers`` its mail servers; where one is empty, that is not looked at."""
    comparing = _Comparing(accounts, domains, servers)
    for row in rows:
        comparing.look_at(row)
    return comparing.diff()


class _Comparing:
    def __init__(self, accounts: Iterable[Account], domains: Iterable[str], servers: Iterable[str]) -> None:
        self._accounts = {a.address: a for a in accounts}
        # Whose a name is: the address of the account, or of the row that takes it.
        self._owner = {name: a.address for a in self._accounts.values() for name in (a.address, *a.aliases)}
        self._domains, self._servers = frozenset(domains), frozenset(servers)
        self._new: list[Row] = []
        self._changed: list[Changed] = []
        self._same: list[Row] = []
        self._conflicts: list[Problem] = []

    def diff(self) -> Diff:
        return Diff(tuple(self._new), tuple(self._changed), tuple(self._same), tuple(self._conflicts))

    def look_at(self, row: Row) -> None:
        conflict = self._conflict(row)
        if conflict is not None:
            self._conflicts.append(conflict)
            return
        self._owner.update(dict.fromkeys((row.address, *(row.aliases or ())), row.address))
        account = self._accounts.get(row.address)
        if account is None:
            self._new.append(row)
            return
        changes = tuple(_changes(row, account))
        if changes:
            self._changed.append(Changed(row, account.id, changes))
        else:
            self._same.append(row)

    def _conflict(self, row: Row) -> Problem | None:
        for i, name in enumerate((row.address, *(row.aliases or ()))):
            column = "aliases" if i else "address"
            if self._domains and domain_of(name) not in self._domains:
                said = f"{name} is not in a domain of this organisation: add {domain_of(name)} to it first."
                return Problem(row.line, column, "foreign-domain", said, name)
            owner = self._owner.get(name, row.address)
            if owner != row.address:
                said = f"{name} belongs to {owner} already: take it away there first."
                return Problem(row.line, column, "in-use", said, name)
        if row.server and self._servers and row.server not in self._servers:
            said = f"There is no mail server {shown(row.server)}: see the servers of this organisation."
            return Problem(row.line, "server", "no-server", said, shown(row.server))
        if len(row.aliases or ()) > MAX_MANY or len(row.groups or ()) > MAX_MANY:
            said = f"An account has at most {MAX_MANY} aliases and is in at most {MAX_MANY} groups."
            return Problem(row.line, "", "too-many", said)
        return None


def _changes(row: Row, account: Account) -> Iterable[Change]:
    for column in COLUMNS[1:]:
        after, before = getattr(row, column), getattr(account, column)
        if after is None:
            continue
        # The order of groups says nothing; that of aliases is shown, so it is kept.
        same = set(after) == set(before) if column == "groups" else after == before
        if not same:
            yield Change(column, before, after)
