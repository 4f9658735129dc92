"""Accounts, their addresses and the hashes of locally kept passwords.

An account's address and aliases lie in its organisation's domains, in canonical form, and name one
account in the whole installation: the doors look a login name up before they know whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from gambeson.model.address import canonical, domain_of
from gambeson.model.asset import Account, IdentitySource

from . import plain, schema
from .errors import BadValue, Conflict, NotFound
from .scope import Change, Scope, Scoped

MAX_ALIASES, MAX_GROUPS, MAX_BOX = 200, 200, 64 * 1024


class Accounts(Scoped):
    """The accounts of one organisation."""

    def create(
        self,
        address: str,
        *,
        aliases: Iterable[str] = (),
        groups: Iterable[str] = (),
        enabled: bool = True,
        source: IdentitySource = IdentitySource.LOCAL,
        upstream_login: str = "",
        server: str = "",
        id: str = "",
        by: str,
        at: float,
    ) -> Account:
        """A new account. Raises BadValue (no address, foreign domain) and Conflict (address in use)."""
        main, others = _address(address), _addresses(aliases, address)
        account = Account(
            id=plain.text(id, "id", 64) or plain.new_id("acc"),
            organisation=self._organisation,
            address=main,
            aliases=others,
            groups=_groups(groups),
            enabled=enabled,
            source=IdentitySource(source),
            upstream_login=plain.text(upstream_login, "login on the mail server", 254),
            server=plain.text(server, "server's name", 100),
        )
        with self._changing(by, at) as change:
            change.insert(
                schema.accounts,
                taken=f"The account id {account.id} is in use.",
                id=account.id,
                address=account.address,
                groups=plain.dump(list(account.groups)),
                enabled=account.enabled,
                source=str(account.source),
                upstream_login=account.upstream_login,
                server=account.server,
                sealed_password=b"",
            )
            _write_addresses(change, account.id, main, others)
            change.audit("account.created", account.id, address=main, aliases=list(others))
        return account

    def get(self, id: str) -> Account:
        """The account. Raises NotFound."""
        with self._reading() as scope:
            return self._get(scope, id)

    def find(self, address: str) -> Account:
        """The account with that address or alias. Raises BadValue and NotFound."""
        name = _address(address)
        with self._reading() as scope:
            row = scope.one(schema.addresses, schema.addresses.c.address == name)
            if row is None:
                raise NotFound(f"There is no account {name}: see gambeson account list.")
            return self._get(scope, row.account)

    def list(self, *, limit: int = 100_000, offset: int = 0) -> Sequence[Account]:
        """The accounts by address."""
        table = schema.accounts
        with self._reading() as scope:
            rows = scope.rows(table, order=[table.c.address], limit=limit, offset=offset)
            ids = [row.id for row in rows]
            names = scope.rows(schema.addresses, schema.addresses.c.account.in_(ids)) if ids else ()
        aliases = aliases_by_account(names)
        return [account_of(row, aliases.get(row.id, ())) for row in rows]

    def update(
        self,
        id: str,
        *,
        address: str | None = None,
        aliases: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
        enabled: bool | None = None,
        source: IdentitySource | None = None,
        upstream_login: str | None = None,
        server: str | None = None,
        by: str,
        at: float,
    ) -> Account:
        """Changes what is given and leaves the rest. Raises NotFound, BadValue, Conflict."""
        values: dict[str, Any] = {}
        if groups is not None:
            values["groups"] = plain.dump(list(_groups(groups)))
        if enabled is not None:
            values["enabled"] = bool(enabled)
        if source is not None:
            values["source"] = str(IdentitySource(source))
        if upstream_login is not None:
            values["upstream_login"] = plain.text(upstream_login, "login on the mail server", 254)
        if server is not None:
            values["server"] = plain.text(server, "server's name", 100)
        with self._changing(by, at) as change:
            now = self._get(change, id)
            details = dict(values)
            if address is not None or aliases is not None:
                main = now.address if address is None else _address(address)
                others = tuple(a for a in now.aliases if a != main)
                if aliases is not None:
                    others = _addresses(aliases, main)
                change.delete(schema.addresses, schema.addresses.c.account == id)
                _write_addresses(change, id, main, others)
                values["address"] = main
                details |= {"address": main, "aliases": list(others)}
            if values:
                change.update(schema.accounts, schema.accounts.c.id == id, **values)
            if enabled is False:  # for good: whoever is let in again signs in again
                sessions = schema.web_sessions
                open_ones = (sessions.c.account == id, sessions.c.ended_at == 0)
                ended = change.update(sessions, *open_ones, ended_at=at, end_reason="account disabled")
                details |= {"sessions_ended": ended} if ended else {}
            change.audit("account.changed", id, **details)
            return self._get(change, id)

    def delete(self, id: str, *, by: str, at: float) -> None:
        """Deletes the account with its devices and credentials; issued certificates are revoked."""
        with self._changing(by, at) as change:
            account = self._get(change, id)
            own = sa.select(schema.devices.c.id).where(
                schema.devices.c.organisation == self._organisation, schema.devices.c.account == id
            )
            certificates = schema.certificates
            change.update(
                certificates,
                certificates.c.device.in_(own),
                certificates.c.revoked_at == 0,
                revoked_at=at,
                revocation_reason="account deleted",
            )
            change.delete(schema.modes, schema.modes.c.account == id)
            change.delete(schema.accounts, schema.accounts.c.id == id)
            change.audit("account.deleted", id, address=account.address)

    def set_password(self, id: str, argon2_hash: str, *, by: str, at: float) -> None:
        """Stores the argon2id hash of a local password (never the password)."""
        if not argon2_hash.startswith("$argon2id$") or len(argon2_hash) > 512:
            raise BadValue("The password's hash is not argon2id.")
        plain.text(argon2_hash, "password's hash", 512)
        with self._changing(by, at) as change:
            self._get(change, id)
            change.delete(schema.passwords, schema.passwords.c.account == id)
            change.insert(schema.passwords, account=id, hash=argon2_hash, set_at=at)
            change.audit("account.password-set", id)

    def password_hash(self, id: str) -> str:
        """The stored argon2id hash; empty where the account has none. Raises NotFound."""
        with self._reading() as scope:
            self._get(scope, id)
            row = scope.one(schema.passwords, schema.passwords.c.account == id)
        return str(row.hash) if row is not None else ""

    def seal_password(self, id: str, box: bytes, *, by: str, at: float) -> None:
        """Stores the keeper's sealed box of the password on the mail server; empty takes it away."""
        if len(box) > MAX_BOX:
            raise BadValue(f"A sealed box has at most {MAX_BOX} bytes.")
        with self._changing(by, at) as change:
            self._get(change, id)
            change.update(schema.accounts, schema.accounts.c.id == id, sealed_password=bytes(box))
            change.audit("account.sealed-password-set" if box else "account.sealed-password-removed", id)

    def _get(self, scope: Scope, id: str) -> Account:
        row = account_row(scope, id)
        names = scope.rows(schema.addresses, schema.addresses.c.account == id)
        return account_of(row, aliases_by_account(names).get(id, ()))


