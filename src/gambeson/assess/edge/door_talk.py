"""Holds one dialogue of a look on one connection, in bounded time, whatever the peer does.

TLS is taken as it comes here: any certificate, any version and any cipher that the library still has. What is said
inside is no secret, and who answers is judged elsewhere; a strict client would only see less.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from functools import cache
from typing import Any

from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.wire.dialogue import Close, Send, StartTls
from gambeson.wire.probe import Aim, Fault, Probe

from .manners import Manners
from .stream import Stream, TooMuchError, reason

TALK = 20.0  # seconds for a whole dialogue: a server that says an octet a second is waited for no longer
GOODBYE = 1.0  # seconds for the answer to QUIT
_LEGACY_SERVER = (
    0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python names from 3.12 on (servers of before RFC 5746)
)

_CAUSES = {
    Fault.MALFORMED: Cause.MALFORMED,
    Fault.TOO_LONG: Cause.TOO_LONG,
    Fault.BUSY: Cause.RATE_LIMITED,
    Fault.CLOSED: Cause.RATE_LIMITED,
    Fault.REFUSED: Cause.RATE_LIMITED,
}


class _NoTlsError(Exception):
    """No handshake came about."""


@cache
def any_tls() -> ssl.SSLContext:
    """A client's context that takes whatever it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():  # we know that old versions are bad: that is why they are looked for
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER
    return context


async def converse(
    stream: Stream, probe: Probe[Any], host: str, manners: Manners, seconds: float = TALK
) -> Unknown | None:
    """Carries ``probe`` through on ``stream``; why it did not come to its end, None where it did. With ``Aim.TLS`` the
    end is where TLS begins, and the stream is left there. ``host`` is the name asked for in TLS."""
    allowed = manners.allowance(seconds)
    try:
        async with asyncio.timeout(allowed):
            await _carry(stream, probe, host)
    except _NoTlsError as error:
        return Unknown(Cause.TLS_FAILED, str(error))
    except TimeoutError:
        return _late(stream, probe, manners)
    except TooMuchError:
        return Unknown(Cause.TOO_LONG, "it sends more than anybody needs to say")
    except OSError as error:
        return Unknown(
            Cause.RATE_LIMITED, f"the connection broke before {probe.asked} was answered: {reason(error)}"
        )
    trouble = probe.seen.trouble
    return Unknown(_CAUSES[trouble.fault], trouble.text) if trouble else None


def _late(stream: Stream, probe: Probe[Any], manners: Manners) -> Unknown:
    if not manners.left():
        return Unknown(Cause.DEADLINE, "the look was over")
    if probe.asked == "the greeting":
        return Unknown(Cause.TIMEOUT, "it takes the connection and sends no greeting in time")
    return Unknown(Cause.TIMEOUT, f"it does not answer {probe.asked} in time")


async def _carry(stream: Stream, probe: Probe[Any], host: str) -> None:
    if probe.implicit:
        await _begin_tls(stream, probe, host)
    commands = probe.start()
    while True:
        begin = False
        for command in commands:
            if isinstance(command, Send):
                await stream.write(command.data)
            elif isinstance(command, StartTls):
                begin = True
            elif isinstance(command, Close):
                if probe.seen.trouble is None:
                    await _goodbye(stream)
                return
        if begin:
            if probe.aim is Aim.TLS:
                return
            await _begin_tls(stream, probe, host)
            commands = probe.tls_started()
            continue
        octets = await stream.read()
        if not octets:
            probe.closed()
            return
        commands = probe.receive(octets)


async def _begin_tls(stream: Stream, probe: Probe[Any], host: str) -> None:
    """Raises TimeoutError, which says nothing of the server, or _NoTlsError."""
    asked, probe.asked = probe.asked, "our TLS handshake"
    try:
        await stream.start_tls(any_tls(), _sni(host))
    except TimeoutError:
        raise
    except OSError as error:
        if isinstance(error, ConnectionAbortedError) and error.errno is None:
            raise TimeoutError from None  # so asyncio says that the handshake takes too long
        why = "it closed the connection" if isinstance(error, ConnectionResetError) else reason(error)
        raise _NoTlsError(f"no TLS handshake came about: {why}") from None
    except ValueError:
        raise _NoTlsError("its name cannot be asked for in TLS") from None
    probe.asked = asked


def _sni(host: str) -> str | None:
    """The name, where it can stand in SNI (RFC 6066 section 3)."""
    try:
        host.encode("idna")
    except UnicodeError:
        return None
    return host or None


async def _goodbye(stream: Stream) -> None:
    """Waits a moment for the answer to QUIT, so that the peer has nothing to complain of in its log."""
    with contextlib.suppress(OSError, TooMuchError):
        async with asyncio.timeout(GOODBYE):
            await stream.read()
