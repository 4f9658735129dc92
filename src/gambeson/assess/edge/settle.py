"""Asks the domain name system whatever a judgement wants, until it wants nothing more or the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, WantedError
from gambeson.assess.core.unknown import Cause, Unknown

from .manners import Manners, OutOfTimeError

T = TypeVar("T")
ROUNDS = 60  # a judgement that still wants more then is led in a circle by what it reads
QUESTIONS = 3000  # of one look


class Asks(Protocol):
    """What a resolver does."""

    async def ask(self, question: Question) -> DnsAnswer:
        """The answer; what could not be found out is an answer too."""
        ...


class Answered:
    """The answers of one look: each question is asked once."""

    def __init__(self, resolver: Asks, manners: Manners) -> None:
        self._resolver, self._manners = resolver, manners
        self.answers: dict[Question, DnsAnswer] = {}
        self._under_way: dict[Question, asyncio.Task[DnsAnswer]] = {}

    async def ask(self, questions: Iterable[Question]) -> None:
        """Asks what has not been asked, all at once."""
        tasks = []
        for question in questions:
            if question in self.answers:
                continue
            if question not in self._under_way:
                if len(self.answers) + len(self._under_way) >= QUESTIONS:
                    self.answers[question] = _unasked(question, "too many questions")
                    continue
                self._under_way[question] = asyncio.create_task(self._one(question))
            tasks.append(self._under_way[question])
        if tasks:
            await asyncio.wait(tasks)
            for task in tasks:
                task.result()

    async def _one(self, question: Question) -> DnsAnswer:
        try:
            async with asyncio.timeout(self._manners.left()):
                answer = await self._resolver.ask(question)
        except (TimeoutError, OutOfTimeError):
            answer = _unasked(question, "the look was over", Cause.DEADLINE)
        self.answers[question] = answer
        self._under_way.pop(question, None)
        return answer

    async def settle(self, judge: Callable[[], T]) -> T:
        """``judge()`` with every answer that it wants. Raises WantedError where it wants more without end."""
        for _ in range(ROUNDS):
            try:
                return judge()
            except WantedError as wanted:
                questions = wanted.questions
            await self.ask(questions)
        return judge()

    async def feed(self, wants: Callable[[], Iterable[Question]]) -> None:
        """Asks what ``wants()`` names, round after round, until it names nothing new."""
        for _ in range(ROUNDS):
            missing = [question for question in wants() if question not in self.answers]
            if not missing:
                return
            await self.ask(missing)


def _unasked(question: Question, why: str, cause: Cause = Cause.NOT_ASKED) -> DnsAnswer:
    return DnsAnswer(question, DnsState.UNKNOWN, unknown=Unknown(cause, why))
