"""What is asked of whom, and that only RIGHT is ever right."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.directory_budget import DirectoryBudget
from gambeson.guard.edge.identity.source import PasswordSources, Verdict, sendable
from gambeson.model import device_secret
from gambeson.model.asset import Account, IdentitySource

LOCAL = Account("l", "o", "l@example.org")
REMOTE = Account("r", "o", "r@example.org", source=IdentitySource.LDAP)


class Asked:
    """A directory of one entry that says what it is told to; ``open`` counts connections that were not closed."""

    entry = "cn=r"

    def __init__(self, said: Verdict = Verdict.WRONG, wait: float = 0.0) -> None:
        self.said, self.wait = said, wait
        self.passwords: list[str] = []
        self.open = self.most = 0

    async def find(self, _account: Account) -> Asked:
        self.open += 1
        self.most = max(self.most, self.open)
        return self

    async def ask(self, password: str) -> Verdict:
        self.passwords.append(password)
        await asyncio.sleep(self.wait)
        return self.said

    def close(self) -> None:
        self.open -= 1


def test_a_directory_is_not_asked_without_a_budget() -> None:
    with pytest.raises(ValueError, match="without a budget"):
        PasswordSources(directory=Asked())


def test_a_source_that_is_not_there_is_unavailable() -> None:
    async def main() -> None:
        nothing = PasswordSources()
        assert await nothing.check(LOCAL, "x") is Verdict.UNAVAILABLE
        assert await nothing.check(REMOTE, "x") is Verdict.UNAVAILABLE

    asyncio.run(main())


def test_a_question_without_an_answer_counts_as_a_wrong_password() -> None:
    async def main() -> None:
        silent, budget = Asked(Verdict.RIGHT, wait=30), DirectoryBudget(5, 900.0)
        asked = PasswordSources(directory=silent, budget=budget, timeout=0.05, clock=lambda: 1.0)
        assert await asked.check(REMOTE, "x") is Verdict.UNAVAILABLE
        assert budget.used(silent.entry, 1.0) == 1
        left = asyncio.create_task(asked.check(REMOTE, "x"))
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        assert budget.used(silent.entry, 1.0) == 2
        assert await asked.check(REMOTE, "x") is Verdict.HELD
        assert silent.open == 0

    asyncio.run(main())


def test_strangers_leave_the_known_their_share() -> None:
    async def main() -> None:
        directory = Asked()
        asked = PasswordSources(directory=directory, budget=DirectoryBudget(6, 900.0), clock=lambda: 1.0)
        got = [await asked.check(REMOTE, "guess", known=False) for _ in range(10)]
        assert (got.count(Verdict.WRONG), got.count(Verdict.HELD)) == (2, 8)
        directory.said = Verdict.RIGHT
        assert await asked.check(REMOTE, "mine") is Verdict.RIGHT

    asyncio.run(main())


def test_the_right_password_gives_the_budget_back() -> None:
    async def main() -> None:
        directory = Asked()
        asked = PasswordSources(directory=directory, budget=DirectoryBudget(6, 900.0), clock=lambda: 1.0)
        wrong, right = Verdict.WRONG, Verdict.RIGHT
        for said in (wrong, right, wrong, right, wrong, wrong, Verdict.HELD):
            directory.said = said
            assert await asked.check(REMOTE, "x") is said

    asyncio.run(main())


def test_no_more_than_so_many_at_once() -> None:
    async def main() -> None:
        directory = Asked(Verdict.RIGHT, wait=0.01)
        asked = PasswordSources(directory=directory, budget=DirectoryBudget(1000, 900.0), at_once=3)
        await asyncio.gather(*(asked.check(REMOTE, "x") for _ in range(20)))
        assert directory.most == 3

    asyncio.run(main())


@given(st.binary(min_size=device_secret.ENTROPY_BYTES, max_size=device_secret.ENTROPY_BYTES), st.data())
def test_no_device_secret_is_sent_not_even_a_mistyped_one(entropy: bytes, data: st.DataObject) -> None:
    text = device_secret.make(entropy).text
    assert not sendable(text)
    assert not sendable(text.upper())
    place = data.draw(st.integers(4, len(text) - 1))
    assert not sendable(text[:place] + data.draw(st.sampled_from("0aZ-")) + text[place + 1 :])
    assert not sendable(text[:place] + text[place + 1 :])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=39))
def test_what_people_type_is_sent(password: str) -> None:
    assert sendable(password)


def test_the_longest() -> None:
    assert sendable("x" * 4096)
    assert not sendable("x" * 4097)
    assert sendable("gambeson and a long sentence that nobody else would write down")
