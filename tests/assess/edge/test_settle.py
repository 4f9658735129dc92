"""Names are asked once, whoever wants them, until nothing more is wanted or the time is over."""

from __future__ import annotations

import asyncio

import pytest

from assess.looped import looped
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, WantedError, known
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge import settle
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.settle import ROUNDS, Answered


class Book:
    """Answers ``NAME TYPE`` with the name of the next; counts what it is asked."""

    def __init__(self, delay: float = 0.0) -> None:
        self.asked: list[str] = []
        self.delay, self.at_once, self.most = delay, 0, 0

    async def ask(self, question: Question) -> DnsAnswer:
        self.asked.append(question.name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.delay)
        self.at_once -= 1
        return DnsAnswer(question, DnsState.RECORDS, (f"x{question.name}",))


def q(name: str) -> Question:
    return Question(name, "TXT")


@looped
async def test_a_judgement_gets_what_it_wants_round_after_round() -> None:
    book = Book()
    answered = Answered(book, Manners(30))

    def judge() -> str:
        first = known(answered.answers, "a", "TXT").records[0]
        return known(answered.answers, first, "TXT").records[0]

    assert await answered.settle(judge) == "xxa"
    assert book.asked == ["a", "xa"]


@looped
async def test_each_question_is_asked_once_and_all_at_once() -> None:
    book = Book(0.01)
    answered = Answered(book, Manners(30))
    names = [q(f"n{n}") for n in range(20)]
    await asyncio.gather(answered.ask(names), answered.ask(names), answered.ask([*names, q("more")]))
    await answered.ask(names)
    assert sorted(book.asked) == sorted({question.name for question in [*names, q("more")]})
    assert book.most == 21
    assert len(answered.answers) == 21


@looped
async def test_a_judgement_that_is_led_in_a_circle_is_left() -> None:
    book = Book()
    answered = Answered(book, Manners(30))
    count = 0

    def judge() -> str:
        nonlocal count
        count += 1
        raise WantedError(q(f"n{count}"))

    with pytest.raises(WantedError):
        await answered.settle(judge)
    assert len(book.asked) == ROUNDS


@looped
async def test_feeding_ends_too() -> None:
    book, count = Book(), 0
    answered = Answered(book, Manners(30))

    def wants() -> list[Question]:
        nonlocal count
        count += 1
        return [q(f"n{n}") for n in range(count)]

    await answered.feed(wants)
    assert len(book.asked) == ROUNDS
    await answered.feed(lambda: [q("n0")])
    assert len(book.asked) == ROUNDS


@looped
async def test_what_came_too_late_is_unknown_for_that_reason() -> None:
    answered = Answered(Book(30), Manners(0.05))
    await asyncio.wait_for(answered.ask([q("a"), q("b")]), 5)
    for answer in answered.answers.values():
        assert answer.state is DnsState.UNKNOWN
        assert answer.unknown is not None
        assert answer.unknown.cause is Cause.DEADLINE


@looped
async def test_when_it_is_over_nothing_is_missing_either() -> None:
    answered = Answered(Book(), Manners(0))
    assert await answered.settle(lambda: known(answered.answers, "a", "TXT").state) is DnsState.UNKNOWN


@looped
async def test_too_many_questions_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "QUESTIONS", 10)
    book = Book()
    answered = Answered(book, Manners(30))
    await answered.ask([q(f"n{n}") for n in range(25)])
    assert len(book.asked) == 10
    unasked = [a for a in answered.answers.values() if a.state is DnsState.UNKNOWN]
    assert len(unasked) == 15
    assert {a.unknown.cause for a in unasked if a.unknown} == {Cause.NOT_ASKED}


@looped
async def test_a_fault_of_the_resolver_is_heard() -> None:
    class Broken:
        async def ask(self, question: Question) -> DnsAnswer:
            raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await Answered(Broken(), Manners(30)).ask([q("a")])
