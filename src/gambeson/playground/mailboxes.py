"""Maildir storage of the playground: one directory per account, delivery by rename, subaddresses folded."""

from __future__ import annotations

import re
from pathlib import Path

from .maildir import RawMaildir

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}@[a-z0-9.-]{1,255}\Z")


class Mailboxes:
    """All mailboxes under ``root``. Only addresses given at construction (and their aliases) exist, so an
    address never becomes a path of its own."""

    def __init__(self, root: Path, addresses: dict[str, tuple[str, ...]]) -> None:
        self.root = root
        self._home: dict[str, str] = {}
        for address, aliases in addresses.items():
            if not _ADDRESS.match(address):
                raise ValueError(f"{address!r} is no address the playground can keep mail for")
            for name in (address, *aliases):
                self._home[name] = address
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def known(self, address: str) -> bool:
        """Whether ``address`` is the main address of a mailbox here."""
        return self._home.get(address) == address

    def owner(self, recipient: str) -> str | None:
        """The mailbox that mail for ``recipient`` goes to: alias and ``+detail`` resolved; None for nobody."""
        local, _, domain = recipient.lower().rpartition("@")
        return self._home.get(f"{local.partition('+')[0]}@{domain}")

    def path(self, address: str) -> Path:
        """The Maildir of a mailbox here. Raises KeyError for a stranger."""
        return self.root / self._home[address]

    def inbox(self, address: str) -> RawMaildir:
        """The Maildir opened, made where it is missing."""
        return RawMaildir(str(self.path(address)), create=True)

    def deliver(self, address: str, message: bytes) -> None:
        """Put one RFC 5322 message into the inbox of ``address``: written to tmp, then renamed into new."""
        self.inbox(address).add(message)
