"""SPF records: the grammar, macros as RFC 7208 section 7.4 works them out, and any text at all.

What a record means for a domain is in tests/assess/core/sender.
"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambeson.wire import spf
from gambeson.wire.spf import Mechanism, SpfError, SpfRecord


def test_terms_keep_their_order_and_parts() -> None:
    record = spf.parse(
        "v=spf1 a/24//64 -mx:m.example ~include:%{d2}.x.example ?ptr ip4:192.0.2.7/24 exp=e.example x=y ~all"
    )
    assert [(m.qualifier, m.name, m.target, m.prefix4, m.prefix6) for m in record.mechanisms] == [
        ("+", "a", "", 24, 64),
        ("-", "mx", "m.example", 32, 128),
        ("~", "include", "%{d2}.x.example", 32, 128),
        ("?", "ptr", "", 32, 128),
        ("+", "ip4", "", 32, 128),
        ("~", "all", "", 32, 128),
    ]
    assert record.mechanisms[4].network == ipaddress.ip_network("192.0.2.0/24")
    assert (record.redirect, record.explanation, record.others, record.all) == (
        "",
        "e.example",
        (("x", "y"),),
        "~",
    )


def test_only_terms_that_ask_are_counted() -> None:
    record = spf.parse("v=spf1 a mx ptr exists:x.example include:x.example ip4:192.0.2.1 ip6:::1 all")
    assert [m.name for m in record.mechanisms if m.asks] == ["a", "mx", "ptr", "exists", "include"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("v=spf2", "begin with v=spf1"),
        ("v=spf1 " + "a " * 9000, "longer than"),
        ("v=spf1 foo", "«foo»"),
        ("v=spf1 ip4:x", "«ip4:x»"),
        ("v=spf1 redirect=a.example redirect=b.example", "twice"),
        ("v=spf1 exists:%{t}.example", "only an explanation"),
    ],
)
def test_a_mistake_is_named(text: str, part: str) -> None:
    with pytest.raises(SpfError, match=part):
        spf.parse(text)


# RFC 7208 section 7.4: a message from strong-bad@email.example.com, client 192.0.2.3 or 2001:db8::cb01
VALUES = {
    "s": "strong-bad@email.example.com", "l": "strong-bad", "o": "email.example.com", "d": "email.example.com",
    "i": "192.0.2.3", "v": "in-addr", "h": "mail.example.com", "p": "mx.example.com",
}  # fmt: skip
SIX = {**VALUES, "i": "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1", "v": "ip6"}


@pytest.mark.parametrize(
    ("spec", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{D2}", "example.com"),
        ("%{d99999999999}", "email.example.com"),
    ],
)
def test_macros(spec: str, expanded: str) -> None:
    assert spf.expand(spec, VALUES) == expanded


def test_macros_of_an_ipv6_client() -> None:
    assert spf.expand("%{ir}.%{v}._spf.%{d2}", SIX) == (
        "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
    )


def test_what_only_the_message_knows_is_not_guessed() -> None:
    assert spf.expand("%{i}.%{d}", {"d": "example.com"}) is None
    assert spf.letters("%{i}.%{D2}.%%.x") == {"i", "d"}


def test_a_long_name_is_cut_from_the_left() -> None:
    name = spf.expand("%{l}.example.com", {"l": ".".join(["part"] * 100)})
    assert name is not None
    assert len(name) <= 253
    assert name.endswith(".part.example.com")


PIECES = [
    "v=spf1", " ", "a", "mx", ":", "/", "//", "=", "+", "-", "~", "?", "all", "include", "ip4", "ip6", "192.0.2.1",
    "2001:db8::", "%", "%{d}", "%{ir-}", "%{", "}", "redirect", "exp", ".", "example", "\x00", "\xfc", "24", "0",
]  # fmt: skip


@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
@example("v=spf1 " + "%{" * 4000)
@example("v=spf1 a" + "/" * 8000)
@example("v=spf1 a:" + "a-" * 8000)
def test_any_text_is_a_record_or_one_error(text: str) -> None:
    for candidate in (text, "v=spf1 " + text):
        try:
            record = spf.parse(candidate)
        except SpfError:
            continue
        assert isinstance(record, SpfRecord)
        for term in record.mechanisms:
            assert isinstance(term, Mechanism)
            assert term.qualifier in "+-~?"
            expanded = spf.expand(term.target, VALUES)
            assert expanded is not None
    assert isinstance(spf.looks_like_spf(text), bool)


@given(
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=60), st.sampled_from(["d", "l", "s"])
)
def test_values_of_any_kind_expand(value: str, letter: str) -> None:
    for spec in (f"%{{{letter}}}", f"%{{{letter.upper()}2r.-+,/_=}}.example"):
        assert spf.expand(spec, {letter: value}) is not None
