"""The walk through an SPF record and all that it includes (RFC 7208 sections 4 and 5), for every sender at once.

A receiver stops at the term that fits its one sender; this walk goes to the end, as the sender that fits last makes
every receiver do. It asks address records only as far as a receiver would (ten terms), counts on to ``MAX_TERMS`` so
that the owner hears how many there are, and then stops, whatever a hostile zone has ready.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from gambeson.assess.core.dns import Answers, DnsAnswer, DnsState, Question
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import spf

from .ask import NEVER_SAID, Found, exchangers, host_name, related, single
from .spans import EVERYBODY, NOBODY, Spans, spans

MAX_LOOKUPS = 10  # RFC 7208 section 4.6.4
MAX_VOID = 2
MAX_EXCHANGERS = 10
MAX_TERMS = 30  # where the walk itself stops
MAX_NOTES = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """Why receivers stop with «permerror»: ``code`` is one of ``syntax``, ``lookups``, ``loop``, ``include-nothing``,
    ``include-several``, ``exchangers``; ``where`` the domain whose record it is, ``what`` the term or the name."""

    code: str
    where: str
    what: str


@dataclass(slots=True)
class Walk:
    """One walk. After ``of`` its fields say what was met; ``wanted`` is not empty where answers are missing."""

    domain: str
    answers: Answers
    lookups: int = 0
    stopped: bool = False  # there is more than MAX_TERMS, and it was not counted
    voids: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unknowns: list[tuple[Question, Unknown]] = field(default_factory=list)
    wanted: dict[Question, None] = field(default_factory=dict)
    third_parties: dict[str, None] = field(default_factory=dict)
    dynamic: list[str] = field(default_factory=list)  # terms that depend on who sends
    pointers: list[str] = field(default_factory=list)  # domains whose record has ptr
    included: dict[str, None] = field(default_factory=dict)

    def of(self, name: str, record: spf.SpfRecord, path: tuple[str, ...] = ()) -> tuple[Spans, str]:
        """The addresses that ``record`` of ``name`` passes, and the sign for all the others (empty: nothing said)."""
        path = (*path, name)
        passes = decided = NOBODY
        for mechanism in record.mechanisms:
            if mechanism.name == "all":
                if mechanism.qualifier == "+":
                    passes |= EVERYBODY - decided
                return passes, mechanism.qualifier
            match = self._match(name, mechanism, path)
            if mechanism.qualifier == "+":
                passes |= match - decided
            decided |= match
        if not record.redirect:
            return passes, ""
        self._count(name, f"redirect={record.redirect}")
        sub, rest = self._record(name, "redirect=" + record.redirect, record.redirect, path)
        return passes | (sub - decided), rest

    def _match(self, name: str, mechanism: spf.Mechanism, path: tuple[str, ...]) -> Spans:
        if mechanism.network is not None:
            return spans([mechanism.network])
        self._count(name, mechanism.text)
        if mechanism.name == "include":
            return self._record(name, mechanism.text, mechanism.target, path)[0]
        if mechanism.name == "ptr":
            _note(self.pointers, name)
            return NOBODY  # by whom a name server says it is; RFC 7208 section 5.5 wants it unused
        target = self._target(name, mechanism.target)
        if target is None:
            _note(self.dynamic, mechanism.text)
            return NOBODY
        if self.lookups > MAX_LOOKUPS or not target:
            return NOBODY
        self._third(name, target)
        if mechanism.name == "exists":
            answer = self._ask(target, "A")
            if answer is None or not self._present(mechanism.text, answer):
                return NOBODY
            return EVERYBODY
        if mechanism.name == "mx":
            return self._exchangers(name, target, mechanism)
        hosts = self._addresses([target])
        if hosts is not None and not hosts:
            _note(self.voids, mechanism.text)
        return _around(hosts or (), mechanism)

    def _exchangers(self, name: str, target: str, mechanism: spf.Mechanism) -> Spans:
        answer = self._ask(target, "MX")
        if answer is None or not self._present(mechanism.text, answer):
            return NOBODY
        hosts = exchangers(answer)
        if len(answer.records) > MAX_EXCHANGERS:  # records, though several may name one host
            self._problem("exchangers", name, mechanism.text)
        return _around(self._addresses(hosts[:MAX_EXCHANGERS]) or (), mechanism)

    def _record(self, name: str, term: str, spec: str, path: tuple[str, ...]) -> tuple[Spans, str]:
        """What the record passes to which ``term`` of ``name`` leads."""
        target = self._target(name, spec)
        if target is None:
            _note(self.dynamic, term)
            return NOBODY, ""
        if self.stopped:
            return NOBODY, ""
        if target in path:
            self._problem("loop", name, target)
            return NOBODY, ""
        if not target:
            self._problem("include-nothing", name, term)
            return NOBODY, ""
        self._third(name, target)
        answer = self._ask(target, "TXT")
        if answer is None:
            return NOBODY, ""
        self.included[target] = None
        if answer.state is not DnsState.RECORDS:
            _note(self.voids, term)
        found = single(answer, spf.is_spf)
        if found.found is not Found.ONE:
            several = found.found is Found.SEVERAL
            self._problem("include-several" if several else "include-nothing", name, target)
            return NOBODY, ""
        try:
            record = spf.parse(found.text)
        except spf.SpfError as error:
            self._problem("syntax", target, str(error))
            return NOBODY, ""
        return self.of(target, record, path)

    def _count(self, name: str, term: str) -> None:
        self.lookups += 1
        if self.lookups == MAX_LOOKUPS + 1:
            self._problem("lookups", name, term)
        if self.lookups > MAX_TERMS:
            self.stopped = True

    def _target(self, name: str, spec: str) -> str | None:
        """The name to ask, empty where it can be none; None where it depends on the sender."""
        if not spec:
            return name
        expanded = spf.expand(spec, {"d": name, "o": self.domain})
        return None if expanded is None else host_name(expanded)

    def _third(self, name: str, target: str) -> None:
        if (
            related(name, self.domain)
            and not related(target, self.domain)
            and len(self.third_parties) < MAX_NOTES
        ):
            self.third_parties[target] = None

    def _ask(self, name: str, kind: str) -> DnsAnswer | None:
        """The answer; None where it is missing (``wanted``) or not known (``unknowns``)."""
        question = Question(name, kind)
        answer = self.answers.get(question)
        if answer is None:
            self.wanted[question] = None
        elif answer.state is DnsState.UNKNOWN:
            if all(question != known for known, _ in self.unknowns):
                self.unknowns.append((question, answer.unknown or NEVER_SAID))
        else:
            return answer
        return None

    def _present(self, term: str, answer: DnsAnswer) -> bool:
        if answer.state is DnsState.RECORDS:
            return True
        _note(self.voids, term)
        return False

    def _addresses(self, hosts: Iterable[str]) -> tuple[str, ...] | None:
        """The addresses of ``hosts``; None where an answer is not there."""
        found: list[str] = []
        whole = True
        for host in hosts:
            for kind in ("A", "AAAA"):
                answer = self._ask(host, kind)
                whole &= answer is not None
                found.extend(answer.records[:64] if answer else ())
        return tuple(found) if whole or found else None

    def _problem(self, code: str, where: str, what: str) -> None:
        problem = Problem(code, where, what)
        if problem not in self.problems and len(self.problems) < MAX_NOTES:
            self.problems.append(problem)


def _note(notes: list[str], what: str) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(what)


def _around(addresses: Iterable[str], mechanism: spf.Mechanism) -> Spans:
    networks: list[spf.Network] = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue  # a resolver's nonsense passes nobody
        if address.version == 4:
            networks.append(ipaddress.IPv4Network((int(address), mechanism.prefix4), strict=False))
        else:
            networks.append(ipaddress.IPv6Network((int(address), mechanism.prefix6), strict=False))
    return spans(networks)
