"""The name in a ClientHello, from hellos that OpenSSL made."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.tls_hello import MAX_HELLO, server_name


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    out = ssl.MemoryBIO()
    side = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    return out.read()


def test_the_name_is_found_and_nothing_is_said_of_half_a_hello() -> None:
    whole = hello("Mail.Example.org")
    assert server_name(whole) == "mail.example.org"
    assert server_name(whole + b"more") == "mail.example.org"
    for end in range(len(whole)):
        assert server_name(whole[:end]) is None
    assert server_name(hello(None)) == ""


def test_a_hello_in_several_records() -> None:
    whole = hello("mail.example.org")
    body = whole[5:]
    split = b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[:40], body[40:90], body[90:])
    )
    assert server_name(split) == "mail.example.org"


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\0\0\0",
    ],
)
def test_what_is_no_hello_has_no_name(octets: bytes) -> None:
    assert server_name(octets) == ""


def test_a_name_that_the_hello_ends_before_is_none() -> None:
    start = b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\1" + b"\1\0"
    extension = b"\0\0\0\x15\0\x13\0\0\x10mail.example.org"
    for kept in range(4, len(extension)):
        body = start + (1000).to_bytes(2, "big") + extension[:kept]
        message = b"\1" + len(body).to_bytes(3, "big") + body
        assert server_name(b"\x16\3\1" + len(message).to_bytes(2, "big") + message) == ""


@given(st.binary(max_size=300), st.integers(0, 300), st.binary(max_size=8))
def test_any_octets_give_a_name_or_none(octets: bytes, at: int, flip: bytes) -> None:
    made = bytearray(_HELLO)
    made[at : at + len(flip)] = flip
    for each in (octets, bytes(made), octets + b"\0" * MAX_HELLO):
        name = server_name(each)
        assert name is None or len(name) <= 255


_HELLO = hello("mail.example.org")
