"""BIMI records, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import bimi
from gambeson.wire.bimi import BimiError, BimiRecord


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=BIMI1; l=https://d.example/logo.svg; a=https://d.example/vmc.pem", BimiRecord("https://d.example/logo.svg", "https://d.example/vmc.pem")),
        ("v=BIMI1; l=https://d.example/logo.svg; a=;", BimiRecord("https://d.example/logo.svg")),
        ("v=BIMI1; l=https://d.example/logo.svg; avp=brand", BimiRecord("https://d.example/logo.svg")),
        ("v=BIMI1; l=; a=;", BimiRecord()),
    ],
)  # fmt: skip
def test_records(text: str, record: BimiRecord) -> None:
    assert bimi.parse(text) == record
    assert record.declined is (record == BimiRecord())


@pytest.mark.parametrize(
    "text", ["", "v=BIMI2; l=", "v=BIMI1", "v=BIMI1; a=", "v=BIMI1; l=http://d.example/x.svg", "v=BIMI1;;l="]
)
def test_no_records(text: str) -> None:
    with pytest.raises(BimiError):
        bimi.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_record_or_one_error(text: str) -> None:
    for candidate in (text, "v=BIMI1;" + text, "v=BIMI1; l=https://" + text):
        try:
            record = bimi.parse(candidate)
        except BimiError:
            continue
        else:
            assert record.logo.startswith("https://") or record.logo == ""
