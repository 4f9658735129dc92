"""One connection, one question about TLS: a hello of our own and what comes back, or a whole handshake."""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.wire.tls_probe import (
    ENOUGH_RANDOM,
    Alert,
    HelloReader,
    NotTls,
    ServerHello,
    Ssl2Reader,
    client_hello,
    farewell,
    ssl2_hello,
)

from .manners import OutOfTimeError
from .stream import Closed, Stream, TooMuchError, reason

# Opens a connection on which TLS can begin at once: STARTTLS, where the door has it, is behind it. What it gives holds
# its place among the connections to the address, so nobody who holds one of those may wait for a probe.
Opener = Callable[[], AbstractAsyncContextManager[Stream | Unknown | Closed]]

REFUSED = Unknown(Cause.RATE_LIMITED, "it no longer takes connections")
_DER = 2  # _ssl.ENCODING_DER


class Ended(StrEnum):
    """The peer ended the connection without a word of TLS."""

    CLOSED = "closed the connection"
    RESET = "reset the connection"


_Answer = TypeVar("_Answer")
Answer = ServerHello | Alert | NotTls | Ended | Unknown


@dataclass(frozen=True, slots=True)
class Handshake:
    """A handshake that came about, with the usual library. ``version`` in its words (``TLSv1.3``), ``suite`` by number,
    ``chain`` in DER, the server's own first."""

    version: str
    suite: int
    chain: tuple[bytes, ...]


async def ask(opener: Opener, versions: Sequence[int], suites: Sequence[int], host: str) -> Answer:
    """The answer to a hello that offers ``suites`` in ``versions``. Raises nothing of what peers do."""
    hello = client_hello(versions, suites, host, os.urandom(ENOUGH_RANDOM))

    async def dialogue(stream: Stream) -> Answer:
        reader = HelloReader()
        try:
            async with asyncio.timeout(stream.patience):  # for all of it: the octets may come one by one
                await stream.write(hello)
                while reader.result is None:
                    octets = await stream.read()
                    if not octets:
                        return reader.end() or Ended.CLOSED
                    reader.feed(octets)
        except (TimeoutError, OSError, TooMuchError) as error:
            said = reader.end()
            return said if isinstance(said, ServerHello) else _failure(error, stream)
        if isinstance(reader.result, ServerHello):
            await _leave(stream, reader.result.version)
        return reader.result

    return await _over(opener, dialogue)


async def ask_ssl2(opener: Opener) -> bool | Unknown:
    """Whether the server still takes SSL 2.0."""

    async def dialogue(stream: Stream) -> bool | Unknown:
        reader = Ssl2Reader()
        try:
            async with asyncio.timeout(stream.patience):
                await stream.write(ssl2_hello(os.urandom(16)))
                while reader.taken is None:
                    octets = await stream.read()
                    if not octets:
                        return False
                    reader.feed(octets)
        except (TimeoutError, OSError, TooMuchError) as error:
            failure = _failure(error, stream)
            return failure if isinstance(failure, Unknown) else False
        return reader.taken

    return await _over(opener, dialogue)


async def shake(opener: Opener, host: str) -> Handshake | Unknown | None:
    """A whole handshake, as a program of today makes it, except that every certificate is taken: it is judged later.
    None where it fails: a hello of our own then tells how."""

    async def dialogue(stream: Stream) -> Handshake | None:
        try:
            await stream.start_tls(_any_certificate(), host or None)
        except (OSError, ValueError, TooMuchError):  # a ValueError: a host name that cannot be asked for
            return None
        layer = stream.tls
        return None if layer is None else Handshake(layer.version() or "", _number(layer), chain_of(layer))

    return await _over(opener, dialogue)


async def _over(opener: Opener, dialogue: Callable[[Stream], Awaitable[_Answer]]) -> _Answer | Unknown:
    try:
        async with opener() as found:
            match found:
                case Closed():
                    return REFUSED
                case Unknown():
                    return found
                case Stream():
                    return await dialogue(found)
    except OutOfTimeError:
        return Unknown(Cause.DEADLINE)


def _failure(error: Exception, stream: Stream) -> Ended | Unknown:
    if isinstance(error, TooMuchError):
        return Unknown(Cause.TOO_LONG, "the answer to a hello did not end")
    if isinstance(error, TimeoutError):
        return Unknown(Cause.TIMEOUT, f"no answer to a hello in {stream.patience:.0f} s")
    if isinstance(error, ConnectionError):
        return Ended.RESET
    return Unknown(Cause.UNREACHABLE, reason(error) if isinstance(error, OSError) else "")


async def _leave(stream: Stream, version: int) -> None:
    with suppress(TimeoutError, OSError):
        await stream.write(farewell(version))


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old servers and short keys too: they are measured here, nothing is confided to them.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def _number(layer: ssl.SSLObject) -> int:
    """The number of the suite in use; 0 where the library does not say."""
    cipher = layer.cipher()
    known = {entry["name"]: entry["id"] & 0xFFFF for entry in layer.context.get_ciphers()}
    return known.get(cipher[0], 0) if cipher else 0


def chain_of(layer: ssl.SSLObject) -> tuple[bytes, ...]:
    """Everything that the server sent. Python has a public way to it from 3.13 on; before, the object within has it."""
    if hasattr(layer, "get_unverified_chain"):
        return tuple(layer.get_unverified_chain())
    within = getattr(layer, "_sslobj", None)
    found = within.get_unverified_chain() if within is not None else None
    return tuple(certificate.public_bytes(_DER) for certificate in found or ())
