"""Servers that nobody would want to meet, and those that say no without a word: what is not known is said so."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from assess.tls_peers import NOW, Behaviour, hostile, issue
from gambeson.assess.core.tls import TlsFacts, TlsVersion, Trust
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.stream import Closed, connected
from gambeson.assess.edge.tls_probe import Opener, probe_tls

HOST = "mail.example.org"
ROOT = issue("Root of the tests", authority=True)
LEAF = issue(HOST, ROOT, HOST)
ALERT = b"\x15\x03\x03\x00\x02\x02"


def record(payload: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 3]) + len(payload).to_bytes(2, "big") + payload


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


SERVER_HELLO = message(2, b"\3\3" + bytes(32) + b"\0\xc0\x2f\0")
DONE = message(14, b"")


def certificates(*ders: bytes) -> bytes:
    inner = b"".join(len(der).to_bytes(3, "big") + der for der in ders)
    return message(11, len(inner).to_bytes(3, "big") + inner)


def version_of(hello: bytes) -> int:
    """The newest version that a hello offers."""
    ours, the_library_s = b"\x00\x2b\x00\x03\x02\x03\x04", b"\x03\x04\x03\x03\x03\x02"
    if ours in hello or the_library_s in hello:
        return 0x0304
    return int.from_bytes(hello[9:11], "big")


async def sweep(opener: Opener, manners: Manners) -> TlsFacts:
    async with asyncio.timeout(25):  # a sweep that hangs is a fault of its own
        return await probe_tls(opener, HOST, manners, NOW.timestamp() + 3600, Authorities(ROOT.pem))


def look(behaviour: Behaviour, *, patience: float = 0.3, deadline: float = 20) -> TlsFacts:
    async def run() -> TlsFacts:
        async with hostile(behaviour) as port:
            manners = Manners(deadline, gap=0)
            return await sweep(partial(connected, "127.0.0.1", port, manners, patience=patience), manners)

    return asyncio.run(run())


def saying(octets: bytes) -> Behaviour:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(octets)
        await writer.drain()
        await reader.read(4096)

    return behaviour


@pytest.mark.parametrize(
    "octets",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0" * 4096,
        b"\x1b]0;owned\x07" * 10,
        record(DONE),
        b"\x16\x03\x03\xff\xff",
        record(b"") * 1000,
        record(b"\1\x70", 21) * 1000,
    ],
)
def test_garbage(octets: bytes) -> None:
    facts = look(saying(octets))
    assert facts.unknown is not None
    assert facts.unknown.cause is Cause.MALFORMED
    assert facts.unknown.detail.isprintable()
    assert facts.accepted() == ()


def test_silence() -> None:
    facts = look(saying(b""))
    assert facts.unknown == Unknown(Cause.TIMEOUT, "no answer to a hello in 0 s")


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One octet at a time, for ever."""
    for octet in record(SERVER_HELLO + certificates(LEAF.der)) * 10:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0.05)


def test_a_drip() -> None:
    facts = look(drip)
    assert facts.unknown is not None
    assert facts.unknown.cause is Cause.TIMEOUT


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A list of certificates of 16 MB, one filler record after another."""
    await reader.read(4096)
    writer.write(record(SERVER_HELLO + b"\x0b\xff\xff\xff\xff\xff\xfc"))
    for _ in range(1024):
        writer.write(record(bytes(16000)))
        await writer.drain()


def test_a_flood_costs_little_memory() -> None:
    tracemalloc.start()
    facts = look(flood, patience=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    assert TlsVersion.TLS1_2 in facts.accepted()  # it did choose
    assert (facts.chain, facts.trust) == ((), Trust.UNKNOWN)
    assert facts.trust_detail == "the list of certificates is longer than anybody needs"


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Messages without end that are each in order."""
    await reader.read(4096)
    writer.write(record(SERVER_HELLO))
    while True:
        writer.write(record(message(22, bytes(16000))))
        await writer.drain()


def test_messages_without_end() -> None:
    assert TlsVersion.TLS1_2 in look(babble, patience=5).accepted()


