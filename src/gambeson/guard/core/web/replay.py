"""Shields over stored request logs: was a flaw tried before anybody knew it, by whom, and did it come through?

Logs are long and alike. What method and path rule out is worked out once for each of them, and so is what program and
names of cookies rule out; only what is left after both is looked at as the door would. Logs keep no bodies, so
conditions on bodies are not asked, and no values of cookies: a request that a shield stopped at the door counts as that
shield's, whatever else of it is still there to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeVar

from gambeson.model.web import Product, WebRequest

from .canonical import forms, path_forms, plain_path
from .narrowing import Narrowed, narrowed
from .shield_source import Condition, Shield
from .shields import ShieldSet, any_of, headers_hold, holds

_MAX_KEPT = 65_536  # methods and paths, programs and cookies, that are remembered
_MAX_ALIVE = 64  # kinds of programs and cookies that are remembered of one path
_SHIELD = "shield "
K = TypeVar("K")
V = TypeVar("V")


class LogRecord(NamedTuple):
    """One line of a stored request log. ``time`` is in seconds since 1970; ``cookies`` the pairs, or names alone with
    empty values; ``admitted``: it went on to the mail server (None: not known). ``product`` None: unknown, every shield
    is tried. ``account`` is whose it was, empty for nobody's; ``rule`` the door's reason."""

    time: float
    method: str
    host: str
    path: str
    query: str = ""
    cookies: tuple[tuple[str, str], ...] = ()
    agent: str = ""
    admitted: bool | None = False
    source: str = ""
    product: Product | None = None
    account: str = ""
    rule: str = ""

    def request(self) -> WebRequest:
        """The request as far as the log remembers it."""
        return WebRequest(
            self.method.upper(),
            self.host,
            self.path,
            self.query,
            self.path.lower(),
            (),
            (("user-agent", self.agent),) if self.agent else (),
            self.cookies,
            self.source,
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one shield found in a log. ``first`` is the time of the earliest hit, ``source`` and ``account`` who it was,
    ``first_reached`` whether it went on to the mail server; of the ``count`` hits ``reached`` did and ``unknown`` may
    have. ``days`` is how long the first one came before the flaw was public, ``days_before_use`` before its first
    known exploitation (negative: after). ``disclosed`` and ``since`` are these days."""

    shield: str
    cve: tuple[str, ...]
    first: float
    source: str
    account: str
    first_reached: bool | None
    count: int
    reached: int
    unknown: int
    days: int
    disclosed: date
    days_before_use: int
    since: date

    @property
    def when(self) -> str:
        """For people: how long before or after disclosure."""
        if self.days == 0:
            return "on the day of disclosure"
        unit = "day" if abs(self.days) == 1 else "days"
        return f"{abs(self.days)} {unit} {'before' if self.days > 0 else 'after'} disclosure"

    @property
    def came_through(self) -> str:
        """For people: whether any reached the mail server."""
        if self.reached:
            return f"yes, {self.reached} of {self.count}"
        return f"not known, {self.unknown} of {self.count}" if self.unknown else "no"

    @property
    def sentence(self) -> str:
        """For people: when it was first seen and whether it came through."""
        return (
            f"{', '.join(self.cve)} ({self.shield}): first seen {self.when}, "
            f"reached the mail server: {self.came_through}."
        )


@dataclass(slots=True)
class _Path:
    """What one method and path leave open, by number: without a query, and with any; then by what program and cookies
    leave open."""

    paths: tuple[str, ...]
    bare: frozenset[int]
    left: frozenset[int]
    bare_open: dict[frozenset[int], tuple[int, ...]] = field(default_factory=dict)
    opened: dict[frozenset[int], Narrowed] = field(default_factory=dict)


