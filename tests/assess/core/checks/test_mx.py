"""DNS-001: MX records that lead to a mail server."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.mx import run
from gambeson.assess.core.unknown import Cause

MX = "example.org MX"
TWO: Records = {MX: ["10 mx1.example.org", "20 mx2.example.org"], "mx1.example.org A": ["1.1.1.1"],
                "mx2.example.org A": ["8.8.8.8"]}  # fmt: skip
ONE: Records = {MX: ["10 mx1.example.org"]}
HOST = "mx1.example.org"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (TWO, [("ok", "example.org")]),
        ({**ONE, f"{HOST} AAAA": ["2606:4700::1"]}, [("ok", "example.org")]),
        ({}, [("none", "example.org")]),
        ({"example.org TXT": ["x"]}, [("none", "example.org")]),
        ({MX: ["0 ."]}, [("null", "example.org")]),
        ({"example.org A": ["1.1.1.1"]}, [("implicit", "example.org")]),
        ({MX: Cause.TIMEOUT}, [("timeout", "example.org")]),
        ({MX: Cause.BOGUS, "example.org A": ["1.1.1.1"]}, [("bogus", "example.org")]),
        ({"example.org A": Cause.SERVFAIL, "example.org TXT": ["x"]}, [("servfail", "example.org")]),
        (ONE, [("dead", HOST)]),
        ({**ONE, f"{HOST} TXT": ["x"]}, [("dead", HOST)]),
        ({**ONE, f"{HOST} A": Cause.TIMEOUT}, [("timeout", HOST)]),
        ({**ONE, f"{HOST} A": ["1.1.1.1"], f"{HOST} AAAA": Cause.TIMEOUT}, [("ok", "example.org")]),
        ({MX: ["10 mx1.example.org", "20 gone.example.org"], f"{HOST} A": ["1.1.1.1"]},
         [("dangling", "gone.example.org")]),
        ({MX: ["10 mx1.example.org", "20 bare.example.org"], f"{HOST} A": ["1.1.1.1"], "bare.example.org TXT": ["x"]},
         [("no-address", "bare.example.org")]),
        ({MX: ["10 mx1.example.org", "20 gone.example.org"], f"{HOST} A": Cause.TIMEOUT},
         [("timeout", HOST), ("dangling", "gone.example.org")]),
        ({**ONE, f"{HOST} A": ["10.0.0.1"]}, [("private", HOST)]),
        ({**ONE, f"{HOST} A": ["127.0.0.1"]}, [("private", HOST)]),
        ({**ONE, f"{HOST} A": ["100.64.0.1"], f"{HOST} AAAA": ["fd00::1"]}, [("private", HOST)]),
        ({**ONE, f"{HOST} A": ["10.0.0.1", "1.1.1.1"]}, [("part-private", HOST)]),
        ({**TWO, "mx2.example.org A": ["192.168.1.1"]}, [("private-beside", "mx2.example.org")]),
        ({MX: ["10 1.1.1.1"]}, [("literal", "1.1.1.1")]),
        ({MX: ["nonsense"]}, [("unreadable", "example.org")]),
        ({MX: ["0 .", "10 mx1.example.org"], f"{HOST} A": ["1.1.1.1"]}, [("null-beside", "example.org")]),
        ({**ONE, f"{HOST} CNAME": ["real.example.net"], "real.example.net A": ["1.1.1.1"]}, [("alias", HOST)]),
        ({**ONE, f"{HOST} CNAME": ["gone.example.net"]}, [("dead", HOST)]),
    ],
)  # fmt: skip
def test_outcomes(records: Records, wanted: list[tuple[str, str]]) -> None:
    assert codes(run, facts(records)) == wanted


def test_in_a_laboratory_loopback_is_the_internet() -> None:
    assert codes(run, facts({**ONE, f"{HOST} A": ["127.0.0.1"]}, private=True)) == [("ok", "example.org")]
    assert codes(run, facts({**ONE, f"{HOST} A": ["10.0.0.1"]}, private=True)) == [("private", HOST)]