def account_row(scope: Scope, id: str) -> sa.Row[Any]:
    """The account's row. Raises NotFound."""
    row = scope.one(schema.accounts, schema.accounts.c.id == id)
    if row is None:
        raise NotFound(f"There is no account {id[:80]}: see gambeson account list.")
    return row


def account_of(row: sa.Row[Any], aliases: tuple[str, ...]) -> Account:
    """The account in a row and its aliases."""
    return Account(
        id=row.id,
        organisation=row.organisation,
        address=row.address,
        aliases=aliases,
        groups=plain.words(row.groups),
        enabled=row.enabled,
        source=IdentitySource(row.source),
        upstream_login=row.upstream_login,
        server=row.server,
        sealed_password=row.sealed_password,
    )


def aliases_by_account(rows: Iterable[sa.Row[Any]]) -> dict[str, tuple[str, ...]]:
    """Aliases of each account in their order, from rows of ``addresses``."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        if row.alias:
            found.setdefault(row.account, []).append((row.position, row.address))
    return {account: tuple(name for _, name in sorted(names)) for account, names in found.items()}


def _write_addresses(change: Change, id: str, main: str, others: tuple[str, ...]) -> None:
    domains = {row.domain for row in change.rows(schema.domains)}
    for position, name in enumerate((main, *others)):
        if domain_of(name) not in domains:
            raise BadValue(
                f"{name} is not in a domain of this organisation: add {domain_of(name)} to it first."
            )
        used = f"The address {name} is in use by another account: take it away there first."
        if change.one(schema.addresses, schema.addresses.c.address == name) is not None:
            raise Conflict(used)
        change.insert(
            schema.addresses, taken=used, address=name, account=id, alias=position > 0, position=position
        )


def _address(address: str) -> str:
    try:
        return canonical(address)
    except ValueError as error:
        raise BadValue(str(error)) from None


def _addresses(aliases: Iterable[str], main: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_address(a) for a in aliases))
    if len(names) > MAX_ALIASES:
        raise BadValue(f"An account has at most {MAX_ALIASES} aliases.")
    return tuple(name for name in names if name != _address(main))


def _groups(groups: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(plain.text(g, "group's name", 100, empty=False) for g in groups))
    if len(names) > MAX_GROUPS:
        raise BadValue(f"An account is in at most {MAX_GROUPS} groups.")
    return names
