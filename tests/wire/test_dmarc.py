"""DMARC records: tags, reports, what is discarded, and any text at all. Verdicts are in tests/assess/core/sender."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import dmarc
from gambeson.wire.dmarc import POLICIES, DmarcError, DmarcRecord, ReportUri


def test_a_whole_record() -> None:
    record = dmarc.parse(
        "v=DMARC1; p=reject; sp=quarantine; np=none; t=y; psd=n; pct=20; adkim=s; aspf=s; fo=1; ri=1; rf=afrf; new=1;"
        "rua=mailto:a@d.example!10m , https://d.example/r; ruf=mailto:F@D.example"
    )
    assert record == DmarcRecord(
        policy="reject",
        subdomains="quarantine",
        nonexistent="none",
        testing=True,
        psd="n",
        percent=20,
        strict_dkim=True,
        strict_spf=True,
        aggregate=(
            ReportUri("mailto:a@d.example", "a@d.example", "d.example"),
            ReportUri("https://d.example/r"),
        ),
        failure=(ReportUri("mailto:F@D.example", "F@D.example", "d.example"),),
        unknown=("new",),
    )


@pytest.mark.parametrize(
    ("text", "discarded"),
    [
        ("pct=101", ("pct", "101")),
        ("pct=-1", ("pct", "-1")),
        ("p=block", ("p", "block")),
        ("adkim=x", ("adkim", "x")),
        ("rua=a@d.example", ("rua", "a@d.example")),
        ("rua=mailto:@d.example", ("rua", "mailto:@d.example")),
        ("rua=mailto:a@", ("rua", "mailto:a@")),
    ],
)
def test_a_wrong_value_is_dropped_and_kept_for_the_owner(text: str, discarded: tuple[str, str]) -> None:
    assert dmarc.parse(f"v=DMARC1; {text}").discarded == (discarded,)


@pytest.mark.parametrize(
    "text",
    ["", "v=DMARC1 p=none", "v=dmarc1", "v=DMARC1; p", "v=DMARC1;; p=none", "v=DMARC1; p=none; P=none"],
)
def test_no_record(text: str) -> None:
    with pytest.raises(DmarcError):
        dmarc.parse(text)


TAGS = ["p", "sp", "np", "t", "psd", "pct", "adkim", "rua", "ruf", "x", "", "v"]
VALUES = [
    "none",
    "reject",
    "quarantine",
    "y",
    "s",
    "50",
    "mailto:a@d.example",
    "mailto:",
    "\u00e9",
    "",
    "a,b",
    "!1m",
]


@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(VALUES)), max_size=12).map(
            lambda pairs: ";".join(f"{tag}={value}" for tag, value in pairs)
        ),
    )
)
def test_any_text_is_a_record_or_one_error(text: str) -> None:
    for candidate in (text, "v=DMARC1;" + text):
        try:
            record = dmarc.parse(candidate)
        except DmarcError:
            continue
        for which in ("p", "sp", "np"):
            assert record.effective(which) in ("", *POLICIES)
        assert len(record.aggregate) <= dmarc.MAX_URIS


@given(st.text(max_size=100))
def test_any_text_is_an_address_for_reports_or_none(text: str) -> None:
    uri = dmarc.report_uri(text)
    assert uri is None or bool(uri.address) == bool(uri.domain)


def test_a_record_is_bounded() -> None:
    with pytest.raises(DmarcError, match="longer"):
        dmarc.parse("v=DMARC1; rua=" + "a" * 70000)
    with pytest.raises(DmarcError, match="more than 64"):
        dmarc.parse("v=DMARC1" + "".join(f";t{n}=1" for n in range(100)))
