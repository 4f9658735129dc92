"""Everything that one look measured. Plain values: they can be stored, compared and judged again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .dns import DnsAnswer, Question
from .doors import DoorFacts
from .reference import Reference
from .software import Observation
from .unknown import Unknown
from .web import Page


@dataclass(frozen=True, slots=True)
class Host:
    """A host name that belongs to the domain's mail, and why we think so (``mx``, ``autodiscover``, ``autoconfig``,
    ``srv``, ``guess``, ``given``). ``addresses`` are those that were probed; ``left_out`` the others, and why."""

    name: str
    roles: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    left_out: tuple[tuple[str, Unknown], ...] = ()
    unknown: Unknown | None = None  # its addresses could not be found out


@dataclass(frozen=True, slots=True)
class Facts:
    """``at`` is when the look began (seconds since 1970), ``took`` its seconds. ``unfinished`` names what the deadline
    cut off, in plain words. Without consent ``doors`` and ``pages`` are empty and ``probed`` is False. ``private``: the
    look is at a laboratory on loopback, or at one's own network."""

    domain: str
    at: float
    took: float = 0.0
    probed: bool = False
    answers: Mapping[Question, DnsAnswer] = field(default_factory=dict)
    hosts: tuple[Host, ...] = ()
    doors: tuple[DoorFacts, ...] = ()
    pages: tuple[Page, ...] = ()
    software: tuple[Observation, ...] = ()
    dkim_selectors: tuple[str, ...] = ()  # those that were asked for
    unfinished: tuple[str, ...] = ()
    private: bool = False
    resolver: str = ""  # who answered, in plain words
    reference: Reference = field(default=Reference(), repr=False)  # the tables to judge it by
