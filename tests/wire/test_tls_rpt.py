"""TLS-RPT records, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import tls_rpt
from gambeson.wire.tls_rpt import TlsRpt, TlsRptError


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=TLSRPTv1;rua=mailto:reports@example.com", TlsRpt(("reports@example.com",))),
        ("v=TLSRPTv1; rua=https://r.example/v1", TlsRpt((), ("https://r.example/v1",))),
        (
            "v=TLSRPTv1; rua=mailto:a@b.example, https://c.example/;",
            TlsRpt(("a@b.example",), ("https://c.example/",)),
        ),
        ("v=TLSRPTv1; rua=mailto:a@b.example,ftp://x", TlsRpt(("a@b.example",), (), ("ftp://x",))),
    ],
)
def test_records(text: str, record: TlsRpt) -> None:
    assert tls_rpt.parse(text) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=TLSRPTv1",
        "v=TLSRPTv2;rua=mailto:a@b.example",
        "v=TLSRPTv1;",
        "v=TLSRPTv1; rua=a@b.example",
        "v=TLSRPTv1;;",
    ],
)
def test_no_records(text: str) -> None:
    with pytest.raises(TlsRptError):
        tls_rpt.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_record_or_one_error(text: str) -> None:
    for candidate in (text, "v=TLSRPTv1;" + text, "v=TLSRPTv1;rua=" + text):
        try:
            record = tls_rpt.parse(candidate)
        except TlsRptError:
            continue
        else:
            assert record.mail or record.https
