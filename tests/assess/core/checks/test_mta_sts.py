"""TLS-008: which words a policy gets."""

from __future__ import annotations

import pytest

from assess.one_check import codes, loaded
from gambeson.assess.core.facts import Facts
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
        ([], "SERVFAIL", ["missing"]),
        (["v=STSv1; id=1", "v=STSv1; id=2"], "10 mx1.d.example", ["several"]),
        ("v=STSv1;", "10 mx1.d.example", ["broken"]),
        ("SERVFAIL", "10 mx1.d.example", ["unknown"]),
    ],
)
def test_records(record: str | list[str], mx: str | list[str], expected: list[str]) -> None:
    zone = {"d.example A": "192.0.2.1", "d.example MX": mx, "_mta-sts.d.example TXT": record}
    assert codes("mta_sts", zone, facts(None)) == expected


def test_every_word_of_the_data_file_is_used() -> None:
    tables = (m.args[1] for test in (test_policies, test_records) for m in test.pytestmark)  # type: ignore[attr-defined]
    used = {code for table in tables for row in table for code in row[-1]}
    assert used - {"unknown"} == loaded("mta_sts").outcomes.keys()