@pytest.mark.parametrize(
    "der",
    [b"", b"\0", b"\x30\x80", b"garbage", LEAF.der[:-1], LEAF.der[: len(LEAF.der) // 2], LEAF.der + b"more"],
)
def test_a_certificate_that_is_none(der: bytes) -> None:
    facts = look(saying(record(SERVER_HELLO + certificates(der) + DONE)))
    assert TlsVersion.TLS1_2 in facts.accepted()
    assert facts.trust is Trust.INVALID
    assert [c.der for c in facts.chain] == [der]
    assert facts.name_matches is False


def test_every_hello_is_refused() -> None:
    facts = look(saying(ALERT + b"\x28"))
    assert facts.unknown == Unknown(Cause.TLS_FAILED, "it refuses every hello (handshake failure)")
    assert all(taken is False for _, taken in facts.versions)


@pytest.mark.parametrize("reset", [False, True])
def test_every_hello_ends_the_connection(reset: bool) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        if reset:
            writer.transport.abort()

    facts = look(behaviour)
    assert facts.unknown == Unknown(Cause.TLS_FAILED, "it closes on every hello")
    assert not [version for version, taken in facts.versions if isinstance(taken, bool)]


@pytest.mark.parametrize("reset", [False, True])
def test_closing_is_a_no_where_another_hello_is_still_taken(reset: bool) -> None:
    """As Windows says no to a version: it ends the connection."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        if version_of(hello) == 0x0303:
            writer.write(record(SERVER_HELLO + certificates(LEAF.der) + DONE))
            await writer.drain()
            await reader.read(4096)
        elif reset:
            writer.transport.abort()

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_2,)
    assert dict(facts.versions)[TlsVersion.TLS1_0] is False
    assert (facts.trust, facts.name_matches) == (Trust.TRUSTED, True)


def test_closing_after_some_connections_is_not_a_no() -> None:
    """A limit on connections looks the same; then nothing is claimed."""
    taken = 0

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        hello = await reader.read(4096)
        if taken < 2 and version_of(hello) >= 0x0303:
            taken += 1
            writer.write(record(SERVER_HELLO + certificates(LEAF.der) + DONE))
            await writer.drain()
            await reader.read(4096)

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_2,)
    busy = {version for version, told in facts.versions if isinstance(told, Unknown)}
    assert {TlsVersion.SSL3, TlsVersion.TLS1_0, TlsVersion.TLS1_1} <= busy
    assert {told.cause for _, told in facts.untried} == {Cause.RATE_LIMITED}


def test_a_version_that_is_swallowed_is_not_known() -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        if version_of(hello) == 0x0301:
            await reader.read(4096)
        elif version_of(hello) == 0x0303:
            writer.write(record(SERVER_HELLO + certificates(LEAF.der) + DONE))
            await reader.read(4096)
        else:
            writer.write(ALERT + b"\x46")

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_2,)
    told = dict(facts.versions)
    assert told[TlsVersion.TLS1_1] is False
    assert isinstance(told[TlsVersion.TLS1_0], Unknown)
    assert told[TlsVersion.TLS1_0].cause is Cause.TIMEOUT


def test_ssl3_and_ssl2_are_found() -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        if hello[0] & 0x80:
            body = b"\4\0\1\0\2\0\0\0\3\0\x10" + b"\1\0\x80" + bytes(16)
            writer.write((0x8000 | len(body)).to_bytes(2, "big") + body)
        elif version_of(hello) == 0x0300:
            old = message(2, b"\3\0" + bytes(32) + b"\0\0\x05\0")
            writer.write(b"\x16\3\0" + len(old + DONE).to_bytes(2, "big") + old + DONE)
        else:
            writer.write(ALERT + b"\x46")
        await writer.drain()
        await reader.read(4096)

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.SSL2, TlsVersion.SSL3)
    assert {"rc4", "static-rsa"} == {word.value for word in facts.weak}


def test_what_only_the_oldest_version_takes_is_found() -> None:
    """Some libraries keep weak suites for the versions of their time."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        old, good, rc4 = version_of(hello) == 0x0301, b"\xc0\x2f" in hello[44:], b"\x00\x05" in hello[44:]
        if not hello[0] & 0x80 and (good or (old and rc4)) and version_of(hello) in (0x0301, 0x0303):
            chosen = (b"\3\1" if old else b"\3\3") + bytes(32) + b"\0" + (b"\xc0\x2f" if good else b"\0\5")
            writer.write(record(message(2, chosen + b"\0") + certificates(LEAF.der) + DONE))
        else:
            writer.write(ALERT + b"\x28")
        await writer.drain()
        await reader.read(4096)

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_0, TlsVersion.TLS1_2)
    assert "rc4" in {word.value for word in facts.weak}


def test_a_server_that_falls_silent_after_its_hello_did_choose() -> None:
    facts = look(saying(record(SERVER_HELLO + certificates(LEAF.der))))
    assert TlsVersion.TLS1_2 in facts.accepted()
    assert (facts.trust, facts.name_matches) == (Trust.TRUSTED, True)


def test_a_server_that_chooses_an_older_version_has_not_the_newer() -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        if version_of(hello) >= 0x0301 and not hello[0] & 0x80:
            old = message(2, b"\3\1" + bytes(32) + b"\0\xc0\x13\0")
            writer.write(record(old + certificates(LEAF.der) + DONE))
            await writer.drain()
        await reader.read(4096)

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_0,)


def test_what_the_opener_says_is_the_answer() -> None:
    class Says:
        def __init__(self, found: object) -> None:
            self.found = found

        async def __aenter__(self) -> object:
            return self.found

        async def __aexit__(self, *error: object) -> None:
            return None

    async def run(found: object) -> TlsFacts:
        return await sweep(lambda: Says(found), Manners(5))  # type: ignore[arg-type,return-value]

    told = Unknown(Cause.TLS_FAILED, "it does not begin TLS")
    assert asyncio.run(run(told)).unknown == told
    closed = asyncio.run(run(Closed())).unknown
    assert closed is not None
    assert closed.cause is Cause.RATE_LIMITED


@pytest.mark.parametrize("deadline", [0, 0.3])
def test_the_end_of_the_look_is_not_the_server_s_silence(deadline: float) -> None:
    facts = look(saying(b""), patience=5, deadline=deadline)
    assert facts.unknown == Unknown(Cause.DEADLINE)


def test_a_handshake_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    """The server goes after its first flight; what it said in clear is kept."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(LEAF.write(tmp_path))

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = context.wrap_bio(into, out, server_side=True)
        into.write(await reader.read(4096))
        try:
            side.do_handshake()
        except ssl.SSLError:
            writer.write(out.read())
            await writer.drain()

    facts = look(behaviour)
    assert facts.accepted() == (TlsVersion.TLS1_2,)
    assert facts.trust is Trust.TRUSTED
