"""One connection to a directory: TLS first, then one question at a time.

StartTLS is spoken on the bare socket, reading no octet more than its answer, and TLS begins on that socket: what
anybody slips in behind the answer meets the TLS handshake and ends it. Every wait is bounded by its caller
(``asyncio.timeout``); every failure is one :class:`LdapTrouble`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass

from .ber import BerError, complete
from .ldap_messages import (
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    Entry,
    Reference,
    Result,
    bind,
    decode,
    search,
    start_tls,
    unbind,
)

MAX_MESSAGE = 64 * 1024  # octets; we ask for names only
_MAX_MESSAGES = 64  # that answer one question
_CHUNK = 16 * 1024


class LdapTrouble(Exception):  # noqa: N818 - an outcome
    """The directory cannot be asked now. One sentence for the record, without secrets."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a directory listens. ``path`` (ldapi) or ``host`` and ``port``; ``tls``: from the first octet."""

    url: str
    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False


class LdapConnection:
    """An open connection. After any LdapTrouble or cancellation it must be closed and not used again."""

    def __init__(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.place = place
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._last = 1  # 1 was StartTLS's

    @classmethod
    async def open(cls, place: Place, context: ssl.SSLContext | None) -> LdapConnection:
        """Connect, and begin TLS where there is a ``context`` (by StartTLS unless ``place.tls``).

        Raises LdapTrouble.
        """
        try:
            connected = await _connect(place)
            try:
                if context is not None and not place.tls:
                    await _start_tls(connected)
                name = place.host if context is not None else None
                reader, writer = await asyncio.open_connection(
                    sock=connected, ssl=context, server_hostname=name, limit=MAX_MESSAGE
                )
            except BaseException:
                connected.close()
                raise
        except ssl.SSLCertVerificationError as error:
            raise LdapTrouble(f"the certificate of {place.url} is not good: {error.verify_message}") from None
        except (OSError, EOFError, BerError, UnicodeError) as error:
            raise LdapTrouble(f"{place.url} can't be reached: {_why(error)}") from None
        return cls(place, reader, writer)

    async def bind(self, dn: str, password: str) -> Result:
        """A simple bind; its result, good or not. Raises LdapTrouble, ValueError for an empty name or password."""
        number = self._next()
        await self._send(bind(number, dn, password))
        result = await self._answer(number)
        if not isinstance(result, Result) or not result.ends_bind:
            raise LdapTrouble(f"{self.place.url} answered a bind with something else")
        return result

    async def search(self, base: str, encoded_filter: bytes, limit: int, seconds: int) -> list[str]:
        """The names of what is found, ``limit`` at most. Raises LdapTrouble, also for any failure of the search."""
        number = self._next()
        await self._send(search(number, base, encoded_filter, limit, seconds))
        found: list[str] = []
        for _ in range(_MAX_MESSAGES):
            answer = await self._answer(number)
            if isinstance(answer, Entry):
                found.append(answer.dn)
            elif isinstance(answer, Result):
                if answer.ends_search and (
                    answer.code == SUCCESS or (answer.code == SIZE_LIMIT_EXCEEDED and len(found) >= limit)
                ):
                    return found
                raise LdapTrouble(
                    f"{self.place.url} refused the search (result {answer.code}: {answer.diagnostic[:120]!r})"
                )
        raise LdapTrouble(f"{self.place.url} answers a search without end")

    def close(self) -> None:
        """Say good-bye where that costs no waiting, and let go."""
        with contextlib.suppress(OSError, RuntimeError):
            if not self._writer.is_closing():
                self._writer.write(unbind(self._next()))
            self._writer.close()

    def abort(self) -> None:
        """Let go at once."""
        self._writer.transport.abort()

    def _next(self) -> int:
        self._last += 1
        return self._last

    async def _send(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise LdapTrouble(f"{self.place.url} broke the connection: {_why(error)}") from None

    async def _answer(self, number: int) -> Entry | Reference | Result:
        try:
            while not (size := complete(self._buffer, MAX_MESSAGE)):
                chunk = await self._reader.read(_CHUNK)
                if not chunk:
                    raise EOFError("it hung up")
                self._buffer += chunk
            message = decode(bytes(self._buffer[:size]))
            del self._buffer[:size]
        except (OSError, EOFError, BerError) as error:
            raise LdapTrouble(f"{self.place.url} broke the connection: {_why(error)}") from None
        if message.message != number:  # 0: the notice of disconnection (RFC 4511 section 4.4.1)
            raise LdapTrouble(f"{self.place.url} ends the connection, or answers what nobody asked")
        return message


async def _connect(place: Place) -> socket.socket:
    loop = asyncio.get_running_loop()
    if place.path:
        return await _connected(socket.AF_UNIX, place.path)
    found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("it has no address")
    for family, _, _, _, address in found[:4]:
        try:
            return await _connected(family, address)
        except OSError as error:
            failure = error
    raise failure


async def _connected(family: int, address: tuple[object, ...] | str) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


async def _start_tls(connected: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connected, start_tls(1))
    answer = bytearray()
    while not complete(answer, 4096):
        # Header first, then exactly the rest: whatever follows stays in the kernel for the TLS handshake.
        octet = await loop.sock_recv(connected, 1)
        if not octet:
            raise EOFError("it hung up")
        answer += octet
    result = decode(bytes(answer))
    if (
        not isinstance(result, Result)
        or not result.ends_extended
        or result.message != 1
        or result.code != SUCCESS
    ):
        raise EOFError("it does not begin TLS")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(
        error
    ).__name__
