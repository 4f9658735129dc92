"""Looks at one mail door: is it open, what does it offer before and after TLS, does STARTTLS keep commands apart.

One connection is for the dialogue; a second one tries STARTTLS with a harmless command behind it; further ones are
opened for the sweep of TLS versions and ciphers. Nobody signs in, nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gambeson.assess.core.doors import IMPLICIT, DoorFacts, NtlmFacts, Offer, PortState, Protocol, StartTls
from gambeson.assess.core.tls import TlsFacts
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.wire.probe import Aim, Offered, Probe, Seen
from gambeson.wire.probe_imap import ImapProbe
from gambeson.wire.probe_pop3 import Pop3Probe
from gambeson.wire.probe_sieve import SieveProbe
from gambeson.wire.probe_smtp import SmtpProbe, address_literal

from .door_talk import TALK, converse
from .manners import Manners, OutOfTimeError
from .stream import PATIENCE, Closed, Stream, connected
from .tls_exchange import Opener

Found = Stream | Unknown | Closed
Sweep = Callable[[Opener, str], Awaitable[TlsFacts]]

_DIALOGUES: dict[Protocol, type[Probe[Any]]] = {
    Protocol.SMTP: SmtpProbe,
    Protocol.SUBMISSION: SmtpProbe,
    Protocol.SUBMISSIONS: SmtpProbe,
    Protocol.IMAP: ImapProbe,
    Protocol.IMAPS: ImapProbe,
    Protocol.POP3: Pop3Probe,
    Protocol.POP3S: Pop3Probe,
    Protocol.SIEVE: SieveProbe,
}


@dataclass(frozen=True, slots=True)
class MailDoor:
    """One port to be looked at. ``patience`` is for one answer, ``talk`` for a dialogue; seconds."""

    host: str
    address: str
    port: int
    protocol: Protocol
    manners: Manners
    patience: float = PATIENCE
    talk: float = TALK

    @property
    def implicit(self) -> bool:
        """Whether it begins with TLS."""
        return self.protocol in IMPLICIT

    def connection(self) -> AbstractAsyncContextManager[Found]:
        """A fresh connection."""
        return connected(self.address, self.port, self.manners, patience=self.patience)

    def dialogue(self, stream: Stream, aim: Aim) -> Probe[Any]:
        """A dialogue for a connection to it."""
        name = address_literal(stream.local_address)
        return _DIALOGUES[self.protocol](aim, implicit=self.implicit, name=name)

    async def converse(self, stream: Stream, probe: Probe[Any]) -> Unknown | None:
        """See :func:`~gambeson.assess.edge.door_talk.converse`."""
        return await converse(stream, probe, self.host, self.manners, self.talk)

    @asynccontextmanager
    async def at_tls(self) -> AsyncIterator[Found]:
        """A fresh connection where TLS is to begin now: an ``Opener``."""
        async with self.connection() as found:
            if isinstance(found, Stream) and not self.implicit:
                probe = self.dialogue(found, Aim.TLS)
                unknown = await self.converse(found, probe)
                if not unknown and not probe.seen.began_tls:
                    unknown = Unknown(Cause.TLS_FAILED, "it does not begin TLS")
                yield unknown or found
            else:
                yield found


async def probe_door(
    host: str,
    address: str,
    port: int,
    protocol: Protocol,
    manners: Manners,
    tls: Sweep,
    *,
    patience: float = PATIENCE,
    talk: float = TALK,
) -> DoorFacts:
    """What is at ``port`` of ``address``, as far as it could be seen; ``protocol`` is one of mail's. ``tls`` sweeps
    the TLS of a door, given how to open a connection to it and the name to ask for. Raises OutOfTimeError where the
    look ended before the door was knocked at."""
    door = MailDoor(host, address, port, protocol, manners, patience, talk)
    async with door.connection() as found:
        if isinstance(found, Closed):
            return DoorFacts(host, address, port, protocol, PortState.CLOSED)
        if isinstance(found, Unknown):
            return DoorFacts(host, address, port, protocol, PortState.UNKNOWN, found)
        probe = door.dialogue(found, Aim.LOOK)
        unknown = await door.converse(found, probe)
    seen = probe.seen
    async with asyncio.TaskGroup() as group:
        # A port that begins with TLS is swept even where we could not come in: what it speaks may be too old for us.
        sweep = group.create_task(_swept(door, tls)) if door.implicit or seen.offers_tls else None
        tried = group.create_task(_injection(door)) if seen.offers_tls and seen.secured else None
    swept = sweep.result() if sweep else None
    injection = tried.result() if tried else None
    return _facts(door, seen, unknown, swept, injection)


def _facts(
    door: MailDoor, seen: Seen, unknown: Unknown | None, swept: TlsFacts | None, injection: bool | None
) -> DoorFacts:
    spoken = (seen.secured if door.implicit else seen.plain) is not None
    return DoorFacts(
        host=door.host,
        address=door.address,
        port=door.port,
        protocol=door.protocol,
        state=PortState.OPEN if spoken else PortState.UNKNOWN,
        unknown=unknown or (None if spoken else Unknown(Cause.MALFORMED, "it did not say what it offers")),
        banner=seen.banner,
        plain=_offer(seen.plain),
        starttls=_starttls(door, seen, swept),
        secured=_offer(seen.secured),
        tls=swept,
        ntlm=NtlmFacts.of(seen.challenge) if seen.challenge else None,
        identity=seen.identity,
        injection=injection,
        notes=tuple(seen.notes),
    )


def _starttls(door: MailDoor, seen: Seen, swept: TlsFacts | None) -> StartTls:
    if door.implicit:
        return StartTls.IMPLICIT
    if not seen.offers_tls:
        return StartTls.NOT_OFFERED
    # Where our own library could not come in, the sweep may have seen a version that it no longer has.
    came_about = seen.secured is not None or (swept is not None and bool(swept.accepted()))
    return StartTls.OFFERED if came_about else StartTls.FAILED


def _offer(offered: Offered | None) -> Offer | None:
    if offered is None:
        return None
    return Offer(offered.capabilities, offered.mechanisms, offered.password_command)


async def _swept(door: MailDoor, tls: Sweep) -> TlsFacts:
    try:
        return await tls(door.at_tls, door.host)
    except OutOfTimeError:
        return TlsFacts(unknown=Unknown(Cause.DEADLINE, "the look was over"))


async def _injection(door: MailDoor) -> bool | None:
    """Whether a command sent together with STARTTLS is obeyed inside TLS (CVE-2011-0411); None where that cannot be
    said."""
    try:
        async with door.connection() as found:
            if not isinstance(found, Stream):
                return None
            probe = door.dialogue(found, Aim.INJECTION)
            unknown = await door.converse(found, probe)
    except OutOfTimeError:
        return None
    seen = probe.seen
    if seen.obeyed is not None or unknown is None:
        return seen.obeyed
    if unknown.cause in (Cause.TIMEOUT, Cause.DEADLINE):
        return None
    # It ended the connection over it, or no TLS came about with it: so nothing was obeyed inside.
    return False if seen.began_tls or probe.asked in ("STARTTLS", "STLS") else None
