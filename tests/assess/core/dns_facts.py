"""Facts out of a few records, for tests: every question has an answer, and what is not written does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.unknown import Cause, Unknown

Records = dict[str, list[str] | Cause | DnsAnswer]


class World(Mapping[Question, DnsAnswer]):
    """``records`` maps ``name TYPE`` (or ``name TYPE @server``) to records, or to the cause of not knowing. A name with
    records of another type has no data; any other does not exist. CNAMEs are followed."""

    def __init__(self, records: Records, security: Security = Security.SECURE) -> None:
        self._records, self._security = records, security

    def __getitem__(self, question: Question) -> DnsAnswer:
        name, aliases = question.name, []
        while (
            (led := self._records.get(f"{name} CNAME")) and isinstance(led, list) and question.type != "CNAME"
        ):
            name = led[0]
            aliases.append(name)
        key = f"{name} {question.type}" + (f" @{question.server}" if question.server else "")
        found = self._records.get(key)
        if isinstance(found, DnsAnswer):
            return found
        state, records, unknown = DnsState.NO_NAME, (), None
        if isinstance(found, Cause):
            state, unknown = DnsState.UNKNOWN, Unknown(found, "as the test says")
        elif found:
            state, records = DnsState.RECORDS, tuple(found)
        elif any(
            text.split()[0] == name or text.split()[0].endswith("." + name)
            for text, kept in self._records.items()
            if kept
        ):
            state = DnsState.NO_DATA
        return DnsAnswer(
            question,
            state,
            records,
            60,
            self._security,
            tuple(aliases),
            unknown,
            authoritative=bool(question.server),
        )

    def __contains__(self, question: object) -> bool:
        return isinstance(question, Question)

    def __iter__(self) -> Iterator[Question]:
        return iter(())

    def __len__(self) -> int:
        return 0


def facts(records: Records, security: Security = Security.SECURE, **more: object) -> Facts:
    return Facts("example.org", 1.8e9, answers=World(records, security), **more)  # type: ignore[arg-type]


def codes(run: Callable[[Facts], Iterable[Outcome]], given: Facts) -> list[tuple[str, str]]:
    """Code and asset of each outcome; of what is not known the cause stands for the code."""
    return [
        (outcome.unknown.cause.value if outcome.unknown else outcome.code, outcome.asset)
        for outcome in run(given)
    ]


def answered(judge: Callable[[Answers], object], world: World) -> dict[Question, DnsAnswer]:
    """The answers that ``judge`` wanted, asked round after round as the edge does."""
    from gambeson.assess.core.dns import WantedError

    found: dict[Question, DnsAnswer] = {}
    for _ in range(20):
        try:
            judge(found)
        except WantedError as wanted:
            found.update((question, world[question]) for question in wanted.questions)
        else:
            return found
    raise AssertionError("it never has enough")
