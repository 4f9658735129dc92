"""Asking a directory about Anna, as the tests of this folder do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gambeson.guard.core.directory_budget import DirectoryBudget
from gambeson.guard.edge.identity.ldap import DirectorySettings, LdapDirectory
from gambeson.guard.edge.identity.source import PasswordSources, Verdict
from gambeson.model.asset import Account, IdentitySource
from peers.people import ACCOUNTS
from peers.slapd import BASE, READER

ANNA = "anna@example.org"
RIGHT = ACCOUNTS[ANNA]


def account(address: str = ANNA) -> Account:
    return Account(address, "o", address, source=IdentitySource.LDAP)


def settings(url: str | tuple[str, ...], ca: Path | str = "", **more: Any) -> DirectorySettings:
    urls = (url,) if isinstance(url, str) else url
    given = {"base": BASE, "bind_dn": READER[0], "bind_password": READER[1], "ca": str(ca)} | more
    return DirectorySettings(urls, **given)


def sources(
    where: DirectorySettings, troubles: list[str] | None = None, threshold: int = 100, **more: Any
) -> PasswordSources:
    record = (lambda _: None) if troubles is None else troubles.append
    return PasswordSources(
        directory=LdapDirectory(where, record), budget=DirectoryBudget(threshold, 900.0), **more
    )


def check(
    where: DirectorySettings, password: str, address: str = ANNA, troubles: list[str] | None = None
) -> Verdict:
    async def one() -> Verdict:
        return await sources(where, troubles).check(account(address), password)

    return asyncio.run(one())
