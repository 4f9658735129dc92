"""SND-010: the names of addresses."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.ptr import generic, run
from gambeson.assess.core.unknown import Cause

BASE: Records = {"example.org MX": ["10 mx.example.org"], "mx.example.org A": ["1.2.3.4"]}
PTR = "4.3.2.1.in-addr.arpa PTR"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({**BASE, PTR: ["mx.example.org"]}, ["ok"]),
        ({**BASE, PTR: ["other.example.net"], "other.example.net A": ["1.2.3.4"]}, ["ok"]),
        ({**BASE, PTR: ["gone.example.net", "mx.example.org"]}, ["ok"]),
        (BASE, ["missing"]),
        ({**BASE, PTR: ["bad name"]}, ["missing"]),
        ({**BASE, PTR: ["gone.example.net"]}, ["mismatch"]),
        ({**BASE, PTR: ["other.example.net"], "other.example.net A": ["8.8.8.8"]}, ["mismatch"]),
        ({**BASE, PTR: ["other.example.net"], "other.example.net A": Cause.TIMEOUT}, ["timeout"]),
        ({**BASE, PTR: Cause.SERVFAIL}, ["servfail"]),
        ({**BASE, PTR: ["p-1-2-3-4.dsl.example.net"], "p-1-2-3-4.dsl.example.net A": ["1.2.3.4"]}, ["generic"]),
        ({**BASE, "mx.example.org A": ["10.0.0.1"]}, []),
        ({"example.org MX": ["10 mx.provider.example"], "mx.provider.example A": ["1.2.3.4"]}, []),
        ({"example.org MX": ["10 mx.example.org"], "mx.example.org CNAME": ["mx.provider.example"],
          "mx.provider.example A": ["1.2.3.4"]}, []),
        ({"example.org MX": ["0 ."]}, []),
    ],
)  # fmt: skip
def test_outcomes(records: Records, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records))] == wanted


def test_every_address_of_every_host_has_its_line() -> None:
    six = "2606:4700::1"
    records: Records = {**BASE, PTR: ["mx.example.org"], "mx.example.org AAAA": [six]}
    assert codes(run, facts(records)) == [("ok", "1.2.3.4"), ("missing", six)]


@pytest.mark.parametrize(
    ("name", "address", "wanted"),
    [
        ("mail.example.org", "1.2.3.4", False),
        ("mx1.example.org", "1.2.3.4", False),
        ("mail4.dc2.example.org", "1.2.3.4", False),
        ("1-2-3-4.example.net", "1.2.3.4", True),
        ("4.3.2.1.example.net", "1.2.3.4", True),
        ("host001002003004.example.net", "1.2.3.4", False),
        ("c0000201.example.net", "192.0.2.1", True),
        ("dynamic-17.example.net", "1.2.3.4", True),
        ("pool12.example.net", "1.2.3.4", True),
        ("dslr.example.net", "1.2.3.4", False),
        ("p20010db8000000000000000000000001.example.net", "2001:db8::1", True),
        ("mail.example.net", "2001:db8::1", False),
    ],
)
def test_names_made_from_addresses(name: str, address: str, wanted: bool) -> None:
    assert generic(name, address) is wanted
