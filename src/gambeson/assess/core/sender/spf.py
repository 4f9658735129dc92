"""What a domain's SPF record does: whether receivers can use it, whom it lets send, and what it says of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from gambeson.assess.core.dns import Answers, Question, WantedError, known
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import spf

from .ask import Found, single
from .spans import NOBODY, Spans
from .spf_walk import MAX_LOOKUPS, MAX_TERMS, MAX_VOID, Problem, Walk

__all__ = ["MAX_LOOKUPS", "MAX_TERMS", "MAX_VOID", "Problem", "SpfReport", "report"]

MAX_NETWORKS = 500

# The large mail services have some hundred thousand addresses each; a domain that uses several stays below these.
WIDE4, HUGE4 = 2**21, 2**24
WIDE6, HUGE6 = 2 ** (128 - 24), 2 ** (128 - 16)


@dataclass(frozen=True, slots=True)
class SpfReport:
    """``found`` and ``record`` are what is published; ``error`` why it is broken. ``rest`` is the sign for everybody
    who is not listed (``-``, ``~``, ``?``, ``+``; empty: nothing said, which receivers take for ``?``).
    ``lookups`` counts the whole tree; ``more`` says that it goes on. ``passes`` are the addresses that may send, as
    far as they can be known: ``dynamic`` are terms that depend on the message, ``unknowns`` what did not answer.
    ``lookalikes`` were meant to be SPF and are not."""

    domain: str
    found: Found
    record: str = ""
    texts: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()
    error: str = ""
    rest: str = ""
    lookups: int = 0
    more: bool = False
    voids: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    passes: Spans = NOBODY
    third_parties: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    unknown: Unknown | None = None
    unknowns: tuple[tuple[Question, Unknown], ...] = ()

    @property
    def networks(self) -> tuple[str, ...]:
        """The record flattened: the networks that may send, at most ``MAX_NETWORKS``."""
        return tuple(str(network) for network in islice(self.passes.networks(), MAX_NETWORKS))

    @property
    def everybody(self) -> bool:
        """Whether half of all IPv4 or IPv6 addresses or more may send: then the record keeps nobody out."""
        return self.passes.size4 >= 2**31 or self.passes.size6 >= 2**127

    @property
    def huge(self) -> bool:
        """As many as a /8: no owner has so many senders."""
        return self.passes.size4 >= HUGE4 or self.passes.size6 >= HUGE6

    @property
    def wide(self) -> bool:
        """More than the large mail services together need."""
        return self.passes.size4 >= WIDE4 or self.passes.size6 >= WIDE6


def report(domain: str, answers: Answers) -> SpfReport:
    """The report for ``domain``. Raises WantedError while answers are missing."""
    answer = known(answers, domain, "TXT")
    found = single(answer, spf.is_spf)
    if found.found is Found.UNKNOWN:
        return SpfReport(domain, Found.UNKNOWN, unknown=found.unknown)
    lookalikes = tuple(text for text in answer.records if spf.looks_like_spf(text))
    if found.found is not Found.ONE:
        return SpfReport(domain, found.found, texts=found.texts, lookalikes=lookalikes)
    try:
        record = spf.parse(found.text)
    except spf.SpfError as error:
        return SpfReport(domain, Found.BROKEN, found.text, found.texts, lookalikes, error=str(error))
    walk = Walk(domain, answers)
    passes, rest = walk.of(domain, record)
    if walk.wanted:
        raise WantedError(*walk.wanted)
    return SpfReport(
        domain,
        Found.ONE,
        found.text,
        found.texts,
        lookalikes,
        rest=rest,
        lookups=walk.lookups,
        more=walk.stopped,
        voids=tuple(walk.voids),
        problems=tuple(walk.problems),
        passes=passes,
        third_parties=tuple(walk.third_parties),
        included=tuple(walk.included),
        dynamic=tuple(walk.dynamic),
        pointers=tuple(walk.pointers),
        unknowns=tuple(walk.unknowns),
    )
