"""The requests of one attempt at a web door, each on a connection of its own, and their answers.

What is sent is sent as it stands: a target that no client library would let through is the point. How long and how much
is listened to is bounded. Cookies are kept from one request of an attempt to the next.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gambeson.guard.core.walk import Ask, Attempt, Kind, Outcome, Place, Reply, Role
from gambeson.guard.core.walk_http import MAX_BODY, Heard, judge
from gambeson.guard.edge.tls import client_context

from .connection import ANSWER_SECONDS, CONNECT_SECONDS, TALK_SECONDS, blanked, loopback

MAX_HEAD = 65536
_SHOWN = 200


class UnreachableError(Exception):
    """Nobody there."""


class NoTlsError(Exception):
    """The handshake failed."""


async def exchange(attempt: Attempt, source: str = "") -> Reply:
    """Try it. Raises nothing that a peer can cause. What is shown of the answer never holds the secret."""
    reply = await _exchange(attempt, source)
    return replace(reply, said=blanked(reply.said, attempt.login))


async def _exchange(attempt: Attempt, source: str) -> Reply:
    answers: list[Heard] = []
    jar: dict[str, str] = {}
    own = False
    try:
        async with asyncio.timeout(TALK_SECONDS):
            for ask in attempt.asks:
                heard, own = await one_answer(attempt, ask, jar, source)
                answers.append(heard)
                if not heard.status:
                    break
    except UnreachableError as error:
        return Reply(Outcome.UNREACHABLE, str(error))
    except NoTlsError as error:
        # A handshake that the door ends is a refusal, where the handshake was the attempt.
        if attempt.kind is Kind.HOST or attempt.asks[-1].certificate:
            return Reply(Outcome.REFUSED, str(error))
        return Reply(Outcome.CANNOT_SAY, str(error))
    except TimeoutError:
        return Reply(Outcome.CANNOT_SAY, "it did not answer in time")
    reply = judge(attempt, answers)
    if own and reply.outcome is Outcome.ENTERED and attempt.place.role is Role.UPSTREAM:
        # Whoever runs as the server's own user needs no door: that says nothing about anybody else.
        return Reply(
            Outcome.NOT_OFFERED,
            "the server runs as this very user; walk as another to see who else is let in",
        )
    return reply


async def one_answer(attempt: Attempt, ask: Ask, jar: dict[str, str], source: str = "") -> tuple[Heard, bool]:
    """The answer to one request, and whether a process of our own user gave it. Cookies come from the jar and go into
    it. Raises UnreachableError, NoTlsError, TimeoutError."""
    reader, writer = await _connect(attempt, ask, source)
    try:
        own = _own_process(writer) if attempt.place.unix else False
        with suppress(OSError, ssl.SSLError):
            writer.write(octets(ask, jar))
            await writer.drain()
        async with asyncio.timeout(ANSWER_SECONDS):
            heard = await _heard(reader)
    finally:
        writer.transport.abort()
    for name, value in heard.headers:
        if name == "set-cookie":
            key, _, content = value.partition(";")[0].partition("=")
            jar[key.strip()] = content.strip()
    return heard, own


async def _connect(
    attempt: Attempt, ask: Ask, source: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = attempt.place
    secure = context(attempt, ask) if ask.tls else None
    name = (ask.sni if place.role is Role.DOOR else place.server_name or place.host) if ask.tls else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if place.unix:
                path = "\0" + place.unix[1:] if place.unix.startswith("@") else place.unix
                return await asyncio.open_unix_connection(
                    path, ssl=secure, server_hostname=name, limit=MAX_HEAD
                )
            local = (source, 0) if source else None
            return await asyncio.open_connection(
                place.host, place.port, ssl=secure, server_hostname=name, local_addr=local, limit=MAX_HEAD
            )
    except ssl.SSLError as error:
        raise NoTlsError(f"no TLS: {error.reason or error}"[:_SHOWN]) from None
    except TimeoutError:
        raise UnreachableError("no connection in time") from None
    except ConnectionResetError:
        if ask.tls:
            raise NoTlsError("the handshake was cut off") from None
        raise UnreachableError("the connection was cut off") from None
    except OSError as error:
        raise UnreachableError(error.strerror or type(error).__name__) from None


def octets(ask: Ask, jar: dict[str, str]) -> bytes:
    """The request's octets (RFC 9112 section 3)."""
    lines = [f"{ask.method} {ask.target} HTTP/1.1"]
    lines += [f"host: {host}" for host in ask.host.split(",") if host]
    lines += [f"{name}: {value}" for name, value in ask.headers]
    if jar:
        lines.append("cookie: " + "; ".join(f"{name}={value}" for name, value in jar.items()))
    if ask.body or ask.method in ("POST", "PUT"):
        lines.append(f"content-length: {len(ask.body)}")
    lines += ["connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + ask.body


async def _heard(reader: asyncio.StreamReader) -> Heard:
    """One answer; what is no HTTP is none."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
        if raw.startswith(b"HTTP/1.1 1"):
            raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ssl.SSLError):
        return Heard(0, why="the connection was closed")
    line, *rest = raw.decode("latin-1").split("\r\n")[:-2]
    words = line.split(" ", 2)
    if (
        not words[0].startswith("HTTP/")
        or len(words) < 2
        or not words[1].isascii()
        or not words[1].isdecimal()
    ):
        return Heard(0, why="it does not speak HTTP")
    headers = tuple(
        (name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in rest)
    )
    found = Heard(int(words[1][:4]), headers)
    length = found.header("content-length")
    wanted = (
        min(int(length), MAX_BODY)
        if length.isascii() and length.isdecimal() and len(length) < 12
        else MAX_BODY
    )
    return replace(found, body=await _body(reader, wanted))


async def _body(reader: asyncio.StreamReader, wanted: int) -> bytes:
    octets = bytearray()
    while len(octets) < wanted:
        try:
            more = await reader.read(wanted - len(octets))
        except (OSError, ssl.SSLError):
            break
        if not more:
            break
        octets += more
    return bytes(octets)


def context(attempt: Attempt, ask: Ask) -> ssl.SSLContext:
    """TLS as a client would do it: the certificate is asked for everywhere but on this machine, or where the name in
    the handshake is the attempt. Raises OSError for a bad ``ca``."""
    place: Place = attempt.place
    verify = not loopback(place) and not place.pin and attempt.kind is not Kind.HOST and bool(ask.sni)
    if verify and not ask.certificate:
        return client_context(place.ca)
    made = client_context(place.ca) if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if ask.certificate:
        _present(made)
    return made


def _present(made: ssl.SSLContext) -> None:
    """A certificate of nobody's. OpenSSL reads it from a file only."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(_nobodys())
        file.flush()
        made.load_cert_chain(file.name)


def nobodys_certificate() -> str:
    """The certificate that the walk presents (PEM)."""
    text = _nobodys().decode()
    return text[text.index("-----BEGIN CERTIFICATE") :]


@cache
def _nobodys() -> bytes:
    """A self-made client certificate with its key, for one walk."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gambeson guard walk")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


def _own_process(writer: asyncio.StreamWriter) -> bool:
    """Whether the kernel says that our own user (and not root) is at the other end of a Unix socket."""
    sock = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid) == os.geteuid() != 0


__all__ = [
    "NoTlsError",
    "UnreachableError",
    "context",
    "exchange",
    "nobodys_certificate",
    "octets",
    "one_answer",
]
