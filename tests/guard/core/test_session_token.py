"""Session tokens: one text opens at one host for some minutes, and nothing else does."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.session_token import (
    LIFETIME,
    MAX_TOKEN,
    SESSION_PREFIX,
    Claims,
    TokenError,
    octets,
    open_token,
    token,
)
from gambeson.model.access import Rung

NOW = 1_800_000_000.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
CLAIMS = Claims(
    "s1",
    "o1",
    "a1",
    "alice@example.org",
    Rung.KNOWLEDGE_AND_CODE,
    "mail.example.org",
    NOW,
    NOW + LIFETIME,
    NOW + 36000,
)


def signed(claims: bytes, key: Ed25519PrivateKey = KEY, prefix: bytes = SESSION_PREFIX) -> str:
    return token(claims, key.sign(prefix + claims))


def opened(text: str, host: str = "mail.example.org", now: float = NOW + 1) -> Claims:
    return open_token(text, KEY.public_key(), host, now)


def test_what_was_signed_comes_out_again():
    assert opened(signed(octets(CLAIMS))) == CLAIMS


def test_a_port_makes_no_difference_because_a_cookie_has_none():
    text = signed(octets(replace(CLAIMS, host="mail.example.org:8443")))
    assert opened(text).name == "mail.example.org"
    assert opened(text, "mail.example.org:9443").session == "s1"


GOOD = octets(CLAIMS)


@pytest.mark.parametrize(
    ("text", "host", "now", "reason"),
    [
        (signed(GOOD), "webmail.example.org", NOW, "another-host"),
        (signed(GOOD), "example.org", NOW, "another-host"),
        (signed(GOOD), "mail.example.org.evil.test", NOW, "another-host"),
        (signed(GOOD), "mail.example.org", NOW + LIFETIME, "expired"),
        (signed(GOOD), "mail.example.org", NOW + 1e6, "expired"),
        (signed(GOOD), "mail.example.org", float("nan"), "expired"),
        (signed(GOOD), "mail.example.org", NOW - 6, "not-yet"),
        (signed(GOOD, OTHER), "mail.example.org", NOW, "forged"),
        (signed(GOOD, prefix=b""), "mail.example.org", NOW, "forged"),
        (signed(GOOD, prefix=b"gambeson audit head v1\0"), "mail.example.org", NOW, "forged"),
        (token(GOOD, bytes(64)), "mail.example.org", NOW, "forged"),
        (
            token(octets(replace(CLAIMS, account="a2")), KEY.sign(SESSION_PREFIX + GOOD)),
            "mail.example.org",
            NOW,
            "forged",
        ),
        ("", "mail.example.org", NOW, "malformed"),
        (".", "mail.example.org", NOW, "malformed"),
        (signed(GOOD) + "A", "mail.example.org", NOW, "malformed"),
        (signed(GOOD) + "=", "mail.example.org", NOW, "malformed"),
        (signed(GOOD) + "\n", "mail.example.org", NOW, "malformed"),
        (" " + signed(GOOD), "mail.example.org", NOW, "malformed"),
        ("A" * (MAX_TOKEN + 1), "mail.example.org", NOW, "malformed"),
    ],
)
def test_refused(text, host, now, reason):
    with pytest.raises(TokenError) as refused:
        open_token(text, KEY.public_key(), host, now)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": NOW + LIFETIME + 1},  # lives too long
        {"expires": NOW},  # never lives
        {"ends": NOW + 10},  # longer than its session
        {"session": ""},
        {"account": "x" * 321},
        {"host": ""},
        {"host": "mail.example.org/evil"},
        {"host": "Mail.example.org"},
        {"host": "a b"},
        {"issued": -1.0},
        {"issued": 1e12, "expires": 1e12 + 1, "ends": 1e12 + 1},
    ],
)
def test_claims_that_the_keeper_should_never_have_signed_open_nothing(changed):
    with pytest.raises(TokenError) as refused:
        opened(signed(octets(replace(CLAIMS, **changed))))
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"null",
        b"{}",
        b"[1,2,3]",
        b"[" * 1000,
        b'["s","o","a","x@y","no-rung","h",1,2,3]',
        b'["s","o","a","x@y","device-key","h",true,2,3]',
        b'["s","o","a","x@y","device-key","h",NaN,2,3]',
        b'["s","o","a","x@y","device-key","h","1","2","3"]',
        b'["s","o","a","x@y",4,"h",1,2,3]',
        b"\xff\xfe",
    ],
)
def test_signed_nonsense_opens_nothing(claims):
    with pytest.raises(TokenError):
        opened(signed(claims))


def test_another_spelling_of_the_same_octets_is_no_token():
    claims = octets(CLAIMS)
    while len(claims) % 3 == 0:
        claims += b" "
    text, _, signature = signed(claims).partition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
    with pytest.raises(TokenError) as refused:
        opened(f"{other}.{signature}")
    assert refused.value.reason == "malformed"


@given(st.text(max_size=400) | st.binary(max_size=200).map(lambda b: urlsafe_b64encode(b).decode()))
def test_any_text_opens_or_is_refused(text):
    for candidate in (text, f"{text}.{'A' * 86}", signed(GOOD)[: len(text)] + text):
        with pytest.raises(TokenError):
            opened(candidate)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
    )
)
def test_any_signed_octets_are_claims_or_refused(claims):
    try:
        found = opened(signed(claims[:1200]))
    except TokenError:
        return
    assert found.name == "mail.example.org"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_character_opens(at, by):
    text = signed(GOOD)
    at %= len(text)
    changed = text[:at] + chr((ord(text[at]) ^ by) & 0x7F) + text[at + 1 :]
    if changed != text:
        with pytest.raises(TokenError):
            opened(changed)
