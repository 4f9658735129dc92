"""Servers of every bad manner, and a look at one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.tls import TlsFacts
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.edge.door_probe import probe_door
from gambeson.assess.edge.manners import Manners
from gambeson.assess.edge.stream import Stream
from gambeson.assess.edge.tls_exchange import Opener

Conduct = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MAIL = (Protocol.SMTP, Protocol.IMAP, Protocol.POP3, Protocol.SIEVE)


async def no_tls(opener: Opener, host: str) -> TlsFacts:
    """What a sweep says that never came to TLS."""
    async with opener() as found:
        if isinstance(found, Unknown):
            return TlsFacts(unknown=found)
        assert isinstance(found, Stream)
    return TlsFacts(unknown=Unknown(Cause.TLS_FAILED))


def look(conduct: Conduct, protocol: Protocol, *, patience: float = 1.0, seconds: float = 3.0) -> DoorFacts:
    async def run() -> DoorFacts:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await conduct(reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await probe_door(
                "localhost",
                "127.0.0.1",
                port,
                protocol,
                Manners(20, gap=0),
                no_tls,
                patience=patience,
                talk=seconds,
            )

    return asyncio.run(run())


def cause(door: DoorFacts) -> Cause:
    assert door.state is PortState.UNKNOWN
    assert door.unknown is not None
    assert door.unknown.detail.isprintable()
    assert len(door.unknown.detail) < 600
    return door.unknown.cause


def says(*parts: bytes, forever: bool = False, between: float = 0.0) -> Conduct:
    """Says the parts, the last for ever if asked, and then listens."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(between)
        while forever:
            writer.write(parts[-1])
            await writer.drain()
            await asyncio.sleep(between)
        while await reader.read(4096):
            pass

    return conduct


def answers(greeting: bytes, **to: bytes) -> Conduct:
    """Greets, and answers lines by their command's word; with IMAP's tag for ``@``."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            words = line.split() or [b"-"]
            tag, word = (words[0], words[1]) if len(words) > 1 and words[0][:1] == b"g" else (b"", words[0])
            writer.write(to.get(word.decode("latin-1").upper(), b"").replace(b"@", tag))
            await writer.drain()

    return conduct
