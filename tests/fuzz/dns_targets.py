"""What fuzzing asks of a DNS server's answer: an answer that can be told, or that there is none."""

from __future__ import annotations

from collections.abc import Callable

import dns.rdatatype

from gambeson.assess.core.dns import DnsState, Question
from gambeson.assess.edge.dns_answer import Following
from gambeson.assess.edge.dns_message import Ask, Reply, kind_of, name_of, reply
from gambeson.assess.edge.dnssec import BogusError, Budget, NotSignedError, proven_zone, signatures
from gambeson.assess.edge.dnssec_denial import Denial

NUMBER = 0x4711  # of the seeds
KINDS = ("MX", "A", "AAAA", "TXT", "TLSA", "CAA", "SRV", "SOA", "NS", "DS", "DNSKEY", "PTR")
NOW = 1_800_000_000.0


def message(data: bytes) -> None:
    """Read as the answer to each kind of question for the seeds' name."""
    name = name_of("example.org")
    assert name is not None
    for text in KINDS:
        kind = kind_of(text)
        assert kind is not None
        found = reply(data, Ask(name, kind), NUMBER)
        if isinstance(found, Reply):
            continue
        following = Following(Question("example.org", text), name, kind)
        steps = following.read(found)
        for step in steps:
            if step.rrset is not None:
                signatures(found.answer, step.rrset.name, step.rrset.rdtype)
        answer = following.answer()
        assert answer.state is not DnsState.RECORDS or answer.records
        assert all(isinstance(record, str) for record in answer.records)
        assert len(answer.aliases) <= 8
        try:
            proven_zone(name, found, [], NOW, Budget())
        except (BogusError, NotSignedError):
            pass
        else:
            raise AssertionError("no zone is proven by nothing")
        nsec = [(r.name, d) for r in found.authority if r.rdtype == dns.rdatatype.NSEC for d in r]
        nsec3 = [(r.name, d) for r in found.authority if r.rdtype == dns.rdatatype.NSEC3 for d in r]
        try:
            denial = Denial(name, nsec, nsec3)
        except NotSignedError:
            continue
        denial.no_name(name)
        denial.no_type(name, kind)
        denial.cut(name)


DNS_TARGETS: dict[str, Callable[[bytes], None]] = {"dns-message": message}
