"""DNS-003: the domain's answers are signed, and the signatures hold."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.ask import NEVER_SAID, every
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Evidence

_SHA1_ALGORITHMS = frozenset({"1", "3", "5", "6", "7"})  # RFC 9905 section 2
_UNCHECKED = "the resolver does not check signatures"


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for the domain."""
    soa, ds, keys, mx = every(facts.answers, *(Question(facts.domain, kind) for kind in _KINDS))
    proof = tuple(Evidence("dns", f"{facts.domain} DS", excerpt=record) for record in ds.records)
    bogus = [
        answer.unknown for answer in (soa, mx, keys) if answer.unknown and answer.unknown.cause is Cause.BOGUS
    ]
    if bogus:
        yield Outcome("bogus", facts.domain, {"why": bogus[0].detail}, proof)
    elif soa.state is DnsState.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=soa.unknown or NEVER_SAID)
    elif soa.security is Security.UNCHECKED:
        yield Outcome(
            "unknown", facts.domain, unknown=Unknown(Cause.UNREACHABLE, soa.unchecked or _UNCHECKED)
        )
    elif soa.security is Security.SECURE:
        weak = _weak(ds)
        yield Outcome("weak" if weak else "ok", facts.domain, {"algorithm": weak}, proof)
    elif ds.state is DnsState.UNKNOWN:
        yield Outcome("unknown", facts.domain, unknown=ds.unknown or NEVER_SAID)
    elif ds.state is DnsState.RECORDS:
        yield Outcome("alien", facts.domain, {"algorithm": _algorithms(ds)}, proof)
    elif keys.state is DnsState.RECORDS:
        yield Outcome("unlinked", facts.domain)
    else:
        yield Outcome("unsigned", facts.domain)


_KINDS = ("SOA", "DS", "DNSKEY", "MX")


def _weak(ds: DnsAnswer) -> str:
    """What of the link from the parent rests on SHA-1; empty where nothing does."""
    words = [record.split() for record in ds.records if len(record.split()) >= 4]
    if words and all(word[1] in _SHA1_ALGORITHMS for word in words):
        return f"algorithm {words[0][1]}"
    return "digest type 1" if words and all(word[2] == "1" for word in words) else ""


def _algorithms(ds: DnsAnswer) -> str:
    return ", ".join(dict.fromkeys(record.split()[1] for record in ds.records if len(record.split()) >= 4))
