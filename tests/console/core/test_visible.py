"""What strangers sent, shown so that it can be seen; addresses that may be followed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.visible import link, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ümläut, 邮件", "plain text, ümläut, 邮件"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("one\r\ntwo", "one\ntwo"),
        ("\x1b[31mred", "\\u{001B}[31mred"),
        ("exe.\u202egpj", "exe.\\u{202E}gpj"),
        ("pay\u200bpal", "pay\\u{200B}pal"),
        ("a\u2066b\u2069", "a\\u{2066}b\\u{2069}"),
        ("bell\x07\x00", "bell\\u{0007}\\u{0000}"),
        ("over\rwritten", "over\\u{000D}written"),
        ("tag\U000e0041", "tag\\u{E0041}"),
        ("half \ud800", "half \\u{D800}"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_its_number(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 11, 10) == "x" * 10 + "…"
    assert visible("x" * 10, 10) == "x" * 10


@given(st.text(st.characters()))
def test_nothing_that_turns_or_hides_text_comes_through(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.bidirectional(c) for c in shown} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    }
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") for c in shown)


@pytest.mark.parametrize(
    "good", ["https://www.rfc-editor.org/rfc/rfc9110#section-5.5", "https://a.example:8443/x?y=1"]
)
def test_an_address_that_may_be_followed(good: str) -> None:
    assert link(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "http://a.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example/",
        "/o/other/findings",
        "https://user@evil.example/",
        "https://bank.example@evil.example/",
        "https:///x",
        "https://a.example\\@evil.example/",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://b\u0430nk.example/",
        "https://a.example/\u202e",
        "https://[::1/",
        " https://a.example/",
        "https://a.example/" + "x" * 2000,
    ],
)
def test_an_address_that_may_not(bad: str) -> None:
    assert link(bad) == ""


@given(st.text(max_size=60))
def test_a_link_is_https_or_nothing(text: str) -> None:
    for tried in (text, "https://" + text):
        assert link(tried) in ("", tried)
        assert not link(tried) or tried.startswith("https://")
