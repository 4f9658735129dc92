"""A way back behind the door: a client signs in with its device, leaves that sign-in at the mail server through the
spliced connection (UNAUTHENTICATE, RFC 8437 and RFC 5804), and signs in anew, as anybody, with a password alone.

No octet of a spliced session is looked at, so the door must not join a client to a server that knows the command.
"""

from __future__ import annotations

import asyncio

import pytest

from gambeson.playground import sieve
from gambeson.wire.dialogue import Command, Failed, Origin, Ready, Send, UpstreamCredential
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.limits import UNAUTHENTICATE
from gambeson.wire.sieve_client import SieveClient
from guard.edge.doors import ImapPeer, doors, organisation, run, upstream

TOKEN = UpstreamCredential("PLAIN", "alice@example.org", "a token")


class WaysBack(ImapPeer):
    """A mail server with UNAUTHENTICATE, which accepts anybody's password afterwards."""

    code = b""

    def _login(self, tag: bytes, argument: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(tag + b" OK" + self.code + b" welcome\r\n")
        return True

    async def _command(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if line.upper().endswith(b" CAPABILITY"):
            writer.write(b"* CAPABILITY IMAP4rev1 Unauthenticate IDLE\r\n" + line.split()[0] + b" OK\r\n")
            return True
        return await super()._command(line, reader, writer)


@pytest.mark.parametrize("code", [b"", b" [CAPABILITY IMAP4rev1 IDLE UNAUTHENTICATE]"])
def test_a_device_never_gets_to_a_server_that_lets_it_change_who_it_is(code: bytes) -> None:
    async def main() -> None:
        peer = WaysBack()
        peer.code = code
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        answer = await client.login()
        client.send(b'b UNAUTHENTICATE\r\nc LOGIN bob@example.org "his password"\r\n')
        await asyncio.sleep(0.1)
        assert answer.startswith(b"a NO [UNAVAILABLE]"), answer
        assert not any(b"UNAUTH" in line or b"bob" in line for line in peer.lines), peer.lines
        [event] = at.events("door.login.failed")
        assert "UNAUTHENTICATE" in str(event.data["why"])
        await at.server.stop()

    run(main)


def outcome(commands: list[Command]) -> Command:
    [last] = [c for c in commands if not isinstance(c, Send)]
    return last


@pytest.mark.parametrize(
    ("greeting", "code", "later"),
    [
        (b"UNAUTHENTICATE ", b"[CAPABILITY IDLE] ", b""),
        (b"", b"[CAPABILITY IDLE unauthenticate] ", b""),
        (b"", b"", b"* CAPABILITY IDLE UNAUTHENTICATE\r\ng2 OK\r\n"),
    ],
)
def test_imap_wherever_it_says_so(greeting: bytes, code: bytes, later: bytes) -> None:
    client = ImapClient(credential=TOKEN, origin=Origin())
    client.start()
    client.receive(b"* OK [CAPABILITY IMAP4rev1 " + greeting + b"SASL-IR AUTH=PLAIN] hi\r\n")
    said = outcome(client.receive(b"g1 OK " + code + b"in\r\n" + later))
    assert said == Failed("protocol", UNAUTHENTICATE)


@pytest.mark.parametrize("before", [True, False])
def test_managesieve_wherever_it_says_so(before: bool) -> None:
    way, hello = b'"UNAUTHENTICATE"\r\n', b'"SASL" "PLAIN"\r\n'
    client = SieveClient(credential=TOKEN, origin=Origin())
    client.start()
    client.receive(hello + (way if before else b"") + b"OK\r\n")
    said = outcome(client.receive(b"OK\r\n" + hello + (b"" if before else way) + b"OK\r\n"))
    assert said == Failed("protocol", UNAUTHENTICATE)


def test_the_playground_has_no_way_back() -> None:
    """pymap's ManageSieve has one: a door would rightly refuse it, and ours must not have it at all."""
    connection = sieve._Connection
    assert connection._do_unauthenticate is not sieve.ManageSieveConnection._do_unauthenticate


def test_a_server_without_it_is_joined() -> None:
    client = SieveClient(credential=TOKEN, origin=Origin())
    client.receive(b'"SASL" "PLAIN"\r\nOK\r\n')
    assert isinstance(outcome(client.receive(b'OK\r\n"SIEVE" ""\r\nOK\r\n')), Ready)
