"""TLS-010: which words a record gets."""

from __future__ import annotations

import pytest

from assess.one_check import codes, loaded
from gambeson.assess.core.facts import Facts


@pytest.mark.parametrize(
    ("record", "mx", "expected"),
    [
        ("v=TLSRPTv1; rua=mailto:a@d.example", "10 mx1.d.example", ["ok"]),
        ("v=TLSRPTv1; rua=mailto:a@d.example,x", "10 mx1.d.example", ["partly"]),
        ("v=TLSRPTv1;", "10 mx1.d.example", ["broken"]),
        (["v=TLSRPTv1; rua=mailto:a@d.example"] * 2, "10 mx1.d.example", ["several"]),
        ([], "10 mx1.d.example", ["missing"]),
        ([], "SERVFAIL", ["unknown"]),
        ([], "0 .", []),
        ([], [], []),
        ("SERVFAIL", "10 mx1.d.example", ["unknown"]),
    ],
)
def test_codes(record: str | list[str], mx: str | list[str], expected: list[str]) -> None:
    zone = {"d.example A": "192.0.2.1", "d.example MX": mx, "_smtp._tls.d.example TXT": record}
    assert codes("tls_rpt", zone, Facts("d.example", at=0)) == expected


def test_every_word_of_the_data_file_is_used() -> None:
    table = next(m for m in test_codes.pytestmark if m.name == "parametrize").args[1]  # type: ignore[attr-defined]
    assert {code for *_, found in table for code in found} - {"unknown"} == loaded("tls_rpt").outcomes.keys()
