"""One connection of a probe: bounded in octets and time, TLS when asked, closed in every case."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from gambeson.assess.core.unknown import Cause, Unknown

from .manners import Manners

CONNECT = 5.0  # seconds for a connection to come about
PATIENCE = 8.0  # seconds for one answer; Postfix's postscreen lets a greeting wait for six
MOST = 4 * 1024 * 1024  # octets that one connection may bring


class TooMuchError(Exception):
    """The peer sent more than anybody needs to say."""


class Closed:
    """The connection was refused: nothing listens there."""


class Stream:
    """Octets to and from one peer. ``patience`` is the longest wait for one read, write or handshake; all are cut by
    the end of the look. Reads and writes raise TimeoutError, OSError (with ssl.SSLError) and TooMuchError."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, manners: Manners, patience: float
    ) -> None:
        self._reader, self._writer = reader, writer
        self._manners, self.patience = manners, patience
        self._taken = 0

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""
        return str(self._writer.get_extra_info("sockname")[0])

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS layer, once there is one."""
        found: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return found

    async def read(self, limit: int = 65536) -> bytes:
        """What comes next, at most ``limit`` octets; empty at the end."""
        async with asyncio.timeout(self._manners.allowance(self.patience)):
            octets = await self._reader.read(limit)
        self._taken += len(octets)
        if self._taken > MOST:
            raise TooMuchError
        return octets

    async def write(self, octets: bytes) -> None:
        """Sends ``octets``."""
        self._writer.write(octets)
        async with asyncio.timeout(self._manners.allowance(self.patience)):
            await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        """Begins TLS as the client."""
        seconds = self._manners.allowance(self.patience)
        if seconds <= 0:
            raise TimeoutError
        async with asyncio.timeout(seconds):
            await self._writer.start_tls(
                context, server_hostname=server_hostname, ssl_handshake_timeout=seconds
            )

    async def close(self) -> None:
        """Ends the connection without waiting for the peer."""
        self._writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@asynccontextmanager
async def connected(
    address: str, port: int, manners: Manners, *, within: float = CONNECT, patience: float = PATIENCE
) -> AsyncIterator[Stream | Unknown | Closed]:
    """A connection that holds its place among those to ``address`` for as long as the block lasts. Raises
    OutOfTimeError where the look ended before a place was free."""
    async with manners.turn(address):
        found = await _connect(address, port, manners, within, patience)
        try:
            yield found
        finally:
            if isinstance(found, Stream):
                await found.close()


async def _connect(
    address: str, port: int, manners: Manners, within: float, patience: float
) -> Stream | Unknown | Closed:
    seconds = manners.allowance(within)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, port, limit=65536)
    except TimeoutError:
        return Unknown(Cause.TIMEOUT, f"no answer from {address} port {port} in {seconds:.0f} s")
    except ConnectionRefusedError:
        return Closed()
    except OSError as error:
        return Unknown(Cause.UNREACHABLE, f"{address} port {port}: {reason(error)}")
    return Stream(reader, writer, manners, patience)


def reason(error: OSError) -> str:
    """What the system says of ``error``, in its words, without numbers."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if error.errno in (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
        return "this machine has no way to that network"
    return (error.strerror or type(error).__name__).lower()
