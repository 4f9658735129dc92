"""What a listener says before anybody signs in: greeting, offers before and under TLS, certificate; of a web server the
first line of its answer.

Used on our own doors and on the mail servers behind them. Never sends a name or a password. Bounded in time,
lines and octets.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from gambeson.guard.edge.tls import client_context
from gambeson.guard.edge.upstream import server_hostname
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.wire.proxyproto import build_v2

MAX_LINE, MAX_LINES = 8192, 200


class ProbeError(Exception):
    """It could not be talked to. One part of a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``before`` and ``after`` are the offers in capitals (``AUTH=PLAIN``, ``STARTTLS``, ``XCLIENT`` ...) before and
    under TLS; ``certificate`` its DER form; ``distrust`` why the certificate does not hold (empty: it does)."""

    greeting: str
    before: frozenset[str]
    after: frozenset[str]
    certificate: bytes = b""
    distrust: str = ""
    tls_version: str = ""

    @property
    def offers(self) -> frozenset[str]:
        """What counts: under TLS where there is TLS."""
        return self.after if self.certificate else self.before


def ask(endpoint: Endpoint, seconds: float = 5.0, authorities: str = "", name: str = "") -> Answer:
    """Talk to it. ``authorities``: a PEM file to trust besides ``endpoint.ca`` and, without both, the system's;
    ``name``: the name to ask for and to check (default: the endpoint's). Raises ProbeError."""
    wanted = name or server_hostname(endpoint)
    try:
        return _ask(endpoint, seconds, _verifying(endpoint, authorities), wanted)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or str(error)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(_why(error)) from None
    try:
        found = _ask(endpoint, seconds, _any(), wanted)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(_why(error)) from None
    return Answer(found.greeting, found.before, found.after, found.certificate, why, found.tls_version)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def _any() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _verifying(endpoint: Endpoint, authorities: str) -> ssl.SSLContext:
    if endpoint.pin:
        return _any()
    try:
        context = client_context(endpoint.ca)
        if authorities:
            context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(f"the authorities {endpoint.ca or authorities} cannot be read: {error}") from None
    return context


def _ask(endpoint: Endpoint, seconds: float, context: ssl.SSLContext, name: str) -> Answer:
    line = _Line(endpoint, seconds, name)
    try:
        talk = _TALKS.get(endpoint.door, _http)
        if endpoint.tls is UpstreamTls.IMPLICIT:
            line.start_tls(context, name)
            greeting, after = talk(line, True)
            return line.answer(endpoint, greeting, frozenset(), after)
        greeting, before = talk(line, True)
        if endpoint.tls is UpstreamTls.NONE:
            return Answer(greeting, before, before)
        if "STARTTLS" not in before:
            raise ProbeError("it does not offer STARTTLS")
        line.send(_STARTTLS[endpoint.door])
        reply = line.read()
        if not reply.upper().startswith(("B OK", "+OK", "220", "OK")):
            raise ProbeError(f"it refuses STARTTLS: {reply[:80]!r}")
        line.start_tls(context, name)
        _, after = talk(line, False)
        return line.answer(endpoint, greeting, before, after)
    finally:
        line.close()


class _Line:
    def __init__(self, endpoint: Endpoint, seconds: float, name: str) -> None:
        self.name = name
        self._end = time.monotonic() + seconds
        if endpoint.unix:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._sock.settimeout(seconds)
            path = "\0" + endpoint.unix[1:] if endpoint.unix.startswith("@") else endpoint.unix
            self._sock.connect(path)
        else:
            self._sock = socket.create_connection((endpoint.host, endpoint.port), seconds)
        if endpoint.proxy_v2:
            self._sock.sendall(build_v2("", 0, "", 0))
        self._buffer = b""
        self._lines = 0

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        if self._buffer:
            raise ProbeError("it sent more before TLS began")
        self._sock = context.wrap_socket(self._sock, server_hostname=name)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def read(self) -> str:
        """One line, without its end."""
        while b"\n" not in self._buffer:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            data = self._sock.recv(4096)
            if not data:
                raise ProbeError("it closed the connection")
            self._buffer += data
            if len(self._buffer) > MAX_LINE * 8:
                raise ProbeError("it says too much")
        self._lines += 1
        if self._lines > MAX_LINES:
            raise ProbeError("it says too much")
        text, _, self._buffer = self._buffer.partition(b"\n")
        return text[:MAX_LINE].decode("utf-8", "replace").rstrip("\r")

    def answer(
        self, endpoint: Endpoint, greeting: str, before: frozenset[str], after: frozenset[str]
    ) -> Answer:
        assert isinstance(self._sock, ssl.SSLSocket)
        certificate = self._sock.getpeercert(True) or b""
        distrust = ""
        if endpoint.pin and hashlib.sha256(certificate).hexdigest() != endpoint.pin.lower().replace(":", ""):
            distrust = "it is not the pinned one"
        return Answer(greeting, before, after, certificate, distrust, self._sock.version() or "")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()


def _imap(line: _Line, greet: bool) -> tuple[str, frozenset[str]]:
    greeting = line.read() if greet else ""
    if greet and not greeting.upper().startswith("* OK"):
        raise ProbeError(f"this is no IMAP greeting: {greeting[:80]!r}")
    line.send(b"a CAPABILITY\r\n")
    offers: set[str] = set()
    while not (text := line.read().upper()).startswith("A "):
        if text.startswith("* CAPABILITY "):
            offers |= set(text.split()[2:])
    return greeting, frozenset(offers)


def _pop3(line: _Line, greet: bool) -> tuple[str, frozenset[str]]:
    greeting = line.read() if greet else ""
    if greet and not greeting.upper().startswith("+OK"):
        raise ProbeError(f"this is no POP3 greeting: {greeting[:80]!r}")
    line.send(b"CAPA\r\n")
    offers: set[str] = set()
    if line.read().upper().startswith("+OK"):
        while (text := line.read().upper()) != ".":
            offers |= _words(text, "SASL")
    return greeting, frozenset("STARTTLS" if offer == "STLS" else offer for offer in offers)


def _smtp(line: _Line, greet: bool) -> tuple[str, frozenset[str]]:
    greeting = _reply(line)[0] if greet else ""
    if greet and not greeting.startswith("220"):
        raise ProbeError(f"this is no SMTP greeting: {greeting[:80]!r}")
    line.send(b"EHLO gambeson.invalid\r\n")
    lines = _reply(line)
    if not lines[0].startswith("250"):
        raise ProbeError(f"it refuses EHLO: {lines[0][:80]!r}")
    offers: set[str] = set()
    for text in lines[1:]:
        offers |= _words(text[4:].upper().replace("AUTH=", "AUTH "), "AUTH")
    return greeting, frozenset(offers)


def _reply(line: _Line) -> list[str]:
    lines = [line.read()]
    while lines[-1][3:4] == "-":
        lines.append(line.read())
    return lines


def _sieve(line: _Line, greet: bool) -> tuple[str, frozenset[str]]:
    # Before and after STARTTLS the server lists its capabilities by itself (RFC 5804 sections 1.7 and 2.2).
    greeting, offers = "", set()
    while not (text := line.read()).upper().startswith(("OK", "NO", "BYE")):
        greeting = greeting or text
        name, _, value = text.strip().partition(" ")
        offers |= _words(f"{name.strip(chr(34))} {value.strip(chr(34))}".upper(), "SASL")
    if not text.upper().startswith("OK"):
        raise ProbeError(f"it refuses us: {text[:80]!r}")
    return greeting, frozenset(offers)


def _http(line: _Line, greet: bool) -> tuple[str, frozenset[str]]:
    # HEAD changes nothing anywhere (RFC 9110 section 9.2.1). Any answer will do: a page may well be refused.
    line.send(f"HEAD / HTTP/1.1\r\nHost: {line.name}\r\nConnection: close\r\n\r\n".encode())
    status = line.read()
    if not status.startswith("HTTP/1."):
        raise ProbeError(f"this is no web server: {status[:80]!r}")
    return status, frozenset()


def _words(text: str, mechanisms: str) -> set[str]:
    words = text.split()
    if not words:
        return set()
    if words[0] == mechanisms:
        return {f"AUTH={word}" for word in words[1:]}
    return {words[0]}


_TALKS: dict[DoorKind, Callable[[_Line, bool], tuple[str, frozenset[str]]]] = {
    DoorKind.IMAP: _imap,
    DoorKind.POP3: _pop3,
    DoorKind.SUBMISSION: _smtp,
    DoorKind.SIEVE: _sieve,
}
_STARTTLS = {
    DoorKind.IMAP: b"b STARTTLS\r\n",
    DoorKind.POP3: b"STLS\r\n",
    DoorKind.SUBMISSION: b"STARTTLS\r\n",
    DoorKind.SIEVE: b"STARTTLS\r\n",
}
