"""DNS-004: how programs find the mail server."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.autodiscover_dns import run
from gambeson.assess.core.discovery import NOBODY
from gambeson.assess.core.unknown import Cause

MX: Records = {"example.org MX": ["10 mx.example.org"], "mx.example.org A": ["1.1.1.1"]}
AUTO = "autodiscover.example.org"
SRV = "_imaps._tcp.example.org"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (MX, [("none", "example.org")]),
        ({**MX, f"{AUTO} A": ["1.1.1.1"]}, [("ok", "example.org")]),
        ({**MX, f"{AUTO} CNAME": ["mx.example.org"]}, [("ok", "example.org")]),
        ({**MX, f"{AUTO} CNAME": ["gone.example.net"]}, [("dangling", AUTO)]),
        ({**MX, f"{AUTO} A": Cause.TIMEOUT}, [("timeout", AUTO)]),
        ({**MX, f"{SRV} SRV": ["0 1 993 mx.example.org"]}, [("ok", "example.org")]),
        ({**MX, f"{SRV} SRV": ["0 1 993 gone.example.net"]}, [("service", SRV)]),
        ({**MX, f"{SRV} SRV": ["0 0 0 ."]}, [("none", "example.org")]),
        ({**MX, f"{SRV} SRV": Cause.SERVFAIL}, [("servfail", SRV)]),
        ({**MX, f"{AUTO} A": ["1.1.1.1"], f"{NOBODY}.example.org A": ["1.1.1.1"]}, [("none", "example.org")]),
        ({"example.org MX": ["0 ."], f"{AUTO} CNAME": ["gone.example.net"]}, []),
    ],
)
def test_outcomes(records: Records, wanted: list[tuple[str, str]]) -> None:
    assert codes(run, facts(records)) == wanted
