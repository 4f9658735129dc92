"""MTA-STS records and policies, which host a pattern allows, and any octets at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import mta_sts
from gambeson.wire.mta_sts import MODES, MtaStsError, StsPolicy

# RFC 8461 section 3.2
POLICY = (
    b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\n"
    b"mx: backupmx.example.com\nmax_age: 604800\n"
)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_the_policy_of_the_rfc(ending: bytes) -> None:
    assert mta_sts.parse_policy(POLICY.replace(b"\n", ending)) == StsPolicy(
        "enforce", 604800, ("mail.example.com", "*.example.net", "backupmx.example.com")
    )


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("mail.example.com", "MAIL.example.com.", True),
        ("mail.example.com", "mail2.example.com", False),
        ("*.example.com", "mail.example.com", True),
        ("*.example.com", "a.mail.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
    ],
)
def test_what_a_pattern_allows(pattern: str, host: str, fits: bool) -> None:
    assert mta_sts.matches(pattern, host) is fits


@pytest.mark.parametrize(
    ("text", "policy_id"),
    [
        ("v=STSv1; id=20160831085700Z;", "20160831085700Z"),
        ("v=STSv1;id=1;x=y", "1"),
        ("v=STSv1;x=y; id = 1", "1"),
    ],
)
def test_records(text: str, policy_id: str) -> None:
    assert mta_sts.parse_record(text) == policy_id


@pytest.mark.parametrize(
    "text", ["", "v=STSv1", "v=STSv2; id=1", "id=1; v=STSv1;", "v=STSv1; id=", "v=STSv1; id=" + "1" * 33]
)
def test_no_records(text: str) -> None:
    with pytest.raises(MtaStsError):
        mta_sts.parse_record(text)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ((b"STSv1", b"STSv2"), "version"),
        ((b"enforce", b"strict"), "mode"),
        ((b"604800", b"never"), "max_age"),
        ((b"604800", b"31557601"), "max_age"),
        ((b"604800", "\u0661".encode()), "max_age"),
        ((b"mail.example.com", b"mail.*.com"), "line 3"),
        ((b"mx: ", b"host: "), "names no mx"),
        ((b"mode: enforce", b"mode enforce"), "line 2"),
        ((b"enforce", b"\xff"), "UTF-8"),
    ],
)
def test_no_policies(change: tuple[bytes, bytes], part: str) -> None:
    with pytest.raises(MtaStsError, match=part):
        mta_sts.parse_policy(POLICY.replace(*change))


def test_a_policy_that_is_off_needs_no_hosts() -> None:
    assert mta_sts.parse_policy(b"version: STSv1\nmode: none\nmax_age: 86400") == StsPolicy("none", 86400, ())


def test_the_first_of_several_values_counts() -> None:
    assert mta_sts.parse_policy(POLICY + b"mode: testing\n").mode == "enforce"


def test_a_policy_is_bounded() -> None:
    with pytest.raises(MtaStsError, match="longer"):
        mta_sts.parse_policy(POLICY + b"mx: a.example\n" * 6000)


PIECES = [
    b"version: STSv1",
    b"mode: enforce",
    b"mode: none",
    b"mx: a.example",
    b"mx: *",
    b"max_age: 1",
    b"\n",
    b"\r\n",
    b":",
    b"\xff",
]


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)))
def test_any_octets_are_a_policy_or_one_error(octets: bytes) -> None:
    for body in (octets, b"version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1\n" + octets):
        try:
            policy = mta_sts.parse_policy(body)
        except MtaStsError:
            continue
        else:
            assert policy.mode in MODES
            assert 0 <= policy.max_age <= mta_sts.MAX_AGE


@given(st.text(max_size=200))
def test_any_text_is_a_record_or_one_error(text: str) -> None:
    for candidate in (text, "v=STSv1;" + text):
        try:
            assert mta_sts.parse_record(candidate)
        except MtaStsError:
            continue
