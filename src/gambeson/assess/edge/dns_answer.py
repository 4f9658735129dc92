"""Reads an answer: follows its aliases and says what has to be proven of it.

An answer may end at an alias whose target is in another zone; then the target is asked for. Aliases are few, and never
lead in a circle (RFC 1034 section 3.6.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype

from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.unknown import Cause, Unknown

from .dns_message import MAX_RECORDS, Message, Rrset, record, shown
from .dnssec import signatures

MAX_ALIASES = 8
MAX_TTL = 7 * 24 * 3600
_STRENGTH = (Security.UNCHECKED, Security.INSECURE, Security.SECURE)  # the weakest part counts


@dataclass(frozen=True, slots=True)
class Step:
    """What must be proven: a set of records, or (without one) that ``Following.name`` does not exist (``nothing``) or
    has no records of the type."""

    rrset: Rrset | None = None
    nothing: bool = False


class Following:
    """One question on its way through aliases. ``name`` is whose records are wanted now."""

    def __init__(self, question: Question, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        self._question, self.name, self._kind = question, name, kind
        self._aliases: list[dns.name.Name] = []
        self._state: DnsState | None = None
        self._records: tuple[str, ...] = ()
        self._ttl = MAX_TTL
        self._security = Security.SECURE
        self._unchecked = ""
        self.unknown: Unknown | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer."""
        return self._state is not None

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases followed so far."""
        return tuple(map(shown, self._aliases))

    def proven(self, security: Security, why: str = "") -> None:
        """How a step is proven, and ``why`` where it is unchecked."""
        self._unchecked = self._unchecked or why
        self._security = min(self._security, security, key=_STRENGTH.index)

    def answer(self) -> DnsAnswer:
        """The answer, when it is ``done``."""
        state = self._state or DnsState.UNKNOWN
        return DnsAnswer(
            self._question,
            state,
            self._records,
            self._ttl,
            self._security,
            self.aliases,
            unchecked=self._unchecked,
        )

    def read(self, message: Message) -> list[Step]:
        """Goes as far as ``message`` leads; afterwards it is ``done``, or ``unknown`` is set, or ``name`` must be
        asked for."""
        steps: list[Step] = []
        moved = False
        while (found := _find(message, self.name, self._kind)) is None:
            alias = _find(message, self.name, dns.rdatatype.CNAME)
            if alias is None:
                return steps + self._without(message, moved)
            target = alias[0].target.canonicalize()
            if target in self._aliases or target == self.name:
                self.unknown = Unknown(
                    Cause.MALFORMED, f"the aliases of {self._question.name} lead in a circle"
                )
                return steps
            if len(self._aliases) >= MAX_ALIASES:
                self.unknown = Unknown(
                    Cause.TOO_LONG, f"{self._question.name} has more than {MAX_ALIASES} aliases in a row"
                )
                return steps
            steps.append(Step(_made_by(message, alias, target) or alias))
            self._ttl = min(self._ttl, alias.ttl)
            self._aliases.append(target)
            self.name, moved = target, True
        if len(found) > MAX_RECORDS:
            self.unknown = Unknown(Cause.TOO_LONG, f"{len(found)} records for {self._question.name}")
            return steps
        self._state = DnsState.RECORDS
        self._records = tuple(sorted(record(rdata) for rdata in found))
        self._ttl = min(self._ttl, found.ttl)
        return [*steps, Step(found)]

    def _without(self, message: Message, moved: bool) -> list[Step]:
        soa = next((r for r in message.authority if r.rdtype == dns.rdatatype.SOA), None)
        if soa is not None and not self.name.is_subdomain(soa.name):
            soa = None  # it speaks of the zone in which the aliases began
        nothing = message.rcode() == dns.rcode.NXDOMAIN
        if moved and soa is None:
            # NXDOMAIN is about the last name (RFC 6604 section 3), but who says so without the SOA only knows its own.
            return []
        self._state = DnsState.NO_NAME if nothing else DnsState.NO_DATA
        if soa is not None:
            self._ttl = min(self._ttl, soa.ttl, soa[0].minimum)
        else:
            self._ttl = 0
        return [Step(nothing=nothing)]


def _find(message: Message, name: dns.name.Name, kind: int) -> Rrset | None:
    for rrset in message.answer:
        if rrset.rdtype == kind and rrset.rdclass == 1 and rrset.name == name and len(rrset):
            return rrset
    return None


def _made_by(message: Message, alias: Rrset, target: dns.name.Name) -> Rrset | None:
    """The DNAME that an unsigned CNAME was made from; it has the signature (RFC 6672 section 5.3.1)."""
    if signatures(message.answer, alias.name, dns.rdatatype.CNAME):
        return None
    for rrset in message.answer:
        if rrset.rdtype != dns.rdatatype.DNAME or len(rrset) != 1 or rrset.name == alias.name:
            continue
        if alias.name.is_subdomain(rrset.name):
            try:
                made = alias.name.relativize(rrset.name).concatenate(rrset[0].target)
            except dns.exception.DNSException:
                continue
            if made == target:
                return rrset
    return None
