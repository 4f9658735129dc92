"""DNS-006: names that nobody made."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.wildcard import run
from gambeson.assess.core.discovery import NOBODY
from gambeson.assess.core.unknown import Cause

WILD = f"{NOBODY}.example.org"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({}, ["ok"]),
        ({f"{WILD} A": ["1.1.1.1"]}, ["address"]),
        ({f"{WILD} MX": ["10 mx.example.org"]}, ["mail"]),
        ({f"{WILD} MX": ["0 ."]}, ["ok"]),
        ({f"{WILD} MX": ["10 mx.example.org"], f"{WILD} AAAA": ["2606:4700::1"]}, ["mail", "address"]),
        ({f"{WILD} CNAME": ["gone.example.net"]}, ["dangling"]),
        ({f"{WILD} MX": Cause.TIMEOUT}, ["timeout"]),
        ({f"{WILD} A": Cause.SERVFAIL}, ["servfail"]),
        ({f"{WILD} A": ["1.1.1.1"], f"{WILD} MX": Cause.TIMEOUT}, ["timeout", "address"]),
    ],
)
def test_outcomes(records: Records, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records))] == wanted
