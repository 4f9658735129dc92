"""Answers of the domain name system as facts.

Everything that is judged about names is a function of ``Answers``. A judgement that lacks an answer says which
``Question`` it wants; the edge asks, adds the answer and calls again. So nothing here ever waits, every judgement
can be made again from stored facts, and no question is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .unknown import Unknown


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """``name`` is absolute, lower case, A-labels, without the final dot; ``type`` such as ``MX``, ``TXT``, ``TLSA``.
    ``server`` is the address of a name server that is asked itself, without recursion; empty: the resolver."""

    name: str
    type: str
    server: str = ""


class DnsState(StrEnum):
    """What an answer is. Only the middle two say that something does not exist."""

    RECORDS = "records"
    NO_DATA = "nodata"  # the name exists, without records of this type (RFC 2308 section 2.2)
    NO_NAME = "nxdomain"
    UNKNOWN = "unknown"


class Security(StrEnum):
    """How an answer is proven (RFC 4035 section 4.3). A bogus answer is ``UNKNOWN`` with its cause."""

    SECURE = "secure"
    INSECURE = "insecure"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer to ``question``. ``records`` are in presentation form, names without their final dot and in lower case
    (``10 mx1.example.org``); each TXT record is its strings joined, octets beyond ASCII as Latin-1. ``aliases`` is the
    chain of CNAMEs followed, the last is whose records these are; ``ttl`` is in seconds, the least of the chain.
    ``authoritative`` and ``recursive`` are what the server says of itself (RFC 1035 section 4.1.1: AA, RA).
    ``unchecked`` says why nothing is said of its security, in plain words."""

    question: Question
    state: DnsState
    records: tuple[str, ...] = ()
    ttl: int = 0
    security: Security = Security.UNCHECKED
    aliases: tuple[str, ...] = ()
    unknown: Unknown | None = None
    authoritative: bool = False
    recursive: bool = False
    unchecked: str = ""


Answers = Mapping[Question, DnsAnswer]


class WantedError(Exception):
    """A judgement cannot be made before ``questions`` are answered."""

    def __init__(self, *questions: Question) -> None:
        super().__init__(", ".join(f"{q.name} {q.type}" for q in questions))
        self.questions = questions


def known(answers: Answers, name: str, kind: str) -> DnsAnswer:
    """The answer for ``name`` and ``kind``. Raises WantedError where it has not been asked."""
    question = Question(name.rstrip(".").lower(), kind)
    answer = answers.get(question)
    if answer is None:
        raise WantedError(question)
    return answer
