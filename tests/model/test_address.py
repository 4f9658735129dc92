"""Addresses in their one form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.address import MAX_ADDRESS, canonical, canonical_domain, domain_of


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("  ann@example.org. ", "ann@example.org"),
        ("ann+lists@example.org", "ann+lists@example.org"),
        ("o'neill@example.org", "o'neill@example.org"),
        ("ann@B\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--BCHER-kva.example", "ann@xn--bcher-kva.example"),
        ("JO\u0308RG@example.org", "j\u00f6rg@example.org"),  # decomposed and composed are one
        ("ann@localhost", "ann@localhost"),
        ("ann@example\u3002org", "ann@example.org"),  # the ideographic full stop is a dot, RFC 3490
    ],
)
def test_one_address_has_one_form(written: str, stored: str) -> None:
    assert canonical(written) == stored


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "a b@example.org",
        "ann..x@example.org",
        ".ann@example.org",
        '"ann b"@example.org',
        "<ann@example.org>",
        "ann@[192.0.2.1]",
        "ann@192.0.2.1",
        "ann@-x.example",
        "ann@exa_mple.org",
        "ann@example..org",
        "a@b@example.org",
        "ann\x00@example.org",
        "ann\r\nRCPT TO:<x@y>@example.org",
        "ann@stra\u00dfe.example",  # strasse.example or xn--strae-oqa.example?
        "ann@xn--\u00fc.example",
        "a" * 65 + "@example.org",
        "a@" + ".".join(["b" * 60] * 5),
        "a@" + "b" * 64 + ".example",
        "\u200bann@example.org",
        "\ud800@example.org",
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence(written: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{10,200}$"):
        canonical(written)


@given(st.text(max_size=300) | st.builds("{}@{}".format, st.text(max_size=20), st.text(max_size=20)))
def test_any_text_gives_an_address_or_valueerror(text: str) -> None:
    try:
        address = canonical(text)
    except ValueError:
        return
    assert canonical(address) == address
    assert canonical_domain(domain_of(address)) == domain_of(address)
    assert domain_of(address).isascii()
    assert len(address.encode()) <= MAX_ADDRESS
