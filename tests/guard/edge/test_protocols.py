"""POP3, ManageSieve and submission through the doors."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from gambeson.guard.edge.door_settings import DoorLimits
from gambeson.model.asset import DeviceKind
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from guard.edge.doors import (
    FAST,
    SECRET,
    Client,
    Doors,
    doors,
    organisation,
    revoked,
    run,
    upstream,
)

PLAIN = base64.b64encode(f"\0alice@example.org\0{SECRET.text}".encode())


class LinePeer:
    """A mail server that speaks from a table: what a line begins with, and the answer."""

    def __init__(self, greeting: bytes, answers: dict[bytes, bytes]) -> None:
        self.greeting = greeting
        self.answers = answers
        self.lines: list[bytes] = []
        self.message = b""
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(self.greeting)
        while line := await reader.readline():
            self.lines.append(line)
            writer.write(next((a for k, a in self.answers.items() if line.startswith(k)), b"-ERR what\r\n"))
            if line == b"DATA\r\n":
                self.message = await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 2.0.0 queued as 4711\r\n")
        writer.close()


def pop3_peer() -> LinePeer:
    return LinePeer(
        b"+OK peer\r\n",
        {
            b"CAPA": b"+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n",
            b"AUTH PLAIN": b"+OK in\r\n",
            b"USER": b"+OK\r\n",
            b"PASS": b"+OK in\r\n",
            b"STAT": b"+OK 2 320\r\n",
            b"RETR": b"+OK\r\nSubject: x\r\n",
        },
    )


def sieve_peer() -> LinePeer:
    capabilities = b'"IMPLEMENTATION" "peer"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK\r\n'
    return LinePeer(
        capabilities,
        {b"CAPABILITY": capabilities, b"AUTHENTICATE": b"OK\r\n", b"LISTSCRIPTS": b'"main" ACTIVE\r\nOK\r\n'},
    )


def smtp_peer() -> LinePeer:
    return LinePeer(
        b"220 peer ESMTP\r\n",
        {
            b"EHLO": b"250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000000\r\n250 AUTH PLAIN\r\n",
            b"AUTH": b"235 2.7.0 in\r\n",
            b"MAIL": b"250 2.1.0 ok\r\n",
            b"RCPT": b"250 2.1.5 ok\r\n",
            b"DATA": b"354 go\r\n",
            b"RSET": b"250 2.0.0 ok\r\n",
            b"NOOP": b"250 2.0.0 ok\r\n",
            b"QUIT": b"221 2.0.0 bye\r\n",
        },
    )


async def _pop3(at: Doors) -> Client:
    client = await at.client("pop3")
    await client.line()
    client.send(b"STLS\r\n")
    assert (await client.line()).startswith(b"+OK")
    await client.start_tls()
    client.send(f"USER alice@example.org\r\nPASS {SECRET.text}\r\n".encode())
    assert (await client.line()).startswith(b"+OK")
    assert (await client.line()).startswith(b"+OK")
    return client


def test_pop3() -> None:
    async def main() -> None:
        peer = pop3_peer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _pop3(at)
        client.send(b"STAT\r\n")
        assert await client.line() == b"+OK 2 320\r\n"
        await at.server.stop()

    run(main)


def test_pop3_mailbox_in_use_reaches_the_client_as_that() -> None:
    """RFC 2449 section 8.1.2: the credential was right, so the person must not be told to look for another fault."""

    async def main() -> None:
        peer = pop3_peer()
        peer.answers[b"AUTH PLAIN"] = b"-ERR [IN-USE] Mailbox is locked by another POP3 session.\r\n"
        other = pop3_peer()
        snapshot = organisation(upstream(await peer.start()), upstream(await other.start(), name="second"))
        at = await doors(snapshot)
        client = await at.client("pop3")
        await client.line()
        client.send(b"STLS\r\n")
        await client.line()
        await client.start_tls()
        client.send(f"USER alice@example.org\r\nPASS {SECRET.text}\r\n".encode())
        await client.line()
        said = await client.line()
        assert said.startswith(b"-ERR [IN-USE] The mailbox is open in another program"), said
        assert other.lines == []  # who answered is the right server: no other one is tried
        [event] = at.events("door.login.failed")
        assert event.data["why"] == "mailbox in use"
        await at.server.stop()

    run(main)


def test_pop3_refusal_says_where_to_enrol_and_revocation_adds_no_line() -> None:
    async def main() -> None:
        peer = pop3_peer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await at.client("pop3")
        await client.line()
        client.send(b"STLS\r\n")
        await client.line()
        await client.start_tls()
        client.send(b"USER alice@example.org\r\nPASS guess\r\n")
        await client.line()
        assert b"https://login.example.org" in await client.line()
        client = await _pop3(at)
        client.send(b"RETR 1\r\n")
        assert await client.until(b"Subject")
        await at.server.apply_snapshot(SnapshotIndex(revoked(snapshot)))
        assert await client.rest() == b""  # a line would have become part of the message
        await at.server.stop()

    run(main)


def test_managesieve_and_its_bye() -> None:
    async def main() -> None:
        peer = sieve_peer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await at.client("sieve")
        assert b"STARTTLS" in b"".join(await client.until(b"OK"))
        client.send(b"STARTTLS\r\n")
        await client.until(b"OK")
        await client.start_tls()
        assert b'"PLAIN' in b"".join(await client.until(b"OK"))
        client.send(b'AUTHENTICATE "PLAIN" "' + PLAIN + b'"\r\n')
        assert (await client.line()).startswith(b"OK")
        client.send(b"LISTSCRIPTS\r\n")
        assert await client.until(b"OK") == [b'"main" ACTIVE\r\n', b"OK\r\n"]
        await at.server.apply_snapshot(SnapshotIndex(revoked(snapshot)))
        assert (await client.rest()).startswith(b'BYE "')
        await at.server.stop()

    run(main)


async def _submission(at: Doors) -> Client:
    client = await at.client("submission")
    await client.line()
    client.send(b"EHLO laptop\r\n")
    assert b"STARTTLS" in b"".join(await client.until(b"250 "))
    client.send(b"STARTTLS\r\n")
    assert (await client.line()).startswith(b"220")
    await client.start_tls()
    client.send(b"EHLO laptop\r\n")
    await client.until(b"250 ")
    client.send(b"AUTH PLAIN " + PLAIN + b"\r\n")
    answer = await client.line()
    assert answer.startswith(b"235"), answer
    return client


async def _send(client: Client, sender: str = "alice@example.org", recipients: int = 1) -> bytes:
    """One message; the first answer that is no success, or the last."""
    client.send(f"MAIL FROM:<{sender}>\r\n".encode())
    for n in range(recipients):
        client.send(f"RCPT TO:<r{n}@example.com>\r\n".encode())
    answers = [await client.line() for _ in range(1 + recipients)]
    for answer in answers:
        if not answer.startswith(b"250"):
            return answer
    client.send(b"DATA\r\n")
    answer = await client.line()
    if not answer.startswith(b"354"):
        return answer
    client.send(f"From: <{sender}>\r\nTo: <r0@example.com>\r\n\r\nHello\r\n..dot\r\n.\r\n".encode())
    return await client.line()


def test_submission_relays_records_and_counts() -> None:
    async def main() -> None:
        peer = smtp_peer()
        limits = DoorLimits(hourly_messages=5)
        at = await doors(organisation(upstream(await peer.start())), limits=limits)
        client = await _submission(at)
        assert (await _send(client, recipients=2)).startswith(b"250")
        assert peer.message.endswith(b"\r\nHello\r\n..dot\r\n.\r\n")
        assert (await _send(client, recipients=2)).startswith(b"250")
        refused = await _send(client, recipients=2)
        assert refused.startswith(b"450 4.7.1")
        assert b"5 recipients an hour" in refused
        client.send(b"RSET\r\n")
        await client.line()
        assert b"send this to fewer at a time" in await _send(
            client, recipients=6
        )  # no hour will ever hold it
        client.send(b"RSET\r\n")
        await client.line()
        assert (await _send(client)).startswith(b"250")
        sent = at.events("door.message.sent")
        assert [e.data["recipient_count"] for e in sent] == [2, 2, 1]
        assert sent[0].data["sender"] == "alice@example.org"
        assert sent[0].data["reply"]
        assert len(at.events("door.message.refused")) == 2
        client.send(b"QUIT\r\n")
        assert (await client.rest()).startswith(b"221")
        await asyncio.sleep(0.2)
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


def test_submission_offers_before_the_sign_in_what_every_server_heard_offers() -> None:
    async def main() -> None:
        peer = smtp_peer()
        plainer = smtp_peer()
        plainer.answers[b"EHLO"] = b"250-plainer\r\n250 AUTH PLAIN\r\n"
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)

        async def offered() -> bool:
            client = await at.client("submission")
            await client.line()
            client.send(b"EHLO laptop\r\n")
            said = b"".join(await client.until(b"250 STARTTLS\r\n"))
            assert b"DSN" not in said  # the peer has none
            return b"250-8BITMIME\r\n" in said

        async def asked(one: LinePeer) -> None:
            while b"QUIT\r\n" not in one.lines:
                await asyncio.sleep(0.01)

        assert not await offered()
        at.server.ask_servers(SnapshotIndex(snapshot))
        await asked(peer)
        assert not any(line.startswith(b"AUTH") for line in peer.lines)
        assert await offered()
        both = organisation(upstream(await peer.start()), upstream(await plainer.start(), name="plainer"))
        at.server.ask_servers(SnapshotIndex(both))
        await asked(plainer)
        assert not await offered()
        at.server.ask_servers(SnapshotIndex(snapshot))  # it is gone again
        assert await offered()
        await at.server.stop()

    run(main)


def test_submission_takes_only_the_accounts_own_sender() -> None:
    async def main() -> None:
        peer = smtp_peer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _submission(at)
        assert (await _send(client, "boss@example.org")).startswith(b"553")
        assert (await _send(client, "al@example.org")).startswith(b"250")
        await at.server.stop()

    run(main)


def test_a_machine_has_its_own_senders_and_rate() -> None:
    def machine(snapshot: Snapshot) -> Snapshot:
        device = replace(
            snapshot.devices[0],
            kind=DeviceKind.MACHINE,
            networks=("127.0.0.0/8",),
            senders=("al@example.org",),
            hourly_limit=1,
        )
        return replace(snapshot, devices=(device,))

    async def main() -> None:
        peer = smtp_peer()
        at = await doors(machine(organisation(upstream(await peer.start()))))
        client = await _submission(at)
        assert (await _send(client)).startswith(b"553")
        assert (await _send(client, "al@example.org")).startswith(b"250")
        assert (await _send(client, "al@example.org")).startswith(b"450")
        await at.server.stop()

    run(main)


def test_revocation_in_the_middle_of_a_message_says_421_and_finishes_nothing() -> None:
    async def main() -> None:
        peer = smtp_peer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await _submission(at)
        client.send(b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n")
        await client.until(b"354")
        client.send(b"From: <alice@example.org>\r\n\r\nHalf of it\r\n")
        await asyncio.sleep(0.1)
        assert await at.server.apply_snapshot(SnapshotIndex(revoked(snapshot))) == 1
        assert (await client.rest()).startswith(b"421")
        await asyncio.sleep(0.3)
        assert peer.message == b""
        assert at.events("door.message.sent") == []
        await at.server.stop()

    run(main)


def test_the_mail_server_dies_under_a_message() -> None:
    async def main() -> None:
        peer = smtp_peer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _submission(at)
        client.send(b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n")
        await client.until(b"354")
        peer.writers[0].transport.abort()
        assert (await client.rest()).startswith(b"421")
        await asyncio.sleep(0.2)
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("gone", [True, False])
def test_a_large_message_through_a_slow_mail_server_is_bounded(gone: bool) -> None:
    size = 20_000_000

    async def main() -> None:
        peer = smtp_peer()
        slow = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reader._limit = 65536  # type: ignore[attr-defined]
            peer.writers.append(writer)
            writer.write(peer.greeting)
            while line := await reader.readline():
                writer.write(next((a for k, a in peer.answers.items() if line.startswith(k)), b"500\r\n"))
                if line == b"DATA\r\n":
                    await slow.wait()
                    while (line := await reader.readline()) not in (b".\r\n", b""):
                        peer.message += line[:1]
                    writer.write(b"250 2.0.0 queued\r\n")

        peer._serve = serve  # type: ignore[method-assign]
        limits = DoorLimits(message=size * 2)
        peer.answers[b"EHLO"] = b"250-peer\r\n250 AUTH PLAIN\r\n"
        at = await doors(organisation(upstream(await peer.start())), limits=limits, timeouts=FAST)
        client = await _submission(at)
        client.send(b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n")
        await client.until(b"354")
        client.send(b"From: <alice@example.org>\r\n\r\n" + (b"x" * 998 + b"\r\n") * (size // 1000) + b".\r\n")
        await asyncio.sleep(0.7)
        assert at.server.sessions()[0].from_client < size // 2  # the client is held back
        if gone:
            client.writer.transport.abort()
            slow.set()
            await asyncio.sleep(0.5)
            assert at.events("door.message.sent") == []
        else:
            slow.set()
            assert (await client.line()).startswith(b"250")
            assert peer.message.count(b"x") == size // 1000
        await at.server.stop()

    run(main, 60)
