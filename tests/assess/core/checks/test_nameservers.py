"""DNS-002: the domain's name servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.nameservers import run
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question
from gambeson.assess.core.unknown import Cause

SOA = ["ns1.example.org a.example.org 7 2 3 4 5"]
GOOD: Records = {
    "example.org NS": ["ns1.example.org", "ns2.example.net"],
    "ns1.example.org A": ["1.1.1.1"],
    "ns2.example.net A": ["8.8.8.8"],
    "example.org SOA @1.1.1.1": SOA,
    "example.org SOA @8.8.8.8": SOA,
}
TWO = "ns2.example.net (8.8.8.8)"
SAID = DnsAnswer(
    Question("example.org", "SOA", "8.8.8.8"), DnsState.RECORDS, tuple(SOA), 60, authoritative=True
)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, [("ok", "example.org")]),
        ({"example.org NS": ["ns1.example.org"]}, [("single", "example.org")]),
        ({"ns2.example.net A": ["1.1.1.1"]}, [("single", "example.org")]),
        ({"ns2.example.net A": ["1.1.1.9"], "example.org SOA @1.1.1.9": SOA}, [("one-network", "example.org")]),
        ({"ns2.example.net A": Cause.TIMEOUT}, [("timeout", "ns2.example.net"), ("ok", "example.org")]),
        ({"ns2.example.net A": []}, [("single", "example.org"), ("dangling", "ns2.example.net")]),
        ({"ns2.example.net A": [], "ns2.example.net TXT": ["x"]},
         [("single", "example.org"), ("no-address", "ns2.example.net")]),
        ({"ns2.example.net A": ["10.0.0.1"], "example.org SOA @10.0.0.1": Cause.PRIVATE},
         [("private", "ns2.example.net")]),
        ({"ns2.example.net CNAME": ["x.example.net"], "x.example.net A": ["8.8.8.8"]}, [("alias", "ns2.example.net")]),
        ({"example.org SOA @8.8.8.8": Cause.REFUSED}, [("lame", TWO)]),
        ({"example.org SOA @8.8.8.8": Cause.SERVFAIL}, [("lame", TWO)]),
        ({"example.org SOA @8.8.8.8": replace(SAID, authoritative=False)}, [("lame", TWO)]),
        ({"example.org SOA @8.8.8.8": replace(SAID, state=DnsState.NO_DATA, records=())}, [("lame", TWO)]),
        ({"example.org SOA @8.8.8.8": replace(SAID, recursive=True)}, [("recursive", TWO)]),
        ({"example.org SOA @8.8.8.8": Cause.TIMEOUT}, [("timeout", TWO), ("ok", "example.org")]),
        ({"example.org SOA @8.8.8.8": ["ns1.example.org a.example.org 6 2 3 4 5"]}, [("apart", "example.org")]),
        ({"example.org NS": Cause.SERVFAIL}, [("servfail", "example.org")]),
        ({"example.org NS": []}, []),
    ],
)  # fmt: skip
def test_outcomes(change: Records, wanted: list[tuple[str, str]]) -> None:
    assert codes(run, facts({**GOOD, **change})) == wanted


def test_below_a_zone_the_zone_counts() -> None:
    records: Records = {**GOOD, "mail.example.org MX": ["10 x.example.org"]}
    assert codes(run, replace(facts(records), domain="mail.example.org")) == [("ok", "example.org")]
