"""Servers that nobody would want to meet: whatever they do, a look ends in time and says why it does not know."""

from __future__ import annotations

import asyncio
import socket
import struct
import tracemalloc

import pytest

from assess.edge.door_peers import MAIL, Conduct, answers, cause, look, no_tls, says
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.unknown import Cause
from gambeson.assess.edge.door_probe import probe_door
from gambeson.assess.edge.manners import Manners

EVERY = pytest.mark.parametrize("protocol", MAIL)


@EVERY
def test_silence(protocol: Protocol) -> None:
    door = look(says(), protocol)
    assert cause(door) is Cause.TIMEOUT
    assert "greeting" in door.unknown.detail  # type: ignore[union-attr]


@EVERY
def test_an_octet_now_and_then_is_no_answer(protocol: Protocol) -> None:
    # Each octet comes within the patience for one read; the dialogue as a whole has its end.
    assert cause(look(says(b"2", forever=True, between=0.4), protocol, seconds=2.0)) is Cause.TIMEOUT


def test_a_greeting_in_two_parts_is_waited_for() -> None:
    # As Postfix's postscreen does: the first half at once, the second after its pause, and woe to who talks between.
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-mx wait\r\n")
        early = asyncio.create_task(reader.read(1))
        done, _ = await asyncio.wait([early], timeout=0.8)
        if done:
            writer.write(b"521 you talk too soon\r\n")
            return
        writer.write(b"220 mx\r\n")
        await early
        await reader.readline()
        writer.write(b"250 mx\r\n")
        await reader.read(100)

    door = look(conduct, Protocol.SMTP)
    assert door.state is PortState.OPEN
    assert door.unknown is None
    assert door.banner == "mx wait mx"


@EVERY
def test_a_banner_without_end(protocol: Protocol) -> None:
    assert cause(look(says(b"x" * 65536, forever=True), protocol)) is Cause.TOO_LONG


ENDLESS = {
    Protocol.SMTP: b"220-more\r\n" * 50,
    Protocol.IMAP: b"* OK more\r\n" * 50,
    Protocol.POP3: b"+OK more\r\n" * 50,
    Protocol.SIEVE: b'"MORE" "more"\r\n' * 50,
}


@EVERY
def test_lines_without_end(protocol: Protocol) -> None:
    door = look(says(ENDLESS[protocol], forever=True), protocol)
    assert cause(door) in (Cause.TOO_LONG, Cause.MALFORMED)
    if protocol is not Protocol.POP3:  # there the lines answer CAPA before it is asked, and do not end
        assert cause(door) is Cause.TOO_LONG


@EVERY
def test_a_line_of_megabytes(protocol: Protocol) -> None:
    begin = ENDLESS[protocol][:4]
    tracemalloc.start()
    door = look(says(begin + b"y" * 5_000_000 + b"\r\n"), protocol)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cause(door) is Cause.TOO_LONG
    # The server of this test holds its 5 MB several times over, and that is all.
    assert peak < 30_000_000


@EVERY
@pytest.mark.parametrize(
    ("what", "named"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html>", "web server"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"),
        (b"\x15\x03\x01\x00\x02\x02\x46\n", "TLS"),
        (bytes(range(256)) * 4 + b"\r\n", ""),
        (b"\xff\xfe\x00\r\n" * 5, ""),
        (b"\n\n\n\n", ""),
    ],
)
def test_another_protocol(protocol: Protocol, what: bytes, named: str) -> None:
    door = look(says(what), protocol)
    assert cause(door) is Cause.MALFORMED
    assert named in door.unknown.detail  # type: ignore[union-attr]


@EVERY
def test_closing_at_once(protocol: Protocol) -> None:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nothing."""

    assert cause(look(conduct, protocol)) is Cause.RATE_LIMITED


@EVERY
def test_a_reset(protocol: Protocol) -> None:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"2")
        await asyncio.sleep(0.05)
        reset_at_close = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_close)
        writer.transport.abort()

    assert cause(look(conduct, protocol)) is Cause.RATE_LIMITED


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [
        (Protocol.SMTP, b"421 4.7.0 too many connections from you\r\n"),
        (Protocol.IMAP, b"* BYE too many connections from you\r\n"),
        (Protocol.POP3, b"-ERR [SYS/TEMP] too many connections from you\r\n"),
        (Protocol.SIEVE, b'BYE (TRYLATER) "too many connections from you"\r\n'),
    ],
)
def test_too_many_connections(protocol: Protocol, greeting: bytes) -> None:
    door = look(says(greeting), protocol)
    assert cause(door) is Cause.RATE_LIMITED
    assert "too many connections from you" in door.unknown.detail  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [
        (Protocol.SMTP, b"554 5.7.1 you are on a list\r\n"),
        (Protocol.POP3, b"-ERR you are on a list\r\n"),
        (Protocol.SIEVE, b'NO "you are on a list"\r\n'),
    ],
)
def test_not_wanted(protocol: Protocol, greeting: bytes) -> None:
    door = look(says(greeting), protocol)
    assert cause(door) is Cause.RATE_LIMITED
    assert "you are on a list" in door.unknown.detail  # type: ignore[union-attr]


def test_silence_where_tls_should_be() -> None:
    assert cause(look(says(), Protocol.IMAPS)) is Cause.TIMEOUT


def test_nothing_after_the_greeting() -> None:
    door = look(answers(b"220 mx\r\n"), Protocol.SMTP)
    assert cause(door) is Cause.TIMEOUT
    assert door.banner == "mx"
    assert "EHLO" in door.unknown.detail  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("protocol", "conduct"),
    [
        (Protocol.SMTP, answers(b"220 mx\r\n", EHLO=b"250-X\r\n" * 10_000 + b"250 end\r\n")),
        (
            Protocol.IMAP,
            answers(b"* OK hi\r\n", CAPABILITY=b"* CAPABILITY" + b" LONGNAME" * 10_000 + b"\r\n@ OK\r\n"),
        ),
        (Protocol.POP3, answers(b"+OK hi\r\n", CAPA=b"+OK\r\n" + b"X\r\n" * 10_000 + b".\r\n")),
        (Protocol.SIEVE, says(b'"A" "b"\r\n' * 10_000 + b"OK\r\n")),
    ],
)
def test_ten_thousand_capabilities(protocol: Protocol, conduct: Conduct) -> None:
    assert cause(look(conduct, protocol)) is Cause.TOO_LONG


def test_a_server_of_before_esmtp() -> None:
    door = look(
        answers(b"220 old\r\n", EHLO=b"500 what?\r\n", HELO=b"250 hello\r\n", QUIT=b"221 bye\r\n"),
        Protocol.SMTP,
    )
    assert door.state is PortState.OPEN
    assert door.unknown is None
    assert door.plain is not None
    assert door.plain.capabilities == ()


@pytest.mark.parametrize("protocol", [Protocol.IMAPS, Protocol.POP3S, Protocol.SUBMISSIONS])
def test_plaintext_where_tls_should_be(protocol: Protocol) -> None:
    assert cause(look(says(b"220 plain\r\n"), protocol)) is Cause.TLS_FAILED


def test_the_end_of_the_look() -> None:
    async def run() -> DoorFacts:
        server = await asyncio.start_server(says(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await probe_door(
                "localhost", "127.0.0.1", port, Protocol.IMAP, Manners(0.5, gap=0), no_tls
            )

    assert cause(asyncio.run(run())) is Cause.DEADLINE
