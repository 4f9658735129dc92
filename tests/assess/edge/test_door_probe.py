"""Doors of Debian's Dovecot and Postfix as they are looked at, weak and strong, and nothing of it in their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from assess.door_cases import codes, facts
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol, StartTls
from gambeson.assess.core.tls import TlsFacts, TlsVersion
from gambeson.assess.edge.door_probe import probe_door
from gambeson.assess.edge.door_talk import any_tls
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.stream import Stream
from gambeson.assess.edge.tls_exchange import Opener
from peers.dovecot import Dovecot, missing
from peers.pki import Pki
from peers.postfix import Postfix
from peers.process import free_port

# Dovecot takes a connection from its own address for one that needs no TLS, so the doors are looked at from another.
HERE = "127.0.0.2"
LISTEN = "listen = 127.0.0.1, 127.0.0.2\n"


async def sweep(opener: Opener, host: str) -> TlsFacts:
    """A sweep of one: does TLS begin on the connection that it is given?"""
    async with opener() as found:
        assert isinstance(found, Stream), found
        await found.start_tls(any_tls(), host)
        assert found.tls is not None
        return TlsFacts(versions=((TlsVersion(found.tls.version()), True),))


def look(port: int, protocol: Protocol, address: str = HERE) -> DoorFacts:
    async def run() -> DoorFacts:
        return await probe_door("localhost", address, port, protocol, Manners(60, gap=0), sweep)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def weak() -> Iterator[Dovecot]:
    """Takes passwords without TLS, with every mechanism there is."""
    if why := missing():
        pytest.skip(why)
    port = free_port()
    service = f"service auth {{\n inet_listener sasl {{\n address = 127.0.0.1\n port = {port}\n }}\n}}\n"
    extra = (
        service
        + "auth_mechanisms = plain login cram-md5 digest-md5 apop\nlogin_greeting = Dovecot 2.3.19 ready.\n"
    )
    with Dovecot(users={"anna@example.org": "pw"}, plaintext=True, trusted="", extra=LISTEN + extra) as peer:
        peer.ports["auth"] = port
        yield peer


@pytest.fixture(scope="module")
def strong() -> Iterator[Dovecot]:
    """No password, and nothing at all without TLS."""
    if why := missing():
        pytest.skip(why)
    extra = "auth_mechanisms = oauthbearer xoauth2 external\nssl = required\nlogin_greeting = ready\n"
    with Dovecot(users={"anna@example.org": "pw"}, trusted="", extra=LISTEN + extra) as peer:
        yield peer


PORTS = {
    Protocol.IMAP: "imap",
    Protocol.IMAPS: "imaps",
    Protocol.POP3: "pop3",
    Protocol.POP3S: "pop3s",
    Protocol.SIEVE: "sieve",
    Protocol.SUBMISSION: "submission",
}


@pytest.mark.parametrize("protocol", PORTS)
def test_weak_dovecot(weak: Dovecot, protocol: Protocol) -> None:
    door = look(weak.ports[PORTS[protocol]], protocol)
    assert door.state is PortState.OPEN
    assert door.unknown is None
    assert door.secured is not None
    assert {"PLAIN", "LOGIN", "CRAM-MD5"} <= set(door.secured.mechanisms)
    assert door.secured.bare_password
    assert door.tls is not None
    assert door.tls.accepted() == (TlsVersion.TLS1_3,)
    if protocol in (Protocol.IMAPS, Protocol.POP3S):
        assert door.starttls is StartTls.IMPLICIT
        assert door.plain is None
        assert door.injection is None
    else:
        assert door.starttls is StartTls.OFFERED
        assert door.plain is not None
        assert door.plain.bare_password
        assert door.injection is False
        assert codes("plaintext_signin", facts(door)) == ["open"]
    assert codes("bare_password", facts(door)) == ["open"]


@pytest.mark.parametrize("protocol", PORTS)
def test_strong_dovecot(strong: Dovecot, protocol: Protocol) -> None:
    door = look(strong.ports[PORTS[protocol]], protocol)
    assert door.state is PortState.OPEN
    assert door.unknown is None
    assert door.secured is not None
    assert "OAUTHBEARER" in door.secured.mechanisms
    assert door.plain is None or not door.plain.mechanisms
    assert codes("plaintext_signin", facts(door)) == ["ok"]
    # Dovecot's POP3 says USER inside TLS also where no passwords are taken.
    pop3 = protocol in (Protocol.POP3, Protocol.POP3S)
    assert codes("bare_password", facts(door)) == ["perhaps" if pop3 else "strong"]
    if protocol in (Protocol.IMAP, Protocol.POP3, Protocol.SIEVE, Protocol.SUBMISSION):
        assert codes("legacy_doors", facts(door)) == ["ok"]
        assert codes("starttls_injection", facts(door)) == ["ok"]


def test_what_dovecot_says_of_itself(weak: Dovecot) -> None:
    assert look(weak.ports["imaps"], Protocol.IMAPS).identity == (("name", "Dovecot"),)
    assert look(weak.ports["sieve"], Protocol.SIEVE).identity == (
        ("IMPLEMENTATION", "Dovecot (Debian) Pigeonhole"),
    )
    assert look(weak.ports["pop3"], Protocol.POP3).banner.startswith("Dovecot 2.3.19 ready.")


def test_apop_is_seen_by_the_greeting(weak: Dovecot) -> None:
    door = look(weak.ports["pop3s"], Protocol.POP3S)
    assert door.secured is not None
    assert "APOP" in door.secured.mechanisms


def test_nobody_tried_to_sign_in(weak: Dovecot) -> None:
    look(weak.ports["imap"], Protocol.IMAP)
    weak.wait_for_log(r"imap-login: .*no auth attempts")
    assert "auth failed" not in weak.log()
    assert "tried to use" not in weak.log()


def test_a_port_where_nothing_listens() -> None:
    door = look(free_port(), Protocol.IMAP)
    assert door.state is PortState.CLOSED
    assert door.unknown is None


def postfix(folder: Path, pki: Pki, extra: str, auth_port: int = 9) -> Postfix:
    certificate = pki.issue("postfix.example.org", "localhost", "127.0.0.1")
    return Postfix(folder, certificate, auth_port, free_port(), extra)


@pytest.fixture(scope="module")
def weak_postfix(tmp_path_factory: pytest.TempPathFactory, pki: Pki, weak: Dovecot) -> Iterator[Postfix]:
    """Postfix that takes passwords everywhere, its mechanisms those of the weak Dovecot."""
    peer = postfix(
        tmp_path_factory.mktemp("postfix"),
        pki,
        "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = no\n",
        weak.ports["auth"],
    )
    yield peer
    peer.stop()


@pytest.mark.peer("postfix", "dovecot")
def test_weak_postfix(weak_postfix: Postfix) -> None:
    for name, protocol in (("smtp", Protocol.SMTP), ("submission", Protocol.SUBMISSION)):
        door = look(weak_postfix.ports[name], protocol, "127.0.0.1")
        assert door.state is PortState.OPEN
        assert door.banner == "postfix.example.org ESMTP Postfix"
        assert door.plain is not None
        assert door.secured is not None
        assert {"PLAIN", "LOGIN"} <= set(door.plain.mechanisms)
        assert door.plain.password_command is None
        assert door.starttls is StartTls.OFFERED
        assert door.injection is False
        assert door.tls is not None
        assert door.tls.accepted() == (TlsVersion.TLS1_3,)
    door = look(weak_postfix.ports["submissions"], Protocol.SUBMISSIONS, "127.0.0.1")
    assert door.starttls is StartTls.IMPLICIT
    assert door.secured is not None
    assert door.secured.bare_password
    assert "MAIL" not in weak_postfix.logged()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Postfix]:
    """Takes mail only, makes clients wait for the greeting, and ends the connection of who talks out of turn."""
    extra = (
        "smtpd_delay_reject = no\nsmtpd_client_restrictions = sleep 2\nsmtpd_helo_required = yes\n"
        "smtpd_data_restrictions = reject_unauth_pipelining\nsmtpd_forbid_unauth_pipelining = yes\n"
    )
    peer = postfix(tmp_path_factory.mktemp("strict"), pki, extra)
    yield peer
    peer.stop()


@pytest.mark.peer("postfix")
def test_a_pause_before_the_greeting_is_waited_for(strict: Postfix) -> None:
    door = look(strict.ports["smtp"], Protocol.SMTP, "127.0.0.1")
    assert door.state is PortState.OPEN
    assert door.secured is not None
    assert not door.secured.mechanisms
    assert not door.secured.bare_password
    assert door.injection is False


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Postfix]:
    """No TLS at all."""
    peer = postfix(tmp_path_factory.mktemp("bare"), pki, "smtpd_tls_security_level = none\n")
    yield peer
    peer.stop()


@pytest.mark.peer("postfix")
def test_postfix_without_tls(bare: Postfix) -> None:
    door = look(bare.ports["smtp"], Protocol.SMTP, "127.0.0.1")
    assert door.state is PortState.OPEN
    assert door.starttls is StartTls.NOT_OFFERED
    assert (door.secured, door.tls, door.injection) == (None, None, None)
