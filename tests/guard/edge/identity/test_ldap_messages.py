"""Octets of the directory: whatever they are, they give a message or one error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.edge.identity.ber import BerError, Reader, complete, element, integer
from gambeson.guard.edge.identity.ldap_messages import (
    PASSWORD_POLICY,
    Result,
    bind,
    decode,
    search,
    start_tls,
    unbind,
)
from gambeson.guard.edge.identity.ldap_verdict import verdict
from gambeson.guard.edge.identity.source import Verdict


def with_policy(code: int, policy: bytes) -> bytes:
    body = element(0x61, integer(code, 0x0A), element(4), element(4))
    control = element(0x30, element(4, PASSWORD_POLICY), element(4, element(0x30, policy)))
    return element(0x30, integer(7), body, element(0xA0, control))


@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda b: element(0x30, integer(1), b)))
def test_any_octets(octets: bytes) -> None:
    try:
        size = complete(octets, 200)
        assert size <= min(len(octets), 200)
        if size:
            decode(octets[:size])
    except BerError:
        pass


@given(st.data())
def test_a_changed_octet(data: st.DataObject) -> None:
    good = bytearray(with_policy(49, integer(1, 0x81)))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BerError):
        decode(bytes(good))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(value: int) -> None:
    assert Reader(integer(value)).number() == value


@given(st.binary(max_size=70000))
def test_elements_of_any_size(body: bytes) -> None:
    whole = element(0x30, body)
    assert complete(whole, 80000) == len(whole)
    assert complete(whole[:-1], 80000) == 0
    assert Reader(whole).take(0x30) == body


def test_requests_are_what_the_standard_says() -> None:
    control = "a01d301b0419" + PASSWORD_POLICY.hex()
    assert bind(2, "cn=a", "b").hex() == f"303002010260 0c020103 0404636e3d61 800162 {control}".replace(
        " ", ""
    )
    assert start_tls(1).hex() == "301d02010177188016" + b"1.3.6.1.4.1.1466.20037".hex()
    assert unbind(3).hex() == "30050201034200"
    assert search(4, "o=x", bytes.fromhex("8702636e"), 2, 5).hex() == (
        "3024020104" "631f" "04036f3d78" "0a0102" "0a0100" "020102" "020105" "0101ff" "8702636e" "30050403312e31"
    )  # fmt: skip


@pytest.mark.parametrize(("dn", "password"), [("cn=a", ""), ("", "b"), ("", "")])
def test_there_is_no_bind_that_proves_nothing(dn: str, password: str) -> None:
    with pytest.raises(ValueError, match="proves nothing"):
        bind(2, dn, password)


@pytest.mark.parametrize(
    ("code", "policy", "said"),
    [
        (0, b"", Verdict.RIGHT),
        (0, element(0xA0, integer(100, 0x80)), Verdict.RIGHT),
        (0, integer(2, 0x81), Verdict.EXPIRED),
        (49, b"", Verdict.WRONG),
        (49, integer(0, 0x81), Verdict.EXPIRED),
        (49, integer(1, 0x81), Verdict.LOCKED),
        (49, element(0xA0, integer(1, 0x81)) + integer(1, 0x81), Verdict.LOCKED),
        (53, integer(1, 0x81), Verdict.LOCKED),
    ],
)
def test_the_password_policys_word(code: int, policy: bytes, said: Verdict) -> None:
    message = decode(with_policy(code, policy))
    assert isinstance(message, Result)
    assert verdict(message) is said


@given(st.integers(-(2**31), 2**31 - 1).filter(bool), st.text(max_size=60), st.integers(-1, 9))
def test_only_success_is_right(code: int, text: str, policy: int) -> None:
    assert verdict(Result(1, 0x61, code, text, policy)) is not Verdict.RIGHT
