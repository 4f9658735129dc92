"""Authorization: what is read, and what it is called where it is not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web.basic import (
    MALFORMED,
    NONE,
    OTHER,
    BasicError,
    authorization,
    basic,
    parse_basic,
)
from gambeson.model.access import Mechanism
from gambeson.model.web import WebRequest


def value(octets: bytes, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(octets).decode()}"


@pytest.mark.parametrize(
    ("text", "name", "password"),
    [
        (value(b"alma@example.org:gam-x"), "alma@example.org", "gam-x"),
        (value(b"alma:a:b:c"), "alma", "a:b:c"),
        (value(b"EXAMPLE\\alma:secret"), "EXAMPLE\\alma", "secret"),
        (value("ålma@example.org:pä ss".encode()), "ålma@example.org", "pä ss"),
        (value(b"a:b", "BASIC"), "a", "b"),
        (value(b"a:b", "basic"), "a", "b"),
        (value(b"a:b").replace(" ", "   "), "a", "b"),
    ],
)
def test_read(text, name, password):
    login = parse_basic(text)
    assert (login.mechanism, login.username, login.password) == (Mechanism.BASIC, name, password)
    assert password not in repr(login)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NONE),
        ("NTLM TlRMTVNTUAABAAAA", OTHER),
        ("Negotiate YII=", OTHER),
        ("Bearer abc", OTHER),
        ("Digest username=a", OTHER),
        ("xBasic YTpi", OTHER),
        ("Basic", MALFORMED),
        ("Basic ", MALFORMED),
        ("Basic YTpi!", MALFORMED),
        ("Basic YTp", MALFORMED),
        ("Basic YT pi", MALFORMED),
        ("Basic \xe4\xf6", MALFORMED),
        (value(b"nocolon"), MALFORMED),
        (value(b":password"), MALFORMED),
        (value(b"name:"), MALFORMED),
        (value(b"na\0me:password"), MALFORMED),
        (value(b"name:pass\nword"), MALFORMED),
        (value(b"name:\xff\xfe"), MALFORMED),
        (value(b"a" * 400 + b":b"), MALFORMED),
        ("Basic " + "A" * 8192, MALFORMED),
    ],
)
def test_refused(text, reason):
    with pytest.raises(BasicError) as refused:
        parse_basic(text)
    assert refused.value.reason == reason


def test_two_headers_are_no_login():
    two = (("authorization", "Basic YTpi"), ("authorization", "Basic YTpj"))
    with pytest.raises(BasicError):
        authorization(WebRequest("GET", "h", "/", headers=two))


@given(st.text(max_size=200) | st.binary(max_size=200).map(value))
def test_any_value_is_a_login_or_refused(text):
    try:
        login = parse_basic(text)
    except BasicError:
        return
    assert login.username
    assert login.password


@given(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=60
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60),
)
def test_what_is_written_is_read_again(name, password):
    login = parse_basic(basic(name, password))
    assert (login.username, login.password) == (name, password)
