"""Argon2 in the keeper: hashes for administrators, and a door's question about one password.

Rules for a door's question:

1. Nothing is hashed before the certificate beside the password was found alive and the account's own, in the
   keeper's snapshot. A password alone costs nothing here and learns nothing.
2. An account without a local password costs the same time as one with a wrong one.
3. Each certificate has ``WRONG_BURST`` wrong passwords, and then some ninety a day: a stolen phone guesses no
   password, and stops no other device of its owner. Right passwords cost nothing of that.
4. At most ``MAX_HASHING`` at a time, at most ``MAX_WAITING`` in line; more are told to come later.
5. The portal's wrong tries are counted by hash: whoever takes it over guesses no faster than a stranger.
6. Every outcome of a door's question is recorded before it is answered. ``keeper.password.right`` and ``.wrong``
   mean that argon2 ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import argon2

from gambeson.model.asset import Credential

from .allowance import Allowance
from .keeper_core import KeeperCore
from .keeper_messages import CheckPasswordAsk, HashPasswordAsk, PasswordAsk
from .messages import Done, Message, Octets, Refused

MAX_HASHING = 2  # argon2 at a time: each takes 64 MiB
MAX_WAITING = 64
# Of a stored hash: whoever wrote one that asks for more wants the keeper to stand still.
MAX_MEMORY_KIB, MAX_PASSES, MAX_LANES = 256 * 1024, 16, 8
BURST, PER_SECOND = 30.0, 1.0  # questions about one account
WRONG_BURST, WRONG_PER_SECOND = 10.0, 90 / 86400  # wrong passwords beside one certificate
# Wrong passwords at the portal for one hash, which strangers send too: the portal stops them earlier.
PORTAL_BURST, PORTAL_PER_SECOND = 300.0, 300 / 86400

Record = Callable[[str, PasswordAsk, Credential | None, str], bool]


class Passwords:
    """``record(door, ask, certificate, outcome)`` returns whether the event is on disk."""

    def __init__(self, core: KeeperCore, record: Record, hasher: argon2.PasswordHasher | None = None) -> None:
        self._core, self._record = core, record
        self._hasher = hasher or argon2.PasswordHasher()
        self._hashing = asyncio.Semaphore(MAX_HASHING)
        self._waiting = 0
        self._asked = Allowance(BURST, PER_SECOND)
        self._wrong = Allowance(WRONG_BURST, WRONG_PER_SECOND)
        self._at_portal = Allowance(PORTAL_BURST, PORTAL_PER_SECOND)

    async def administer(self, message: HashPasswordAsk | CheckPasswordAsk) -> Message:
        """An administrator's question: the hash, or Done, or Refused("wrong")."""
        if isinstance(message, HashPasswordAsk):
            async with self._hashing:
                hashed = await asyncio.to_thread(self._hasher.hash, self._core.peppered(message.password))
            return Octets(value=hashed.encode())
        good = await self._fits(message.password, message.hashed)
        return Done() if good else Refused(reason="wrong")

    async def at_portal(self, message: CheckPasswordAsk, now: float) -> Message:
        """The portal's question: Done, Refused("wrong"), or Refused with which nothing was hashed. Somebody unknown has
        an empty hash, which costs the same time and has no allowance to use up."""
        known = affordable(message.hashed)
        if known and not self._at_portal.take(message.hashed, now):
            return Refused(reason="too-many")
        if self._waiting >= MAX_WAITING:
            if known:
                self._at_portal.give_back(message.hashed)
            return Refused(reason="busy")
        if not await self._fits(message.password, message.hashed):
            return Refused(reason="wrong")
        self._at_portal.give_back(message.hashed)
        return Done()

    async def beside(self, door: str, ask: PasswordAsk, now: float) -> Message:
        """A door's question about the password beside a certificate: Done, Refused("wrong"), Refused("no-password"),
        or another reason with which nothing was hashed."""
        found, reason = self._core.certified(ask, now)
        if found is None or reason:
            return self._answer(door, ask, found, reason)
        # Both by certificate: whoever has stolen one device must not be able to keep the others out.
        if not self._wrong.take(found.id, now):
            return self._answer(door, ask, found, "too-many")
        if not self._asked.take(found.id, now):
            self._wrong.give_back(found.id)
            return self._answer(door, ask, found, "too-many")
        if self._waiting >= MAX_WAITING:
            self._wrong.give_back(found.id)
            return self._answer(door, ask, found, "busy")
        stored = self._core.password_hash(ask.account)
        good = await self._fits(ask.password, stored)
        if good:
            self._wrong.give_back(found.id)
        return self._answer(door, ask, found, "right" if good else "wrong" if stored else "no-password")

    def _answer(self, door: str, ask: PasswordAsk, found: Credential | None, outcome: str) -> Message:
        if not self._record(door, ask, found, outcome):
            return Refused(reason="not-recorded", sentence="The keeper cannot record this; try later.")
        return Done() if outcome == "right" else Refused(reason=outcome)

    async def _fits(self, password: str, stored: str) -> bool:
        peppered = self._core.peppered(password)
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(self._verify, stored, peppered)
        finally:
            self._waiting -= 1

    def _verify(self, stored: str, peppered: str) -> bool:
        try:
            if affordable(stored):
                return self._hasher.verify(stored, peppered)
        except argon2.exceptions.VerificationError:
            return False
        self._hasher.hash(peppered)  # the same work where there is nothing to compare with
        return False


def affordable(stored: str) -> bool:
    """Whether it is an argon2id hash of a size that we would make."""
    try:
        made = argon2.extract_parameters(stored)
    except argon2.exceptions.InvalidHashError:
        return False
    return (
        made.type is argon2.Type.ID
        and made.memory_cost <= MAX_MEMORY_KIB
        and made.time_cost <= MAX_PASSES
        and made.parallelism <= MAX_LANES
    )
