"""One connection for one talk: moves its octets, begins TLS, and bounds how long and how much it listens."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address

from gambeson.guard.core.walk import (
    HEAR,
    Attempt,
    Login,
    Outcome,
    Path,
    Place,
    Reply,
    Say,
    Talk,
)
from gambeson.guard.core.walk_imap import imap
from gambeson.guard.core.walk_pop3 import pop3
from gambeson.guard.core.walk_sieve import sieve
from gambeson.guard.core.walk_smtp import smtp
from gambeson.guard.edge.tls import client_context
from gambeson.model.access import DoorKind

CONNECT_SECONDS, ANSWER_SECONDS, TALK_SECONDS = 5.0, 15.0, 40.0
MAX_LINE, MAX_OCTETS = 65536, 1 << 20

_TALKS: dict[DoorKind, Callable[[Attempt], Talk]] = {
    DoorKind.IMAP: imap,
    DoorKind.POP3: pop3,
    DoorKind.SUBMISSION: smtp,
    DoorKind.SIEVE: sieve,
}


def loopback(place: Place) -> bool:
    """Whether the place is on this machine by its address alone."""
    if place.unix or place.host == "localhost":
        return True
    try:
        return ip_address(place.host).is_loopback
    except ValueError:
        return False


def context(place: Place) -> ssl.SSLContext:
    """TLS as a client would do it. On this machine nobody is in between, so a certificate is not asked for; a
    pinned one is compared after the handshake. Raises OSError for a bad ``ca``."""
    return _context(place.ca, not loopback(place) and not place.pin)


@lru_cache(maxsize=64)
def _context(ca: str, verify: bool) -> ssl.SSLContext:
    if verify:
        return client_context(ca)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


async def converse(attempt: Attempt, source: str = "") -> Reply:
    """Try it. Raises nothing that a peer can cause. What is shown of the answer never holds the secret."""
    reply = await _converse(attempt, source)
    return replace(reply, said=blanked(reply.said, attempt.login))


def blanked(said: str, login: Login) -> str:
    """An answer without the secret, however the server repeats it: findings and reports are kept and passed on."""
    secret = login.secret
    if len(secret) < 4:
        return said
    plain = f"{login.authzid}\0{login.name}\0{secret}"
    forms = [b64encode(text.encode()).decode() for text in (plain, f"\0{login.name}\0{secret}", secret)]
    forms += [secret, secret.replace("\\", "\\\\").replace('"', '\\"')]
    for form in forms:
        # A cut may have left only the beginning of it.
        for length in (len(form), max(8, len(form) // 2)):
            said = said.replace(form[:length], "***")
    return said


async def _converse(attempt: Attempt, source: str) -> Reply:
    line = _Line(attempt.place, source)
    try:
        async with asyncio.timeout(TALK_SECONDS):
            try:
                await line.connect(attempt.path is Path.TLS)
            except ssl.SSLError as error:
                return Reply(Outcome.CANNOT_SAY, f"no TLS: {error.reason or error}"[:200])
            except (OSError, TimeoutError) as error:
                return Reply(Outcome.UNREACHABLE, _why(error))
            reply = await _talk(_TALKS[attempt.place.door](attempt), line)
    except TimeoutError:
        return Reply(Outcome.CANNOT_SAY, "it did not answer in time")
    finally:
        line.close()
    if line.late and reply.outcome is not Outcome.ENTERED:
        return Reply(Outcome.CANNOT_SAY, "it did not answer in time")
    if attempt.place.unix and not line.heard and reply.outcome is Outcome.CANNOT_SAY:
        return Reply(Outcome.REFUSED, "closed at once: it serves nobody but the doors")
    return reply


async def _talk(talk: Talk, line: _Line) -> Reply:
    given = b""
    try:
        step = next(talk)
        while True:
            match step:
                case Say(data):
                    await line.say(data)
                    given = b""
                case _ if step is HEAR:
                    given = await line.hear()
                case _:
                    given = await line.secure()
            step = talk.send(given)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return getattr(error, "strerror", "") or type(error).__name__


class _Line:
    """Octets in lines. ``late``: an answer was waited for in vain; ``heard``: anything came at all."""

    def __init__(self, place: Place, source: str) -> None:
        self._place, self._source = place, source
        self._kept = bytearray()
        self._octets = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.late = self.heard = False

    async def connect(self, tls: bool) -> None:
        place = self._place
        secure = context(place) if tls else None
        name = (place.server_name or place.host or "localhost") if tls else None
        async with asyncio.timeout(CONNECT_SECONDS):
            if place.unix:
                path = "\0" + place.unix[1:] if place.unix.startswith("@") else place.unix
                self._reader, self._writer = await asyncio.open_unix_connection(
                    path, ssl=secure, server_hostname=name, limit=MAX_LINE
                )
            else:
                local = (self._source, 0) if self._source else None
                self._reader, self._writer = await asyncio.open_connection(
                    place.host, place.port, ssl=secure, server_hostname=name, local_addr=local, limit=MAX_LINE
                )
        if tls:
            self._check_pin()

    async def say(self, data: bytes) -> None:
        assert self._writer is not None
        with suppress(OSError, ssl.SSLError):
            self._writer.write(data)
            await self._writer.drain()

    async def hear(self) -> bytes:
        """The next line; b"" where the connection ended, the line is too long, or nothing came in time."""
        assert self._reader is not None
        while b"\n" not in self._kept:
            if len(self._kept) > MAX_LINE or self._octets > MAX_OCTETS:
                return b""
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    more = await self._reader.read(MAX_LINE)
            except TimeoutError:
                self.late = True
                return b""
            except (OSError, ssl.SSLError):
                return b""
            if not more:
                return b""
            self.heard = True
            self._octets += len(more)
            self._kept += more
        end = self._kept.index(b"\n") + 1
        line = bytes(self._kept[:end])
        del self._kept[:end]
        return line

    async def secure(self) -> bytes:
        """Begin TLS; what came in plaintext behind the go-ahead is dropped."""
        assert self._writer is not None
        self._kept.clear()
        place = self._place
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._writer.start_tls(
                    context(place), server_hostname=place.server_name or place.host or "localhost"
                )
            self._check_pin()
        except (OSError, ssl.SSLError, TimeoutError):
            return b""
        return b"ok"

    def _check_pin(self) -> None:
        if not self._place.pin:
            return
        assert self._writer is not None
        shown = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        if sha256(shown).hexdigest() != self._place.pin:
            raise ConnectionError(0, "its certificate is not the pinned one")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
