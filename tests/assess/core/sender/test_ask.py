"""Names, MX answers and owners."""

from __future__ import annotations

import pytest

from gambeson.assess.core.dns import DnsAnswer, DnsState, Question
from gambeson.assess.core.sender.ask import exchangers, host_name, related


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MX1.Example.ORG.", "mx1.example.org"),
        ("_spf.example.org", "_spf.example.org"),
        ("", ""),
        (".", ""),
        ("a..b", ""),
        ("a b.example", ""),
        ("\u00fc.example", ""),
        ("x" * 64 + ".example", ""),
        (".".join(["x" * 60] * 5), ""),
    ],
)
def test_host_name(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize(
    ("records", "hosts"),
    [
        (("20 b.example", "10 a.example"), ("a.example", "b.example")),
        (("10 a.example", "20 a.example"), ("a.example",)),
        (("0 .",), ()),
        (("0 ",), ()),
        (("words", "x a.example", "99999999 a.example", "\u0661 a.example"), ()),
    ],
)
def test_exchangers(records: tuple[str, ...], hosts: tuple[str, ...]) -> None:
    assert exchangers(DnsAnswer(Question("d.example", "MX"), DnsState.RECORDS, records)) == hosts


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.firm.example", "firm.example", True),
        ("firm.example", "other.example", False),
        ("a.firm.co.uk", "b.firm.co.uk", True),
        ("firm.co.uk", "other.co.uk", False),
    ],
)
def test_related(one: str, other: str, same: bool) -> None:
    assert related(one, other) is same
