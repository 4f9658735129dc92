"""Accounts from CSV: what is taken, and what is refused with its line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.app.connect_accounts import CsvError, Person, read_accounts

DOMAINS = ("example.org", "xn--bcher-kva.example")


def test_what_people_export_is_taken() -> None:
    text = (
        "\ufeffAddress,Aliases,Groups\r\n"
        '"Anna@Example.ORG","info@example.org; post@example.org","staff sales"\r\n'
        "\r\n# a remark\r\n"
        "bob@example.org\r\n"
        "eva@bücher.example,,\r\n"
    )
    assert read_accounts(text.encode(), "people.csv", DOMAINS) == [
        Person("anna@example.org", ("info@example.org", "post@example.org"), ("staff", "sales")),
        Person("bob@example.org"),
        Person("eva@xn--bcher-kva.example"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("anna@example.org\nanna@example.org\n", "line 2: anna@example.org is in line 1 too"),
        (
            "anna@example.org,info@example.org\ninfo@example.org\n",
            "line 2: info@example.org is in line 1 too",
        ),
        ("eve@other.example\n", "line 1: eve@other.example is in none of the domains"),
        ("anna@example.org,eve@other.example\n", "none of the domains"),
        ("anna\n", "line 1"),
        ("a@example.org,,,x\n", "more than three columns"),
        ("a@example.org,\0\n", "line 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, says: str) -> None:
    with pytest.raises(CsvError, match=says):
        read_accounts(text.encode(), "people.csv", DOMAINS)


@given(st.binary(max_size=400))
def test_any_octets_give_accounts_or_the_declared_error(raw: bytes) -> None:
    with contextlib.suppress(CsvError):
        read_accounts(raw, "people.csv", DOMAINS)
