"""Passwords of our own: argon2id, in a few threads, in the same time whether there is a hash or not.

19 MiB, two passes, one lane is the first of OWASP's recommended sets (password storage cheat sheet; RFC 9106
section 4 names larger ones for machines with memory to spare): about 30 to 80 ms of one core. A phone signs in
several times an hour, and ``threads`` of these at once are all the memory it can cost. A hash that asks for
far more than we ever made is not computed: whoever could write one could stop the machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from gambeson.model.asset import Account

from .source import Verdict

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
_MOST_MEMORY_KIB = 256 * 1024
_MOST_PASSES = 16
_MOST_LANES = 8

HashOf = Callable[[Account], Awaitable[str]]
Rehashed = Callable[[Account, str], Awaitable[None]]


def hasher() -> PasswordHasher:
    """What makes and checks every hash of a person's password here."""
    return PasswordHasher(
        time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, type=Type.ID
    )


class LocalPasswords:
    """``PasswordSource`` over argon2id hashes that ``hash_of`` brings ("" for an account without one)."""

    def __init__(self, hash_of: HashOf, rehashed: Rehashed | None = None, threads: int = 2) -> None:
        """``rehashed`` takes a new hash where a right password had one of older parameters; what becomes of it does
        not change the verdict. ``threads`` bounds both memory (19 MiB each) and cores."""
        self._hash_of = hash_of
        self._rehashed = rehashed
        self._hasher = hasher()
        self._nobody = self._hasher.hash(os.urandom(32))
        self._pool = ThreadPoolExecutor(threads, "argon2")
        self._turns = asyncio.Semaphore(threads)

    async def check(self, account: Account, password: str) -> Verdict:
        """RIGHT or WRONG; UNAVAILABLE where the hash cannot be had or is none of ours."""
        try:
            stored = await self._hash_of(account)
        except Exception:  # whatever brings it: without a hash nobody is let in
            stored, fallen = "", Verdict.UNAVAILABLE
        else:
            fallen = Verdict.WRONG
        async with self._turns:
            verdict = await self._run(self._verify, stored or self._nobody, password)
            if not stored:
                return fallen
            if verdict is Verdict.RIGHT and self._rehashed is not None and self._old(stored):
                await self._renew(account, password)
        return verdict

    def close(self) -> None:
        """No more checks; those that run may end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[str, str], Verdict], stored: str, password: str) -> Verdict:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, stored, password)
        except RuntimeError:  # the pool is closed
            return Verdict.UNAVAILABLE

    def _verify(self, stored: str, password: str) -> Verdict:
        try:
            made = extract_parameters(stored)
            if (
                made.type is not Type.ID
                or made.memory_cost > _MOST_MEMORY_KIB
                or made.time_cost > _MOST_PASSES
                or made.parallelism > _MOST_LANES
            ):
                return Verdict.UNAVAILABLE
            self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return Verdict.WRONG
        except (VerificationError, InvalidHashError):
            return Verdict.UNAVAILABLE
        return Verdict.RIGHT

    def _old(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    async def _renew(self, account: Account, password: str) -> None:
        assert self._rehashed is not None
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, password)
            await self._rehashed(account, fresh)
        except (HashingError, RuntimeError, OSError):
            return  # the old hash stays good until the next sign-in
