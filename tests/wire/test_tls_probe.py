"""Hellos of our own, as others read them."""

from __future__ import annotations

import ssl

import pytest

from gambeson.wire.tls_hello import server_name
from gambeson.wire.tls_probe import (
    ENOUGH_RANDOM,
    SSL3,
    TLS1_0,
    TLS1_1,
    TLS1_2,
    TLS1_3,
    Alert,
    HelloReader,
    ServerHello,
    client_hello,
    farewell,
    ssl2_hello,
)
from gambeson.wire.tls_suites import OLDER, TLS13, with_unseen
from peers.pki import Pki

RANDOM = bytes(range(ENOUGH_RANDOM))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    issued = Pki(tmp_path_factory.mktemp("pki")).issue("mail.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


def answer(context: ssl.SSLContext, hello: bytes) -> HelloReader:
    """What OpenSSL says to ``hello``."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(into, out, server_side=True)
    into.write(hello)
    with pytest.raises(ssl.SSLError):
        side.do_handshake()
    reader = HelloReader()
    reader.feed(out.read())
    return reader


def test_tls13(server: ssl.SSLContext) -> None:
    found = answer(server, client_hello((TLS1_3,), TLS13, "mail.example.org", RANDOM)).result
    assert isinstance(found, ServerHello)
    assert (found.version, found.complete, found.retry) == (TLS1_3, True, False)
    assert found.suite in TLS13


def test_tls12_shows_the_certificate(server: ssl.SSLContext) -> None:
    found = answer(server, client_hello((TLS1_2,), OLDER, "mail.example.org", RANDOM)).result
    assert isinstance(found, ServerHello)
    assert (found.version, found.complete, found.dh_bits) == (TLS1_2, True, 0)
    assert found.certificates[0].startswith(b"\x30")


def test_both_versions_at_once(server: ssl.SSLContext) -> None:
    found = answer(
        server, client_hello((TLS1_2, TLS1_3), (*TLS13, *OLDER), "mail.example.org", RANDOM)
    ).result
    assert isinstance(found, ServerHello)
    assert found.version == TLS1_3


@pytest.mark.parametrize("version", [TLS1_1, TLS1_0])
def test_what_the_server_has_not_it_declines(server: ssl.SSLContext, version: int) -> None:
    found = answer(server, client_hello((version,), OLDER, "mail.example.org", RANDOM)).result
    assert isinstance(found, Alert)
    assert found.words == "protocol version"


def test_weak_suites_alone_are_declined(server: ssl.SSLContext) -> None:
    found = answer(server, client_hello((TLS1_2,), with_unseen(()), "mail.example.org", RANDOM)).result
    assert isinstance(found, Alert)
    assert found.words == "handshake failure"


@pytest.mark.parametrize("version", [TLS1_0, TLS1_1, TLS1_2, TLS1_3])
def test_the_name_is_in_it(version: int) -> None:
    suites = TLS13 if version == TLS1_3 else OLDER
    assert server_name(client_hello((version,), suites, "Mail.Example.org.", RANDOM)) == "mail.example.org"


@pytest.mark.parametrize("name", ["", "192.0.2.1", "2001:db8::1", "bücher.example", "a" * 256])
def test_what_is_no_name_is_left_out(name: str) -> None:
    assert server_name(client_hello((TLS1_2,), OLDER, name, RANDOM)) == ""


def test_ssl3_is_bare() -> None:
    hello = client_hello((SSL3,), OLDER, "mail.example.org", RANDOM)
    assert hello[:3] == b"\x16\3\0"
    assert hello[9:11] == b"\3\0"
    assert b"mail" not in hello
    assert hello.endswith(b"\1\0")


@pytest.mark.parametrize("count", range(1, len(OLDER)))
def test_no_hello_has_the_size_that_balancers_hang_on(count: int) -> None:
    hello = client_hello((TLS1_2,), OLDER[:count], "mail.example.org", RANDOM)
    assert not 256 <= len(hello) - 5 < 512
    assert int.from_bytes(hello[3:5], "big") == len(hello) - 5
    assert int.from_bytes(hello[6:9], "big") == len(hello) - 9


def test_ssl2_s_form() -> None:
    hello = ssl2_hello(bytes(16))
    assert hello[0] & 0x80
    assert (int.from_bytes(hello[:2], "big") & 0x7FFF) == len(hello) - 2
    assert hello[2:5] == b"\1\0\2"


def test_farewell_is_two_warnings() -> None:
    reader = HelloReader()
    reader.feed(farewell(TLS1_3))
    assert reader.result == Alert(1, 90)
    assert farewell(TLS1_3)[1:3] == b"\3\3"
    assert farewell(TLS1_0).endswith(b"\x15\3\1\0\2\1\0")
