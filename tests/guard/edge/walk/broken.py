"""Small mail servers that are wrong on purpose, one flaw at a time: what the walk must find.

THEY ARE INSECURE BY DESIGN and exist only for these tests. Without a flaw they do what a door of ours does
(no sign-in before TLS, device secrets only), so that the same walk over them must find nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from base64 import b64decode, b64encode
from collections.abc import Generator
from functools import cache
from hashlib import md5

from gambeson.guard.core.walk_plan import Canary, Held
from gambeson.model import device_secret
from gambeson.model.access import DoorKind
from guard.edge.doors import pki

NAME, PASSWORD, FOREIGN = "canary@example.org", "sing a song", "somebody@example.org"


def secret(number: int) -> str:
    return device_secret.make(bytes([number]) * device_secret.ENTROPY_BYTES).text


GOOD, BLOCKED, LOST, QUARANTINED, REVOKED, EXPIRED, MADE_UP, IMAP_ONLY, SIEVE_ONLY = map(secret, range(1, 10))
STATES = {
    BLOCKED: "device-blocked",
    LOST: "device-lost",
    QUARANTINED: "device-quarantined",
    REVOKED: "credential-revoked",
    EXPIRED: "credential-expired",
    MADE_UP: "made-up-secret",
}
CANARY = Canary(
    NAME,
    PASSWORD,
    GOOD,
    (
        *(Held(rule, rule, text) for text, rule in STATES.items()),
        Held("its device secret under another's name", "another-account", GOOD, FOREIGN),
    ),
    ((DoorKind.IMAP, IMAP_ONLY), (DoorKind.SIEVE, SIEVE_ONLY)),
    FOREIGN,
)
Sasl = Generator[bytes, bytes, bool]


class Broken:
    """One listener. ``flaws`` are the rules of the findings, or words of :meth:`may` and the protocols below."""

    def __init__(self, door: DoorKind, *flaws: str, implicit: bool = False, name: str = NAME) -> None:
        self.door, self.flaws, self.implicit, self.name = door, set(flaws), implicit, name
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Broken:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._context() if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @staticmethod
    @cache
    def _context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*pki().door[:2])
        return made

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, self.implicit, "starttls-injection" in self.flaws, self._context())
        talk = {
            DoorKind.IMAP: self.imap,
            DoorKind.POP3: self.pop3,
            DoorKind.SUBMISSION: self.smtp,
            DoorKind.SIEVE: self.sieve,
        }[self.door]
        try:
            await talk(wire)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    # --- who may

    def may(self, tls: bool, mechanism: str, name: str, given: str, authzid: str = "") -> bool:
        flaws = self.flaws
        if not tls:
            if given == PASSWORD:
                return "password-without-tls" in flaws and name == self.name
            return given == GOOD and "secret-without-tls" in flaws
        if "any-password" in flaws and device_secret.parse(given) is None:
            return True
        if given == PASSWORD and name == self.name:
            if authzid not in ("", self.name):
                return "acts-as-another" in flaws
            return "password" in flaws or f"password {mechanism}" in flaws
        if given == GOOD:
            if authzid not in ("", self.name):
                return "acts-as-another" in flaws
            return name == self.name or "another-account" in flaws
        if given in (IMAP_ONLY, SIEVE_ONLY):
            right = DoorKind.IMAP if given == IMAP_ONLY else DoorKind.SIEVE
            return self.door is right or "door-not-allowed" in flaws
        state = STATES.get(given, "")
        return bool(state) and (state in flaws or f"{state} {mechanism}" in flaws)

    def sasl(self, mechanism: str, tls: bool) -> Sasl | None:
        """The server's half, or None where it is not offered. Mechanisms besides PLAIN and LOGIN are flaws."""
        if mechanism in ("PLAIN", "LOGIN"):
            return self._password_mechanism(mechanism, tls)
        if mechanism not in self.flaws:
            return None
        return self._cram(tls) if mechanism == "CRAM-MD5" else self._gullible(mechanism)

    def _password_mechanism(self, mechanism: str, tls: bool) -> Sasl:
        if mechanism == "PLAIN":
            authzid, name, given = (yield b"").decode().split("\0")
            return self.may(tls, mechanism, name, given, authzid)
        name = (yield b"Username:").decode()
        return self.may(tls, mechanism, name, (yield b"Password:").decode())

    def _cram(self, tls: bool) -> Sasl:
        name, _, digest = (yield b"<1.2@broken>").decode().rpartition(" ")
        right = hmac.new(PASSWORD.encode(), b"<1.2@broken>", "md5").hexdigest()
        return tls and name == self.name and digest == right

    def _gullible(self, mechanism: str) -> Sasl:
        """Believes whatever it is told."""
        yield b""
        if mechanism in ("NTLM", "GSSAPI"):
            yield b"and?"
        return True

    # --- the protocols

    async def imap(self, wire: Wire) -> None:
        await wire.say(b"* PREAUTH welcome\r\n" if "preauth" in self.flaws else b"* OK broken\r\n")
        while line := await wire.line():
            tag, verb, rest = (*line.decode().strip().split(None, 2), "", "")[:3]
            word, good = verb.upper(), False
            if word == "STARTTLS" and not wire.tls:
                await wire.start_tls(f"{tag} OK begin\r\n".encode())
                continue
            if word == "NOOP":
                good = True
            elif word == "SELECT":
                good = "no-login" in self.flaws
            elif word == "LOGIN":
                name, given = (part.strip('"') for part in rest.split('" "'))
                good = self.may(wire.tls, "LOGIN command", name, given)
            elif word == "AUTHENTICATE":
                good = await self._exchange(wire, rest, b"+ %s\r\n")
            await wire.say(f"{tag} {'OK done' if good else 'NO [AUTHENTICATIONFAILED] no'}\r\n".encode())

    async def pop3(self, wire: Wire) -> None:
        await wire.say(b"+OK broken <1.2@broken>\r\n")
        name = ""
        while line := await wire.line():
            verb, _, rest = line.decode().strip().partition(" ")
            good = False
            match verb.upper():
                case "STLS" if not wire.tls:
                    await wire.start_tls(b"+OK begin\r\n")
                    continue
                case "CAPA":
                    await wire.say(b"+OK\r\nUIDL\r\n.\r\n")
                    continue
                case "QUIT":
                    await wire.say(b"+OK bye\r\n")
                    return
                case "USER":
                    name, good = rest, True
                case "PASS":
                    good = self.may(wire.tls, "USER command", name, rest)
                case "APOP":
                    who, _, digest = rest.partition(" ")
                    right = md5(b"<1.2@broken>" + PASSWORD.encode()).hexdigest()
                    good = "APOP" in self.flaws and who == self.name and digest == right
                case "STAT":
                    good = "no-login" in self.flaws
                case "AUTH":
                    good = await self._exchange(wire, rest, b"+ %s\r\n")
            await wire.say(b"+OK done\r\n" if good else b"-ERR no\r\n")

    async def smtp(self, wire: Wire) -> None:
        await wire.say(b"220 broken ESMTP\r\n")
        signed_in = False
        while line := await wire.line():
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    await wire.say(b"250-broken\r\n250 STARTTLS\r\n")
                case "NOOP":
                    await wire.say(b"250 well\r\n")
                case "QUIT":
                    await wire.say(b"221 bye\r\n")
                    return
                case "STARTTLS" if not wire.tls:
                    await wire.start_tls(b"220 begin\r\n")
                case "AUTH":
                    signed_in = await self._exchange(wire, rest, b"334 %s\r\n")
                    await wire.say(b"235 in\r\n" if signed_in else b"535 no\r\n")
                case "MAIL":
                    own = f"<{self.name}>" in rest or "foreign-sender" in self.flaws
                    good = (signed_in and own) or "open-relay" in self.flaws
                    await wire.say(b"250 ok\r\n" if good else b"530 sign in\r\n")
                case "RCPT":
                    await wire.say(b"250 ok\r\n")
                case "DATA":
                    await wire.say(b"354 go on\r\n")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        if not (line := await wire.line()):
                            return
                        text += line
                    own = f"From: <{self.name}>".encode() in text or "foreign-header" in self.flaws
                    await wire.say(b"250 taken\r\n" if own else b"550 not yours\r\n")
                case _:
                    await wire.say(b"502 what\r\n")

    async def sieve(self, wire: Wire) -> None:
        await wire.say(b'"IMPLEMENTATION" "broken"\r\nOK\r\n')
        while line := await wire.line():
            verb, _, rest = line.decode().strip().partition(" ")
            good = False
            match verb.upper():
                case "STARTTLS" if not wire.tls:
                    await wire.start_tls(b"OK\r\n")
                    await wire.say(b'"IMPLEMENTATION" "broken"\r\nOK\r\n')
                    continue
                case "CAPABILITY":
                    good = True
                case "LOGOUT":
                    await wire.say(b"OK bye\r\n")
                    return
                case "LISTSCRIPTS":
                    good = "no-login" in self.flaws
                case "AUTHENTICATE":
                    good = await self._exchange(wire, rest.strip('"'), b'"%s"\r\n')
            await wire.say(b"OK\r\n" if good else b'NO "no"\r\n')

    async def _exchange(self, wire: Wire, mechanism: str, frame: bytes) -> bool:
        talk = self.sasl(mechanism.strip().upper(), wire.tls)
        if talk is None:
            return False
        challenge = next(talk)
        while True:
            await wire.say(frame % b64encode(challenge))
            answer = (await wire.line()).strip()
            try:
                challenge = talk.send(b64decode(answer.strip(b'"')))
            except StopIteration as end:
                return bool(end.value)
            except ValueError:
                return False


class Wire:
    """Lines over a connection that may become TLS. ``keeps``: what came before TLS is obeyed after it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: bool,
        keeps: bool,
        context: ssl.SSLContext,
    ) -> None:
        self._reader, self._writer, self.tls, self._keeps, self._context = reader, writer, tls, keeps, context
        self._kept = b""

    async def line(self) -> bytes:
        while b"\n" not in self._kept:
            more = await self._reader.read(65536)
            if not more:
                return b""
            self._kept += more
        line, _, self._kept = self._kept.partition(b"\n")
        return line + b"\n"

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def start_tls(self, go_ahead: bytes) -> None:
        if not self._keeps:
            self._kept = b""
        await self.say(go_ahead)
        await self._writer.start_tls(self._context)
        self.tls = True
