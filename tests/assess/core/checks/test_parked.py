"""SND-005: a domain without mail is closed."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.parked import run
from gambeson.assess.core.unknown import Cause

NULL: Records = {"example.org MX": ["0 ."]}
SPF: Records = {"example.org TXT": ["v=spf1 -all"]}
DMARC: Records = {"_dmarc.example.org TXT": ["v=DMARC1; p=reject"]}


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({**NULL, **SPF, **DMARC}, ["ok"]),
        ({**SPF, **DMARC}, ["open"]),
        (NULL, ["open"]),
        ({**NULL, **SPF}, ["open"]),
        ({**NULL, **DMARC}, ["open"]),
        ({**NULL, **SPF, "_dmarc.example.org TXT": ["v=DMARC1; p=quarantine"]}, ["open"]),
        ({**NULL, **DMARC, "example.org TXT": ["v=spf1 mx -all"]}, ["open"]),
        ({**NULL, **DMARC, "example.org TXT": ["v=spf1 -all", "v=spf1 -all"]}, ["open"]),
        ({**NULL, **DMARC, "example.org TXT": ["V=SPF1  -ALL", "other"]}, ["ok"]),
        ({**NULL, **DMARC, "example.org TXT": Cause.TIMEOUT}, ["timeout"]),
        ({**NULL, **SPF, "_dmarc.example.org TXT": Cause.SERVFAIL}, ["servfail"]),
        ({"example.org MX": ["10 mx.example.org"], "mx.example.org A": ["1.1.1.1"]}, []),
        ({"example.org MX": Cause.TIMEOUT}, []),
    ],
)
def test_outcomes(records: Records, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records))] == wanted


def test_it_names_what_is_missing() -> None:
    (outcome,) = run(facts({}))
    assert outcome.values["missing"] == "MX 0 ., TXT v=spf1 -all, _dmarc.example.org TXT v=DMARC1; p=reject"
