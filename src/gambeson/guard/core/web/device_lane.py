"""The device lane: programs that sign in with HTTP Basic or a client certificate.

Programs for Exchange write names in ways of their own: ``DOMAIN\\alma`` and ``alma``. Such a name is an account's where
exactly one account of those that the site serves has that local part; what fits two fits none. Nothing is proven by
this: it says only whose credential is to be compared.
"""

from __future__ import annotations

from dataclasses import replace

from gambeson.model.access import DoorKind, Mechanism, RawLogin
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Site

# Outlook cannot show a certificate over MAPI, so none is taken there: one credential for one door.
WITHOUT_CERTIFICATE = frozenset((DoorKind.MAPI,))
EXTERNAL = RawLogin(Mechanism.EXTERNAL, "")
AMBIGUOUS = ""


def spelled(raw: RawLogin, index: SnapshotIndex, site: Site) -> RawLogin:
    """``raw`` with the account's address as its name, where the name is a bare one that fits exactly one. A name that
    fits several becomes one that fits nobody."""
    name = raw.username
    if "@" in name:
        return raw
    bare = name.rpartition("\\")[2] if name.count("\\") == 1 else name
    address = _locals(index, site.organisation).get(bare.lower())
    if address is None:
        return raw
    return replace(raw, username=address or "@")  # "@" is nobody's address


def _locals(index: SnapshotIndex, organisation: str) -> dict[str, str]:
    """Local part to address; AMBIGUOUS where several accounts have it."""
    key = f"local parts {organisation}"
    made = index.memo.get(key)
    if isinstance(made, dict):
        return made
    table: dict[str, str] = {}
    for account in index.snapshot.accounts:
        if organisation in ("", account.organisation):
            local = account.address.rpartition("@")[0]
            table[local] = AMBIGUOUS if local in table else account.address
    index.memo[key] = table
    return table


def foreign(site: Site, organisation: str) -> bool:
    """Whether the site serves another organisation than this."""
    return bool(site.organisation) and site.organisation != organisation
