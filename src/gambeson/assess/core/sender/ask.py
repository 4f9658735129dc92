"""What the judgements of this package share: asking for many answers at once, and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question, WantedError
from gambeson.assess.core.unknown import Cause, Unknown

MAX_NAME = 253
NEVER_SAID = Unknown(Cause.MALFORMED, "the answer says nothing")


class Found(StrEnum):
    """What is published where exactly one record should be."""

    NOTHING = "nothing"
    ONE = "one"
    SEVERAL = "several"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Single:
    """The records at a name that count. ``text`` is the one; ``texts`` all of them."""

    found: Found
    text: str = ""
    texts: tuple[str, ...] = ()
    unknown: Unknown | None = None


def every(answers: Answers, *questions: Question) -> tuple[DnsAnswer, ...]:
    """The answers to ``questions``. Raises WantedError with all that are missing, so that they are asked together."""
    missing = tuple(q for q in questions if q not in answers)
    if missing:
        raise WantedError(*missing)
    return tuple(answers[q] for q in questions)


def single(answer: DnsAnswer, counts: Callable[[str], bool]) -> Single:
    """The record of ``answer`` for which ``counts`` is true. No answer is never taken for no record."""
    if answer.state is DnsState.UNKNOWN:
        return Single(Found.UNKNOWN, unknown=answer.unknown or NEVER_SAID)
    texts = tuple(text for text in answer.records if counts(text))
    if len(texts) == 1:
        return Single(Found.ONE, texts[0], texts)
    return Single(Found.SEVERAL if texts else Found.NOTHING, "", texts)


def host_name(text: str) -> str:
    """``text`` as a question's name; empty where it can be none (RFC 1035 section 2.3.4)."""
    name = text.lower().removesuffix(".")
    if not name or len(name) > MAX_NAME or not name.isascii() or not name.isprintable() or " " in name:
        return ""
    return name if all(0 < len(label) <= 63 for label in name.split(".")) else ""


def exchangers(answer: DnsAnswer) -> tuple[str, ...]:
    """The host names of an MX answer, best first, each once; the null MX (RFC 7505) has none."""
    found = []
    for record in answer.records:
        preference, _, name = record.partition(" ")
        if (
            preference.isascii()
            and preference.isdecimal()
            and len(preference) <= 5
            and (host := host_name(name.strip()))
        ):
            found.append((int(preference), host))
    return tuple(dict.fromkeys(host for _, host in sorted(found)))


def takes_mail(answer: DnsAnswer) -> bool:
    """Whether an MX answer names a host to which mail can go."""
    return answer.state is DnsState.RECORDS and bool(exchangers(answer))


def related(one: str, other: str) -> bool:
    """Whether two names probably belong to one owner. A guess, for what is shown and never for what is judged: the
    last two labels are the same, or three below a short second level such as co.uk."""
    return _end(one) == _end(other)


def _end(name: str) -> tuple[str, ...]:
    labels = name.lower().split(".")
    short = len(labels) >= 3 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return tuple(labels[-3:] if short else labels[-2:])
