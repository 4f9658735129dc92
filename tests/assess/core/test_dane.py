"""TLSA records against certificates."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assess.core.dns_facts import World
from gambeson.assess.core.dane import Tlsa, kept, parse, promise
from gambeson.assess.core.tls import Certificate
from gambeson.assess.core.unknown import Cause


def certificate(letter: str, *names: str, issuer: str = "c") -> Certificate:
    der, spki = (letter * 9).encode(), (letter * 5).encode()
    return Certificate(
        f"CN={letter}", f"CN={issuer}", names, 0, 9e9, "EC", 256, "sha256",
        hashlib.sha256(der).hexdigest(), hashlib.sha256(spki).hexdigest(), der, spki,
    )  # fmt: skip


OWN, CA = certificate("o", "mx.example.org"), certificate("c")
CHAIN = (OWN, CA)


def tlsa(usage: int, selector: int, matching: int, of: Certificate) -> Tlsa:
    octets = of.spki if selector else of.der
    return Tlsa(
        usage,
        selector,
        matching,
        [octets, hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest()][matching],
    )


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_way_to_write_a_key(selector: int, matching: int) -> None:
    assert kept([tlsa(3, selector, matching, OWN)], CHAIN, "mx.example.org")
    assert kept([tlsa(2, selector, matching, CA)], CHAIN, "mx.example.org")
    assert not kept([tlsa(3, selector, matching, CA)], CHAIN, "mx.example.org")
    assert not kept([tlsa(3, selector, matching, OWN)], (CA, OWN), "mx.example.org")
    assert not kept([tlsa(3, selector, matching, OWN)], (), "mx.example.org")
    assert kept([tlsa(3, selector, matching, CA), tlsa(3, selector, matching, OWN)], CHAIN, "mx.example.org")


def test_the_name_counts_below_an_authority_only() -> None:
    assert kept([tlsa(3, 1, 1, OWN)], CHAIN, "other.example.org")
    assert not kept([tlsa(2, 1, 1, CA)], CHAIN, "other.example.org")


def test_a_certificate_that_issued_nothing_vouches_for_nothing() -> None:
    """Servers send what once was an intermediate; a record for it promises nothing about today's certificate."""
    stale = certificate("s", issuer="c")
    assert not kept([tlsa(2, 1, 1, stale)], (OWN, stale), "mx.example.org")
    between = certificate("b", issuer="c")
    below = certificate("l", "mx.example.org", issuer="b")
    assert kept([tlsa(2, 1, 1, CA)], (below, between, CA), "mx.example.org")
    assert not kept([tlsa(2, 1, 1, CA)], (below, CA), "mx.example.org")


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("3 1 1 " + "ab" * 32, True),
        ("2 0 2 " + "ab" * 64, True),
        ("3 1 0 abcd", True),
        ("3 1 1 abcd", False),
        ("1 1 1 " + "ab" * 32, False),
        ("0 0 1 " + "ab" * 32, False),
        ("3 2 1 " + "ab" * 32, False),
        ("3 1 7 " + "ab" * 32, False),
        ("3 1 1 zz", None),
        ("3 1", None),
        ("a b c dd", None),
    ],
)
def test_what_a_mail_server_can_use(text: str, usable: bool | None) -> None:
    found = parse(text)
    assert (found.usable if found else None) is usable


def test_a_time_out_is_no_missing_promise() -> None:
    found = promise("mx.example.org", World({"_25._tcp.mx.example.org TLSA": Cause.TIMEOUT}))
    assert found.unknown is not None
    assert (found.records, found.unknown.cause) == ((), Cause.TIMEOUT)


@given(st.text(max_size=100))
def test_any_text_is_a_record_or_none(text: str) -> None:
    found = parse(text)
    if found is not None:
        assert isinstance(kept([found], CHAIN, "mx.example.org"), bool)
