"""STARTTLS as servers keep it badly: refused, promised and not kept, and commands that come too early."""

from __future__ import annotations

import asyncio
import ssl
import warnings

import pytest

from assess.door_cases import codes, facts
from assess.edge.door_peers import Conduct, answers, look
from gambeson.assess.core.doors import PortState, Protocol, StartTls
from gambeson.assess.core.unknown import Cause
from peers.pki import Pki

SMTP = {"EHLO": b"250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", "QUIT": b"221 bye\r\n"}


def test_plaintext_after_the_go_ahead_for_tls() -> None:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        await reader.readline()
        writer.write(SMTP["EHLO"])
        await reader.readline()
        writer.write(b"220 go\r\n250 and on in the clear\r\n")
        while await reader.read(4096):
            writer.write(b"500 what?\r\n")

    door = look(conduct, Protocol.SMTP)
    assert door.state is PortState.OPEN
    assert door.plain is not None
    assert door.plain.bare_password
    assert door.secured is None
    assert door.starttls is StartTls.FAILED
    assert door.unknown is not None
    assert door.unknown.cause is Cause.TLS_FAILED
    assert door.injection is None


def test_silence_after_the_go_ahead_for_tls() -> None:
    door = look(answers(b"220 mx\r\n", STARTTLS=b"220 go\r\n", **SMTP), Protocol.SMTP)
    assert door.state is PortState.OPEN
    assert door.starttls is StartTls.FAILED
    assert door.unknown is not None
    assert door.unknown.cause is Cause.TIMEOUT
    assert "TLS handshake" in door.unknown.detail
    assert codes("smtp_starttls", facts(door)) == ["unknown"]
    assert codes("bare_password", facts(door)) == ["open"]  # as it was offered without TLS


def test_starttls_refused() -> None:
    door = look(answers(b"220 mx\r\n", STARTTLS=b"454 no TLS today\r\n", **SMTP), Protocol.SMTP)
    assert door.starttls is StartTls.FAILED
    assert door.unknown is None
    assert door.notes == ("it offers STARTTLS and refuses it: 454 no TLS today",)


def upgrades(pki: Pki, *, forgets: bool, old: bool = False) -> Conduct:
    """An SMTP server that begins TLS in the middle of what it has read; ``forgets`` what came with STARTTLS or not."""
    certificate = pki.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        offers = b"250-mx\r\n250 STARTTLS\r\n"
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"EHLO":
                    writer.write(offers)
                case b"STARTTLS":
                    if forgets:
                        reader._buffer.clear()  # type: ignore[attr-defined]
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(context)
                    offers = b"250-mx\r\n250 AUTH PLAIN\r\n"
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 ok\r\n")

    return conduct


@pytest.mark.parametrize("forgets", [True, False])
def test_a_command_behind_starttls(pki: Pki, forgets: bool) -> None:
    door = look(upgrades(pki, forgets=forgets), Protocol.SMTP)
    assert door.starttls is StartTls.OFFERED
    assert door.injection is not forgets


@pytest.mark.parametrize(
    ("answer", "injection"),
    [
        (b"554 5.5.0 you talk out of turn\r\n", False),  # it noticed
        (b"", False),  # it noticed, and hung up
        (b"silence", None),  # nobody knows
    ],
)
def test_a_server_that_takes_offence_at_a_command_behind_starttls(
    pki: Pki, answer: bytes, injection: bool | None
) -> None:
    well_behaved = upgrades(pki, forgets=True)

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def readline() -> bytes:
            line = await asyncio.StreamReader.readline(reader)
            if line == b"STARTTLS\r\n" and b"NOOP" in bytes(reader._buffer):  # type: ignore[attr-defined]
                if answer == b"silence":
                    await reader.read()
                    await asyncio.sleep(9)
                writer.write(answer)
                return b""
            return line

        reader.readline = readline  # type: ignore[method-assign]
        await well_behaved(reader, writer)

    door = look(conduct, Protocol.SMTP)
    assert door.secured is not None
    assert door.injection is injection


def test_old_versions_are_good_enough_to_look(pki: Pki) -> None:
    door = look(upgrades(pki, forgets=True, old=True), Protocol.SMTP)
    assert door.secured is not None
    assert door.secured.bare_password
