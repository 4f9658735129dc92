"""Asking a password's owner: the one way by which a password is ever checked.

Rules, whoever calls:

1. A door is no password oracle: call this only after a valid device certificate, or at the portal.
2. A device secret, or what looks like a mistyped one, is sent nowhere; neither is an empty password (a directory
   answers an unauthenticated bind with success, RFC 4513 section 5.1.2), nor one with NUL or over 4096 octets.
3. The directory sees no more wrong passwords of an entry than ``DirectoryBudget`` leaves. Leave is asked for after
   everything that can go wrong before the password is sent, so that an outage spends nothing.
4. Only ``RIGHT`` lets anybody in. Every trouble, time-out and cancellation is something else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from gambeson.guard.core.directory_budget import DirectoryBudget
from gambeson.model import device_secret
from gambeson.model.asset import Account, IdentitySource

MAX_PASSWORD = 4096  # octets of UTF-8
_SECRET_LENGTH = 40  # characters of a device secret without its dashes, less a few: a mistyped one is one too


class Verdict(StrEnum):
    """What is known of a password. Anything but RIGHT is a refusal; the words are for the record."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"  # the directory does not let this account in: locked, disabled, not now, not from here
    EXPIRED = "expired"  # the password, or it must be changed first
    HELD = "held"  # not asked: one more wrong password could lock the person out
    UNAVAILABLE = "unavailable"  # nobody answered in time, or not sensibly; may be better later


class PasswordSource(Protocol):
    """Knows some accounts' passwords itself, so that nobody can be locked out by asking."""

    async def check(self, account: Account, password: str) -> Verdict:
        """Whether it is this account's password. Never raises for a failure of its own: UNAVAILABLE."""
        ...


class Question(Protocol):
    """An account that was found in a directory, with an open way to ask about one password. Close it."""

    @property
    def entry(self) -> str:
        """The directory's own name of the account: what its lock-out counts by."""
        ...

    async def ask(self, password: str) -> Verdict:
        """Send it. At most once."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Directory(Protocol):
    """Knows passwords, and counts wrong ones."""

    async def find(self, account: Account) -> Question | Verdict:
        """Everything that comes before the password; a Verdict where it ends there."""
        ...


def sendable(password: str) -> bool:
    """Whether it may be somebody's password at all (rule 2)."""
    try:
        octets = len(password.encode())
    except UnicodeEncodeError:
        return False
    if not 0 < octets <= MAX_PASSWORD or "\0" in password:
        return False
    if device_secret.resembles(password):
        return False
    bare = "".join(password.split()).replace("-", "").lower()
    return not (
        bare.startswith("gam") and password.strip().lower().startswith("gam-") and len(bare) >= _SECRET_LENGTH
    )


class PasswordSources:
    """The sources of all accounts behind one question."""

    def __init__(
        self,
        local: PasswordSource | None = None,
        directory: Directory | None = None,
        budget: DirectoryBudget | None = None,
        *,
        timeout: float = 10.0,
        at_once: int = 16,
        clock: Callable[[], float] = time.time,
        asking: Callable[[], None] = lambda: None,
    ) -> None:
        """``timeout`` seconds for one check, with waiting; ``at_once`` questions to the directory at the same time;
        ``clock`` is the budget's; ``asking`` is called when that is charged, before the password is sent.

        Raises ValueError for a directory without a budget.
        """
        if directory is not None and budget is None:
            raise ValueError("a directory is never asked without a budget of wrong passwords; give one")
        self._local = local
        self._directory = directory
        self._budget = budget
        self._timeout = timeout
        self._turns = asyncio.Semaphore(at_once)
        self._clock = clock
        self._asking = asking

    async def check(self, account: Account, password: str, known: bool = True) -> Verdict:
        """Whether it is this account's password. ``known``: the device or source has been here before (with a
        valid certificate always); strangers have a share of the directory's budget to themselves."""
        if not sendable(password):
            return Verdict.WRONG
        try:
            async with asyncio.timeout(self._timeout):
                if account.source is IdentitySource.LDAP:
                    return await self._ask(account, password, known)
                if self._local is not None:
                    return await self._local.check(account, password)
        except TimeoutError:
            pass
        return Verdict.UNAVAILABLE

    async def _ask(self, account: Account, password: str, known: bool) -> Verdict:
        if self._directory is None or self._budget is None:
            return Verdict.UNAVAILABLE
        async with self._turns:
            question = await self._directory.find(account)
            if isinstance(question, Verdict):
                return question
            try:
                ticket = self._budget.ask(question.entry.casefold(), known, self._clock())
                if ticket is None:
                    return Verdict.HELD
                verdict = Verdict.UNAVAILABLE
                try:
                    self._asking()
                    verdict = await question.ask(password)
                finally:
                    self._budget.answered(ticket, verdict is Verdict.RIGHT, self._clock())
                return verdict
            finally:
                question.close()