class Screen:
    """The shields of one product (None: of all), asked about many requests."""

    def __init__(self, shields: ShieldSet, product: Product | None = None) -> None:
        of = [shield for shield in shields.shields if product in (None, shield.product)]
        self._names = {shield.id: shield for shield in of}
        self._table = tuple((s, c) for s in of for c in s.conditions if c.body is None)
        self._words = tuple(max(c.contains, key=len, default="") for _, c in self._table)
        self._heads: dict[tuple[object, ...], frozenset[int]] = {}
        self._paths: dict[tuple[str, str], _Path] = {}

    def matches(self, record: LogRecord) -> tuple[Shield, ...]:
        """Every shield that knows the request."""
        key = (record.method, record.path)
        kept = self._paths.get(key)
        if kept is None:
            kept = self._path(record)
            _keep(self._paths, key, kept)
        found = self._found(record, kept) if (kept.left if record.query else kept.bare) else ()
        if not record.rule.startswith(_SHIELD):
            return found
        stopped = self._names.get(record.rule[len(_SHIELD) :])
        return found if stopped is None or stopped in found else (*found, stopped)

    def _found(self, record: LogRecord, kept: _Path) -> tuple[Shield, ...]:
        key = (record.agent, record.cookies)
        alive = self._heads.get(key)
        if alive is None:
            alive = self._head(record)
            _keep(self._heads, key, alive)
        if record.query:
            opened = kept.opened.get(alive)
            if opened is None:
                opened = narrowed(kept.left, alive, self._words, kept.paths)
                _keep(kept.opened, alive, opened, _MAX_ALIVE)
            numbers = opened.of_query(plain_path(record.query))
        else:
            bare = kept.bare_open.get(alive)
            if bare is None:
                bare = tuple(sorted(kept.bare & alive))
                _keep(kept.bare_open, alive, bare, _MAX_ALIVE)
            numbers = bare
        if not numbers:
            return ()
        request = record.request()
        seen = forms(request)
        found = [self._table[n] for n in numbers]
        return tuple(dict.fromkeys(s for s, c in found if holds(c, request, seen)))

    def _head(self, record: LogRecord) -> frozenset[int]:
        """The conditions that program and cookies leave open."""
        request = record.request()
        seen = forms(request)
        return frozenset(n for n, (_, one) in enumerate(self._table) if headers_hold(one, request, seen))

    def _path(self, record: LogRecord) -> _Path:
        """The conditions that method and path leave open."""
        paths, method = path_forms(record.path), record.method.upper()
        left = frozenset(
            n
            for n, (_, one) in enumerate(self._table)
            if (not one.methods or method in one.methods) and (one.path is None or any_of(one.path, paths))
        )
        return _Path(paths, frozenset(n for n in left if _bare(self._table[n][1], paths)), left)


def _contained(condition: Condition, urls: Iterable[str]) -> bool:
    texts = condition.contains
    return not texts or any(all(text in url for text in texts) for url in urls)


def _bare(condition: Condition, paths: tuple[str, ...]) -> bool:
    """Whether it may hold for a request without a query."""
    if condition.parameter or (condition.query is not None and not condition.query.search("")):
        return False
    return _contained(condition, paths) and (condition.url is None or any_of(condition.url, paths))


def _keep(table: dict[K, V], key: K, value: V, most: int = _MAX_KEPT) -> None:
    if len(table) >= most:
        table.clear()
    table[key] = value


@dataclass(slots=True)
class _Found:
    shield: Shield
    first: LogRecord
    count: int = 0
    reached: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Replay:
    """One run over a log in any order."""

    shields: ShieldSet
    requests: int = 0
    _screens: dict[Product | None, Screen] = field(default_factory=dict)
    _found: dict[str, _Found] = field(default_factory=dict)

    def feed(self, records: Iterable[LogRecord]) -> None:
        """Look at more of the log. Nothing of it is kept but the first hits."""
        for record in records:
            self.requests += 1
            screen = self._screens.get(record.product)
            if screen is None:
                screen = self._screens[record.product] = Screen(self.shields, record.product)
            for shield in screen.matches(record):
                one = self._found.setdefault(shield.id, _Found(shield, record))
                if record.time < one.first.time:
                    one.first = record
                one.count += 1
                one.reached += record.admitted is True
                one.unknown += record.admitted is None

    def lines(self) -> tuple[Replayed, ...]:
        """One line for each shield that hit, the earliest first."""
        found = (_replayed(one) for one in self._found.values())
        return tuple(sorted(found, key=lambda one: (one.first, one.shield)))


def _replayed(one: _Found) -> Replayed:
    shield, first = one.shield, one.first
    day = datetime.fromtimestamp(first.time, UTC).date()
    return Replayed(
        shield.id,
        shield.cve,
        first.time,
        first.source,
        first.account,
        first.admitted,
        one.count,
        one.reached,
        one.unknown,
        (shield.disclosed - day).days,
        shield.disclosed,
        (shield.since - day).days,
        shield.since,
    )


def replay(shields: ShieldSet, records: Iterable[LogRecord]) -> tuple[Replayed, ...]:
    """Run shields over a log in any order: one line for each shield that hit, the earliest first."""
    run = Replay(shields)
    run.feed(records)
    return run.lines()
