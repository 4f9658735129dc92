"""A name server that misbehaves, on loopback, over UDP and TCP at one port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

# What is sent back for a question: octets, each a datagram (or, over TCP, written as they are).
Behaviour = Callable[[dns.message.Message, bool], list[bytes]]


class Hostile(asyncio.DatagramProtocol):
    """``seen`` are the questions that came, with whether over TCP."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.seen: list[tuple[dns.message.Message, bool]] = []
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        self.seen.append((question, False))
        for octets in self.behave(question, False):
            self._transport.sendto(octets, addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            question = dns.message.from_wire(await reader.readexactly(length))
            self.seen.append((question, True))
            for octets in self.behave(question, True):
                writer.write(octets)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hostile(behave: Behaviour) -> AsyncIterator[tuple[Hostile, tuple[str, int]]]:
    """The server, and where it listens."""
    loop = asyncio.get_running_loop()
    server = Hostile(behave)
    tcp = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", port))
    try:
        yield server, ("127.0.0.1", port)
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


def answer(
    question: dns.message.Message, *records: str, rcode: int = 0, flags: int = 0
) -> dns.message.Message:
    """An answer with ``records`` (``name TTL IN TYPE data``); those behind ``/`` are the authority's."""
    made = dns.message.make_response(question)
    made.set_rcode(dns.rcode.Rcode(rcode))
    made.flags |= flags
    section = made.answer
    for text in records:
        if text == "/":
            section = made.authority
            continue
        name, ttl, _, kind, data = text.split(" ", 4)
        rdata = dns.rdata.from_text("IN", kind, data, origin=dns.name.root, relativize=False)
        section.append(dns.rrset.from_rdata(dns.name.from_text(name), int(ttl), rdata))
    return made


def framed(octets: bytes) -> bytes:
    """As it goes over TCP."""
    return len(octets).to_bytes(2, "big") + octets
