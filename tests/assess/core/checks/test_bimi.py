"""SND-011: a logo needs DMARC behind it; no logo needs nothing."""

from __future__ import annotations

import pytest

from assess.one_check import codes, loaded
from gambeson.assess.core.facts import Facts

LOGO = "v=BIMI1; l=https://d.example/logo.svg"
MARK = LOGO + "; a=https://d.example/mark.pem"


@pytest.mark.parametrize(
    ("record", "dmarc", "expected"),
    [
        ([], "v=DMARC1; p=reject", []),
        ("v=BIMI1; l=; a=;", "v=DMARC1; p=reject", []),
        ("SERVFAIL", "v=DMARC1; p=reject", ["unknown"]),
        ([LOGO, MARK], "v=DMARC1; p=reject", ["several"]),
        ("v=BIMI1; l=http://d.example/logo.svg", "v=DMARC1; p=reject", ["broken"]),
        (LOGO, "v=DMARC1; p=reject", ["no-certificate"]),
        (MARK, "v=DMARC1; p=quarantine", ["ok"]),
        (MARK, "v=DMARC1; p=none", ["unbacked"]),
        (MARK, "v=DMARC1; p=reject; sp=none", ["unbacked"]),
        (MARK, "v=DMARC1; p=quarantine; pct=50", ["unbacked"]),
        (MARK, "v=DMARC1; p=quarantine; t=y", ["unbacked"]),
        (MARK, [], ["unbacked"]),
        (MARK, "SERVFAIL", ["unknown"]),
    ],
)
def test_codes(record: str | list[str], dmarc: str | list[str], expected: list[str]) -> None:
    zone = {"d.example A": "192.0.2.1", "default._bimi.d.example TXT": record, "_dmarc.d.example TXT": dmarc}
    assert codes("bimi", zone, Facts("d.example", at=0)) == expected


def test_every_word_of_the_data_file_is_used() -> None:
    table = next(m for m in test_codes.pytestmark if m.name == "parametrize").args[1]  # type: ignore[attr-defined]
    assert {code for *_, found in table for code in found} - {"unknown"} == loaded("bimi").outcomes.keys()
