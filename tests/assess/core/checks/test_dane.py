"""TLS-009: promised keys."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.dane import run
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, Security
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.tls import Certificate, TlsFacts
from gambeson.assess.core.unknown import Cause, Unknown

HOST = "mx.example.org"
TLSA = f"_25._tcp.{HOST} TLSA"
BASE: Records = {"example.org MX": [f"10 {HOST}"], f"{HOST} A": ["1.2.3.4"]}
GOOD: Records = {**BASE, TLSA: ["3 1 1 " + "ab" * 32]}
OWN = Certificate("CN=mx", "CN=ca", (HOST,), 0, 9e9, "EC", 256, "sha256", "00" * 32, "ab" * 32)
OTHER = Certificate("CN=mx", "CN=ca", (HOST,), 0, 9e9, "EC", 256, "sha256", "00" * 32, "cd" * 32)


def door(*chain: Certificate, **more: object) -> DoorFacts:
    values: dict[str, object] = {"starttls": StartTls.OFFERED, "tls": TlsFacts(chain=chain), **more}
    return DoorFacts(HOST, "1.2.3.4", 25, Protocol.SMTP, PortState.OPEN, **values)  # type: ignore[arg-type]


def insecure(name: str, kind: str, *records: str) -> DnsAnswer:
    return DnsAnswer(Question(name, kind), DnsState.RECORDS, records, 60, Security.INSECURE)


CLOSED = DoorFacts(
    HOST, "1.2.3.4", 25, Protocol.SMTP, PortState.UNKNOWN, Unknown(Cause.UNREACHABLE, "no way")
)


SILENT = DoorFacts(HOST, "1.2.3.5", 25, Protocol.SMTP, PortState.UNKNOWN, Unknown(Cause.TIMEOUT, "no answer"))


@pytest.mark.parametrize(
    ("records", "doors", "wanted"),
    [
        (GOOD, [door(OWN)], ["ok"]),
        (GOOD, [door(OTHER)], ["mismatch"]),
        ({**BASE, TLSA: ["3 1 1 " + "cd" * 32, "3 1 1 " + "ab" * 32]}, [door(OWN)], ["ok"]),
        ({**BASE, TLSA: ["3 1 1 " + "cd" * 32, "1 1 1 " + "ab" * 32]}, [door(OWN)], ["mismatch"]),
        (GOOD, [door(starttls=StartTls.NOT_OFFERED, tls=None)], ["no-tls"]),
        (GOOD, [door(starttls=StartTls.FAILED, tls=None)], ["tls-failed"]),
        (GOOD, [door(tls=TlsFacts(unknown=Unknown(Cause.TIMEOUT)))], ["timeout"]),
        (GOOD, [CLOSED], ["unreachable"]),
        (GOOD, [door(OWN), SILENT], ["ok", "timeout"]),  # one address that is right says nothing of the other
        (GOOD, [door(OWN), CLOSED], ["ok"]),
        (GOOD, [], ["not-asked"]),
        ({**BASE, TLSA: ["1 1 1 " + "ab" * 32]}, [door(OWN)], ["unusable"]),
        ({**BASE, TLSA: ["nonsense"]}, [door(OWN)], ["unusable"]),
        (
            {**GOOD, TLSA: insecure(f"_25._tcp.{HOST}", "TLSA", "3 1 1 " + "ab" * 32)},
            [door(OWN)],
            ["insecure"],
        ),
        ({**GOOD, f"{HOST} A": insecure(HOST, "A", "1.2.3.4")}, [door(OWN)], ["insecure"]),
        ({**GOOD, "example.org MX": insecure("example.org", "MX", f"10 {HOST}")}, [door(OWN)], ["half"]),
        ({**BASE, TLSA: Cause.SERVFAIL}, [door(OWN)], ["broken"]),
        ({**BASE, TLSA: Cause.TIMEOUT}, [door(OWN)], ["timeout"]),
        (
            {**BASE, TLSA: Cause.SERVFAIL, f"{HOST} A": insecure(HOST, "A", "1.2.3.4")},
            [door(OWN)],
            ["servfail"],
        ),
        (BASE, [door(OWN)], ["absent"]),
        ({"example.org MX": ["0 ."]}, [], []),
        ({"example.org MX": Cause.TIMEOUT}, [], []),
    ],
)
def test_outcomes(records: Records, doors: list[DoorFacts], wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records, doors=tuple(doors)))] == wanted


def test_without_signed_zones_nobody_expects_it() -> None:
    assert codes(run, facts(BASE, Security.INSECURE)) == [("impossible", "example.org")]


def test_one_host_of_two_is_not_enough() -> None:
    two: Records = {
        **GOOD,
        "example.org MX": [f"10 {HOST}", "20 mx2.example.org"],
        "mx2.example.org A": ["8.8.8.8"],
    }
    found = codes(run, facts(two, doors=(door(OWN),)))
    assert found == [("ok", f"{HOST} at 1.2.3.4"), ("partly", "mx2.example.org")]
