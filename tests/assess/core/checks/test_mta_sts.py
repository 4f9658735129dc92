"""TLS-008: which words a policy gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.one_check import codes, loaded
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.tls import Certificate, TlsFacts, Trust
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page

DNS = {"_mta-sts.d.example TXT": "v=STSv1; id=1", "d.example MX": "10 mx1.d.example"}


def policy(mode: str = "enforce", mx: str = "mx1.d.example", age: int = 604800) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {age}\n".encode()


def facts(body: bytes | None, status: int = 200) -> Facts:
    unknown = None if status else Unknown(Cause.TIMEOUT)
    url = "https://mta-sts.d.example/.well-known/mta-sts.txt"
    page = Page("mta-sts", url, "192.0.2.1", status=status, body=body or b"", trusted=True, unknown=unknown)
    return Facts("d.example", at=0, probed=True, pages=() if body is None else (page,))


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (policy(), 200, ["ok"]),
        (policy(mx="*.d.example"), 200, ["ok"]),
        (policy("testing"), 200, ["testing"]),
        (policy("none"), 200, ["none"]),
        (policy(mx="other.example"), 200, ["shut-out"]),
        (policy("testing", "other.example"), 200, ["uncovered", "testing"]),
        (policy(age=3600), 200, ["short"]),
        (policy(), 404, ["no-policy"]),
        (b"nonsense", 200, ["no-policy"]),
        (b"", 0, ["unknown"]),
        (None, 0, ["unknown"]),
    ],
)
def test_policies(body: bytes | None, status: int, expected: list[str]) -> None:
    assert codes("mta_sts", DNS, facts(body, status)) == expected


@pytest.mark.parametrize(
    ("record", "mx", "expected"),
    [
        ([], "10 mx1.d.example", ["missing"]),
        ([], "0 .", []),
        ([], [], []),
        ([], "SERVFAIL", ["unknown"]),
        (["v=STSv1; id=1", "v=STSv1; id=2"], "10 mx1.d.example", ["several"]),
        ("v=STSv1;", "10 mx1.d.example", ["broken"]),
        ("SERVFAIL", "10 mx1.d.example", ["unknown"]),
    ],
)
def test_records(record: str | list[str], mx: str | list[str], expected: list[str]) -> None:
    zone = {"d.example A": "192.0.2.1", "d.example MX": mx, "_mta-sts.d.example TXT": record}
    assert codes("mta_sts", zone, facts(None)) == expected


@pytest.mark.parametrize(
    ("starttls", "trust", "name", "mode", "expected"),
    [
        (StartTls.OFFERED, Trust.TRUSTED, True, "enforce", ["ok"]),
        (StartTls.OFFERED, Trust.EXPIRED, True, "enforce", ["refused"]),
        (StartTls.OFFERED, Trust.TRUSTED, False, "enforce", ["refused"]),
        (StartTls.OFFERED, Trust.UNKNOWN, None, "enforce", ["ok"]),
        (StartTls.NOT_OFFERED, Trust.UNKNOWN, None, "enforce", ["refused"]),
        (StartTls.OFFERED, Trust.EXPIRED, True, "testing", ["testing"]),
    ],
)
def test_mail_hosts_that_senders_refuse(
    starttls: StartTls, trust: Trust, name: bool | None, mode: str, expected: list[str]
) -> None:
    leaf = Certificate("CN=x", "CN=y", ("mx1.d.example",), 0, 1, "EC", 256, "sha256", "00", "00")
    tls = TlsFacts(chain=(leaf,), trust=trust, name_matches=name) if starttls is StartTls.OFFERED else None
    door = DoorFacts(
        "mx1.d.example", "192.0.2.1", 25, Protocol.SMTP, PortState.OPEN, starttls=starttls, tls=tls
    )
    assert codes("mta_sts", DNS, replace(facts(policy(mode)), doors=(door,))) == expected


TABLES = (test_policies, test_records, test_mail_hosts_that_senders_refuse)


def test_every_word_of_the_data_file_is_used() -> None:
    tables = (m.args[1] for test in TABLES for m in test.pytestmark)  # type: ignore[attr-defined]
    used = {code for table in tables for row in table for code in row[-1]}
    assert used - {"unknown"} == loaded("mta_sts").outcomes.keys()
