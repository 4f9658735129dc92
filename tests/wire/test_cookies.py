"""Cookies: ours stay at the door, the mail server's stay with their host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.cookies import for_upstream, ours, read_cookies, set_by_upstream, without_ours


@pytest.mark.parametrize(
    ("values", "pairs", "upstream"),
    [
        (["a=1; b=2"], (("a", "1"), ("b", "2")), "a=1; b=2"),
        (["a=1", "b=2"], (("a", "1"), ("b", "2")), "a=1; b=2"),
        (["a=1;;  ; b=x=y"], (("a", "1"), ("b", "x=y")), "a=1; b=x=y"),
        (["lonely"], (("", "lonely"),), "lonely"),
        (["=x"], (("", "x"),), "x"),
        (["__Host-gambeson-session=t; a=1"], (("__Host-gambeson-session", "t"), ("a", "1")), "a=1"),
        (["__HOST-GAMBESON-key=t"], (("__HOST-GAMBESON-key", "t"),), ""),
        (["__Host-gambeson-session"], (("", "__Host-gambeson-session"),), ""),
        (["=__Host-gambeson-session=t"], (("", "__Host-gambeson-session=t"),), ""),
        (["==__Host-gambeson-key=1; a=1"], (("", "=__Host-gambeson-key=1"), ("a", "1")), "a=1"),
        (["=a=1"], (("", "a=1"),), ""),
        ([" __Host-gambeson-session =t"], (("__Host-gambeson-session", "t"),), ""),
    ],
)
def test_what_is_read_and_what_goes_on(
    values: list[str], pairs: tuple[tuple[str, str], ...], upstream: str
) -> None:
    assert read_cookies(values) == pairs
    assert for_upstream(pairs) == upstream


def test_too_many_are_none() -> None:
    assert read_cookies(["a=b;" * 151]) is None
    assert without_ours("a=b;" * 151) == ""


@pytest.mark.parametrize(
    ("value", "out"),
    [
        ("a=b; Path=/; HttpOnly", "a=b; Path=/; HttpOnly"),
        ("a=b; Domain=example.org; Path=/", "a=b; Path=/"),
        ("a=b;DOMAIN =.example.org", "a=b"),
        ("a=domain; Domain", "a=domain"),
        ("__Host-gambeson-session=x; Secure; Path=/", ""),
        ("__host-GAMBESON-x=y", ""),
        (" __Host-gambeson-x =y", ""),
        ("=__Host-gambeson-x=y", ""),
        ("__Host-gambeson-x", ""),
        ("=a", "=a"),
        ("==__Host-gambeson-key=1; Path=/", ""),
    ],
)
def test_what_a_server_may_set(value: str, out: str) -> None:
    assert set_by_upstream(value) == out


@given(st.lists(st.text(max_size=40), max_size=5))
def test_ours_never_go_on(values: list[str]) -> None:
    pairs = read_cookies([*values, "__Host-gambeson-session=token"])
    if pairs is None:
        return
    for name, value in read_cookies([for_upstream(pairs)]) or ():
        assert not ours(name)
        assert name or not ours(value)
    for value in values:
        kept = set_by_upstream(value)
        assert not ours(kept.partition("=")[0])
