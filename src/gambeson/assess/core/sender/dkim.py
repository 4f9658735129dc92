"""DKIM keys that can be seen from outside. A key's name, its selector, is only in signed mail: usual names are tried.

That none of them answers says nothing: the domain may sign with a name that nobody guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import dkim_key

from .ask import NEVER_SAID, every, host_name

MAX_SELECTORS = 150
NOBODYS = "gambeson-asks-for-a-key-that-nobody-has"  # who has this one has them all: a wildcard


@dataclass(frozen=True, slots=True)
class Key:
    """The record of one ``selector``. ``key`` is None where it is broken, which ``error`` says. ``alias`` is the name
    that really has it (a provider's), empty without CNAME."""

    selector: str
    text: str
    key: dkim_key.DkimKey | None
    error: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class DkimReport:
    """``keys`` are those found, ``asked`` how many names were tried. ``wildcard`` is what every name answers, if any
    does; then only keys that differ from it are listed. ``unknowns`` are the selectors without an answer, ``dangling``
    those that point to a name without a record, with that name."""

    domain: str
    keys: tuple[Key, ...] = ()
    asked: int = 0
    wildcard: str = ""
    unknowns: tuple[tuple[str, Unknown], ...] = ()
    dangling: tuple[tuple[str, str], ...] = ()

    @property
    def usable(self) -> tuple[Key, ...]:
        """Keys by which mail can be signed today."""
        return tuple(k for k in self.keys if k.key is not None and not k.key.revoked)


def report(domain: str, answers: Answers, selectors: Sequence[str]) -> DkimReport:
    """The report for ``domain`` after trying ``selectors``. Raises WantedError with all that are missing."""
    tried = tuple(dict.fromkeys(s for s in selectors if host_name(f"{s}._domainkey.{domain}")))[
        :MAX_SELECTORS
    ]
    questions = [Question(f"{s}._domainkey.{domain}".lower(), "TXT") for s in (NOBODYS, *tried)]
    nobodys, *replies = every(answers, *questions)
    keys: list[Key] = []
    unknowns: list[tuple[str, Unknown]] = []
    dangling: list[tuple[str, str]] = []
    for selector, answer in zip(tried, replies, strict=True):
        if answer.state is DnsState.UNKNOWN:
            unknowns.append((selector, answer.unknown or NEVER_SAID))
        elif not answer.records:
            # A wildcard leads every name there; whether there is one must be known first.
            if answer.aliases and not nobodys.aliases and nobodys.state is not DnsState.UNKNOWN:
                dangling.append((selector, answer.aliases[-1]))
        elif answer.records != nobodys.records and (key := _key(selector, answer)):
            keys.append(key)
    wildcard = nobodys.records[0] if nobodys.records else ""
    return DkimReport(domain, tuple(keys), len(tried), wildcard, tuple(unknowns), tuple(dangling))


def _key(selector: str, answer: DnsAnswer) -> Key | None:
    """The key in ``answer``; None where nothing in it was meant to be one."""
    alias = answer.aliases[-1] if answer.aliases else ""
    meant = [text for text in answer.records if _meant(text)]
    if not meant:
        return None
    if len(meant) > 1:  # RFC 6376 section 3.6.2.2: what a receiver does is its own affair
        return Key(selector, meant[0], None, "there are several records at its name", alias)
    try:
        return Key(selector, meant[0], dkim_key.parse(meant[0]), alias=alias)
    except dkim_key.DkimKeyError as error:
        return Key(selector, meant[0], None, str(error), alias)


def _meant(text: str) -> bool:
    start = text[:4096].lower().replace(" ", "")
    return start.startswith(("v=dkim1", "k=", "p=")) or ";p=" in start
