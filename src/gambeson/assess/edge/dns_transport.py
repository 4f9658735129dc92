"""One DNS question to one server: UDP from a port of its own each time, TCP where the answer does not fit.

A new socket for every question gives every question a random source port and number (RFC 5452 section 9.2), and a
connected socket lets only that server's datagrams in.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import dns.flags

from gambeson.assess.core.unknown import Cause, Unknown

from .dns_message import Ask, Message, Reply, query, reply
from .stream import reason

MAX_FOREIGN = 32  # datagrams that answer something else before we stop listening


@dataclass(frozen=True, slots=True)
class Server:
    """A name server: an address and its port."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address} port {self.port}"


async def exchange(server: Server, ask: Ask, seconds: float) -> Message | Unknown:
    """The answer of ``server``, over TCP where UDP's is truncated (RFC 7766). Never raises but when cancelled."""
    found = await _datagram(server, ask, seconds)
    if isinstance(found, Unknown) or not found.flags & dns.flags.TC:
        return found
    return await over_tcp(server, ask, seconds)


async def over_tcp(server: Server, ask: Ask, seconds: float) -> Message | Unknown:
    """The answer of ``server`` over TCP (RFC 7766 section 8: two octets of length, then the message)."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            number = secrets.randbits(16)
            octets = query(ask, number)
            writer.write(len(octets).to_bytes(2, "big") + octets)
            length = int.from_bytes(await reader.readexactly(2), "big")
            found = reply(await reader.readexactly(length), ask, number)
    except TimeoutError:
        return Unknown(Cause.TIMEOUT, f"no answer from {server} over TCP in {seconds:g} s")
    except asyncio.IncompleteReadError:
        return Unknown(Cause.MALFORMED, f"{server} ends the connection before its answer")
    except OSError as error:
        return Unknown(Cause.UNREACHABLE, f"{server} over TCP: {reason(error)}")
    finally:
        if writer is not None:
            writer.transport.abort()
    if isinstance(found, Reply):
        return Unknown(Cause.MALFORMED, f"{server} answers over TCP with something else")
    if found.flags & dns.flags.TC:  # what is cut off must not read as if it were not there
        return Unknown(Cause.MALFORMED, f"{server} cuts its answer off over TCP too")
    return found


class _Waiting(asyncio.DatagramProtocol):
    """Hands over the first datagram that answers."""

    def __init__(
        self, server: Server, ask: Ask, number: int, answer: asyncio.Future[Message | Unknown]
    ) -> None:
        self._server, self._ask, self._number, self._answer = server, ask, number, answer
        self.foreign = 0  # datagrams that answer something else

    def datagram_received(self, data: bytes, addr: object) -> None:
        found = reply(data, self._ask, self._number)
        if found is Reply.FOREIGN:
            self.foreign += 1
            if self.foreign >= MAX_FOREIGN:
                self._settle(Unknown(Cause.MALFORMED, f"{self._server} answers what was not asked"))
        elif found is Reply.GARBAGE:
            self._settle(Unknown(Cause.MALFORMED, f"{self._server} answers with something that is not DNS"))
        else:
            self._settle(found)

    def error_received(self, exc: Exception) -> None:
        why = reason(exc) if isinstance(exc, OSError) else "the message could not be sent"
        self._settle(Unknown(Cause.UNREACHABLE, f"{self._server}: {why}"))

    def _settle(self, found: Message | Unknown | Reply) -> None:
        if not self._answer.done() and not isinstance(found, Reply):
            self._answer.set_result(found)


async def _datagram(server: Server, ask: Ask, seconds: float) -> Message | Unknown:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Message | Unknown] = loop.create_future()
    number = secrets.randbits(16)
    try:
        transport, waiting = await loop.create_datagram_endpoint(
            lambda: _Waiting(server, ask, number, answer), remote_addr=(server.address, server.port)
        )
    except OSError as error:
        return Unknown(Cause.UNREACHABLE, f"{server}: {reason(error)}")
    try:
        transport.sendto(query(ask, number))
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        if waiting.foreign:  # who only hears wrong answers should not be told that nobody spoke
            return Unknown(Cause.MALFORMED, f"{server} answers what was not asked")
        return Unknown(Cause.TIMEOUT, f"no answer from {server} in {seconds:g} s")
    finally:
        transport.close()
