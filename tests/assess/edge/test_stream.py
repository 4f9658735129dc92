"""One connection: what the peer does, however long and however much, ends in bounds and is said."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from assess.looped import looped
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.edge import stream as module
from gambeson.assess.edge.manners import Manners, OutOfTimeError
from gambeson.assess.edge.stream import Closed, Stream, TooMuchError, connected, reason
from peers.process import free_port

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[int]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(100):
        writer.write(octets)
        await writer.drain()


@looped
async def test_a_conversation() -> None:
    async with peer(echo) as port, connected("127.0.0.1", port, Manners(30)) as found:
        assert isinstance(found, Stream)
        assert found.local_address == "127.0.0.1"
        assert found.tls is None
        await found.write(b"hello")
        assert await found.read() == b"hello"


@looped
async def test_nobody_listens() -> None:
    async with connected("127.0.0.1", free_port(), Manners(30)) as found:
        assert isinstance(found, Closed)


@looped
async def test_nobody_takes_the_connection() -> None:
    """A full backlog: the kernel answers nothing, as a firewall that swallows everything."""
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            queued = waiting.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        async with connected("127.0.0.1", full.getsockname()[1], Manners(30), within=0.2) as found:
            assert isinstance(found, Unknown)
            assert found.cause is Cause.TIMEOUT
            assert "no answer from 127.0.0.1 port" in found.detail


@looped
async def test_no_way_there_is_unreachable_and_not_closed() -> None:
    async with connected("255.255.255.255", 25, Manners(30), within=1.0) as found:
        assert isinstance(found, Unknown)
        assert found.cause is Cause.UNREACHABLE


@looped
async def test_silence_has_an_end() -> None:
    async with peer(silent) as port, connected("127.0.0.1", port, Manners(30), patience=0.1) as found:
        assert isinstance(found, Stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.read(), 10)


@looped
async def test_the_look_ends_before_patience_does() -> None:
    async with peer(silent) as port, connected("127.0.0.1", port, Manners(0.3), patience=60) as found:
        assert isinstance(found, Stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.read(), 10)
        with pytest.raises(TimeoutError):
            await found.start_tls(ssl.create_default_context(), "mail.example.org")


@looped
async def test_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 200_000)
    async with peer(endless) as port, connected("127.0.0.1", port, Manners(30)) as found:
        assert isinstance(found, Stream)
        taken: list[int] = []

        async def read_on() -> None:
            while octets := await found.read():
                taken.append(len(octets))

        with pytest.raises(TooMuchError):
            await read_on()
        assert 0 < sum(taken) <= 200_000


@looped
async def test_a_peer_that_reads_nothing_does_not_hold_us() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    async with peer(deaf) as port, connected("127.0.0.1", port, Manners(30), patience=0.1) as found:
        assert isinstance(found, Stream)

        async def write_on() -> None:
            for _ in range(10_000):
                await found.write(b"x" * 65536)

        with pytest.raises(TimeoutError):
            await write_on()


@looped
async def test_the_end_is_the_end() -> None:
    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with peer(ends) as port, connected("127.0.0.1", port, Manners(30)) as found:
        assert isinstance(found, Stream)
        assert await found.read() == b"bye"
        assert await found.read() == b""


@looped
async def test_no_tls_where_none_is_spoken() -> None:
    async with peer(echo) as port, connected("127.0.0.1", port, Manners(30), patience=5) as found:
        assert isinstance(found, Stream)
        with pytest.raises(OSError):  # noqa: PT011 - ssl.SSLError or a connection that ended
            await found.start_tls(ssl.create_default_context(), "mail.example.org")


@looped
async def test_the_connection_and_its_place_are_given_back() -> None:
    gone = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        gone.set()

    kept: list[object] = []  # so that nobody else closes it
    manners = Manners(30, per_address=1, gap=0)

    async def break_off(port: int) -> None:
        async with connected("127.0.0.1", port, manners) as held:
            kept.append(held)
            raise ValueError("of ours")

    async with peer(watch) as port:
        with pytest.raises(ValueError, match="of ours"):
            await break_off(port)
        await asyncio.wait_for(gone.wait(), 10)
        async with connected("127.0.0.1", port, manners) as found:
            assert isinstance(found, Stream)
    with pytest.raises(OutOfTimeError):
        async with connected("127.0.0.1", port, Manners(0)):
            pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "this machine has no way to that network"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (ConnectionResetError(), "connectionreseterror"),
    ],
)
def test_the_reason_is_said_in_words(error: OSError, said: str) -> None:
    assert reason(error) == said
