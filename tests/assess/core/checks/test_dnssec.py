"""DNS-003: signed answers."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.dnssec import run
from gambeson.assess.core.dns import Security
from gambeson.assess.core.unknown import Cause

SOA: Records = {"example.org SOA": ["ns.example.org a.example.org 1 2 3 4 5"]}
DS = "example.org DS"
SECURE, INSECURE, UNCHECKED = Security.SECURE, Security.INSECURE, Security.UNCHECKED


@pytest.mark.parametrize(
    ("records", "security", "wanted"),
    [
        ({**SOA, DS: ["1 13 2 ab"]}, SECURE, ["ok"]),
        ({**SOA, DS: ["1 8 1 ab", "1 8 2 ab"]}, SECURE, ["ok"]),
        ({**SOA, DS: ["1 8 1 ab"]}, SECURE, ["weak"]),
        ({**SOA, DS: ["1 7 2 ab"]}, SECURE, ["weak"]),
        (SOA, INSECURE, ["unsigned"]),
        ({}, INSECURE, ["unsigned"]),
        ({**SOA, "example.org DNSKEY": ["257 3 13 ab"]}, INSECURE, ["unlinked"]),
        ({**SOA, DS: ["1 250 2 ab"]}, INSECURE, ["alien"]),
        (SOA, UNCHECKED, ["unreachable"]),
        ({"example.org SOA": Cause.TIMEOUT}, SECURE, ["timeout"]),
        ({"example.org SOA": Cause.BOGUS}, SECURE, ["bogus"]),
        ({**SOA, "example.org MX": Cause.BOGUS}, SECURE, ["bogus"]),
        ({**SOA, DS: Cause.SERVFAIL}, INSECURE, ["servfail"]),
    ],
)
def test_outcomes(records: Records, security: Security, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records, security))] == wanted


def test_a_wrong_signature_is_a_fault_and_not_something_unknown() -> None:
    (outcome,) = run(facts({"example.org SOA": Cause.BOGUS}))
    assert (outcome.code, outcome.unknown, outcome.values["why"]) == ("bogus", None, "as the test says")
