"""Local passwords: argon2id, and the same work for an account that has none."""

from __future__ import annotations

import asyncio
import statistics
import time

from argon2 import PasswordHasher, Type, extract_parameters

from gambeson.guard.edge.identity.local import MEMORY_KIB, LocalPasswords, Rehashed, hasher
from gambeson.guard.edge.identity.source import PasswordSources, Verdict
from gambeson.model.asset import Account

ANNA = Account("a1", "o", "anna@example.org")
NOBODY = Account("a2", "o", "nobody@example.org")
GOOD = "correct horse battery staple"
STORED = hasher().hash(GOOD)
OLD = PasswordHasher(1, 8192, 1).hash(GOOD)


def check(stored: str, password: str, account: Account = ANNA, rehashed: Rehashed | None = None) -> Verdict:
    async def hash_of(asked: Account) -> str:
        return stored if asked is ANNA else ""

    async def run() -> Verdict:
        local = LocalPasswords(hash_of, rehashed)
        try:
            return await PasswordSources(local).check(account, password)
        finally:
            local.close()

    return asyncio.run(run())


def test_right_wrong_and_none() -> None:
    assert check(STORED, GOOD) is Verdict.RIGHT
    assert check(STORED, GOOD + " ") is Verdict.WRONG
    assert check(STORED, GOOD, NOBODY) is Verdict.WRONG


def test_a_hash_that_is_none_of_ours_lets_nobody_in() -> None:
    argon2i = PasswordHasher(1, 8192, 1, type=Type.I).hash(GOOD)
    greedy = STORED.replace(f"m={MEMORY_KIB}", "m=4194304")
    for stored in ("x", "$argon2id$", "{SSHA}abc", STORED[:-5], argon2i, greedy):
        assert check(stored, GOOD) in (Verdict.UNAVAILABLE, Verdict.WRONG), stored
    assert check(greedy, GOOD) is Verdict.UNAVAILABLE


def test_an_old_hash_is_made_anew_after_the_right_password_only() -> None:
    kept: list[str] = []

    async def keep(account: Account, fresh: str) -> None:
        assert account is ANNA
        kept.append(fresh)

    assert check(OLD, "wrong", rehashed=keep) is Verdict.WRONG
    assert check(STORED, GOOD, rehashed=keep) is Verdict.RIGHT
    assert kept == []
    assert check(OLD, GOOD, rehashed=keep) is Verdict.RIGHT
    assert extract_parameters(kept[0]) == extract_parameters(STORED)
    assert check(kept[0], GOOD) is Verdict.RIGHT


def test_trouble_with_keeping_the_new_hash_does_not_shut_the_person_out() -> None:
    async def fails(_account: Account, _fresh: str) -> None:
        raise OSError("disk full")

    assert check(OLD, GOOD, rehashed=fails) is Verdict.RIGHT


def test_without_a_keeper_nobody_is_in() -> None:
    async def gone(_account: Account) -> str:
        raise RuntimeError("the keeper is gone")

    async def run() -> Verdict:
        return await LocalPasswords(gone).check(ANNA, GOOD)

    assert asyncio.run(run()) is Verdict.UNAVAILABLE


def test_no_account_takes_as_long_as_a_wrong_password() -> None:
    async def hash_of(asked: Account) -> str:
        return STORED if asked is ANNA else ""

    async def run() -> tuple[float, float]:
        local = LocalPasswords(hash_of)
        times: dict[str, list[float]] = {ANNA.id: [], NOBODY.id: []}
        for _ in range(7):
            for account in (ANNA, NOBODY):
                began = time.thread_time(), time.process_time()
                assert await local.check(account, "wrong") is Verdict.WRONG
                times[account.id].append(time.process_time() - began[1])
        return statistics.median(times[ANNA.id]), statistics.median(times[NOBODY.id])

    known, unknown = asyncio.run(run())
    assert 0.5 < known / unknown < 2


def test_many_at_once_use_few_threads_and_end_in_time() -> None:
    async def hash_of(_asked: Account) -> str:
        return STORED

    async def run() -> list[Verdict]:
        local = LocalPasswords(hash_of, threads=1)
        asked = PasswordSources(local, timeout=0.4)
        began = time.monotonic()
        got = await asyncio.gather(*(asked.check(ANNA, GOOD) for _ in range(60)))
        assert time.monotonic() - began < 2
        local.close()
        return got

    got = asyncio.run(run())
    assert Verdict.RIGHT in got
    assert set(got) <= {Verdict.RIGHT, Verdict.UNAVAILABLE}
