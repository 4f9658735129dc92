"""The mail server's side of one session: connect, verify, sign in.

One connection a client session. TLS is verified against the endpoint's pin (SHA-256 of the certificate),
its CA file, or the system's roots; nothing but a PROXY header is written before that. The first answer
behind the sign-in is kept until the splice takes over, and reading is paused so that it stays small.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.wire.dialogue import ClientDialogue, Close, Command, Failed, Ready, Send, StartTls
from gambeson.wire.limits import MAX_PENDING

from .direct_tls import DirectSSLObject
from .tls import fingerprint, peer_certificate
from .within import Within

_TOKEN_LIKE = re.compile(r"[A-Za-z0-9+/=_.-]{24,}")  # base64, base64url, a JSON Web Token


_START_TLS = StartTls()


class Unreachable(Exception):  # noqa: N818 - a state of the server, not of the code
    """No connection, or none that is who it should be. The next server may be tried."""


class SignInFailed(Exception):  # noqa: N818 - an outcome
    """The server answered, and we are not signed in. ``refused``: it called the credential bad; otherwise it
    asked to come later, broke off or spoke nonsense. ``text`` is the server's, for the record only; ``code`` is
    what the person should hear, as in :class:`~gambeson.wire.dialogue.Failed`."""

    def __init__(self, refused: bool, text: str, code: str = "") -> None:
        super().__init__(text)
        self.refused = refused
        self.text = text
        self.code = code


class UpstreamTrust:
    """TLS contexts by (CA file, pinned or not), made once. ``authorities`` maps paths of CA files to their PEM
    text, read before privileges were dropped; a path that is not among them is opened when first needed."""

    __slots__ = ("_authorities", "_contexts", "_roots")

    def __init__(
        self, roots: ssl.SSLContext | None = None, authorities: Mapping[str, str] | None = None
    ) -> None:
        self._authorities = authorities or {}
        self._roots = roots
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def prepare(self, endpoint: Endpoint) -> None:
        """Make the context now. Raises Unreachable when the CA file can't be read."""
        if endpoint.tls is not UpstreamTls.NONE:
            self.context(endpoint)

    def context(self, endpoint: Endpoint) -> ssl.SSLContext:
        """The context for an endpoint."""
        key = (endpoint.ca, bool(endpoint.pin))
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._make(endpoint)
        return context

    def _make(self, endpoint: Endpoint) -> ssl.SSLContext:
        if not endpoint.pin and not endpoint.ca and self._roots is not None:
            return self._roots
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslobject_class = DirectSSLObject
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        if endpoint.pin:
            # The pin names one certificate; names, dates and authorities add nothing to that.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            if endpoint.ca in self._authorities:
                context.load_verify_locations(cadata=self._authorities[endpoint.ca])
            elif endpoint.ca:
                context.load_verify_locations(endpoint.ca)
            else:
                context.load_default_certs()
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(f"the CA file {endpoint.ca} can't be read: {error}") from None
        return context


@dataclass(frozen=True, slots=True)
class Patience:
    """Time-outs of :func:`sign_in`, seconds."""

    connect: float
    sign_in: float
    shutdown: float


class UpstreamSide(asyncio.Protocol):
    """Runs a ClientDialogue over one connection; ``outcome`` ends with Ready or SignInFailed."""

    __slots__ = (
        "_buffer",
        "_dialogue",
        "_endpoint",
        "_held",
        "_patience",
        "_tls",
        "_upgrading",
        "outcome",
        "transport",
    )

    def __init__(
        self, dialogue: ClientDialogue, endpoint: Endpoint, trust: UpstreamTrust, patience: Patience
    ) -> None:
        self._dialogue: ClientDialogue | None = dialogue
        self._endpoint = endpoint
        self._patience = patience
        self._tls = trust.context(endpoint) if endpoint.tls is not UpstreamTls.NONE else None
        self._buffer = bytearray()
        self._upgrading: asyncio.Task[None] | None = None
        self._held = True  # what arrives is kept, not read: until verified, and while TLS begins
        self.transport: asyncio.Transport | None = None
        self.outcome: asyncio.Future[Ready] | None = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """The connection is verified: let the dialogue speak."""
        self._held = False
        if self._dialogue is not None:
            self._run(self._dialogue.start())
        self._read_kept()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        # uvloop's TLS transports are no subclass of asyncio's, only like one.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        if self._held or self._settled or self._dialogue is None:
            self._keep(data)
        else:
            self._run(self._dialogue.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._fail(False, "the mail server closed the connection")

    def hand_over(self) -> bytes:
        """What came behind the sign-in; from now on somebody else reads.

        We let go of everything, the credential first: uvloop's transport keeps the method that took its octets
        last, and so us, for as long as the session lasts.
        """
        self._dialogue = None
        self.outcome = None
        return self._take()

    @property
    def _settled(self) -> bool:
        return self.outcome is None or self.outcome.done()

    def _take(self) -> bytes:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def verify_pin(self) -> None:
        """Raises Unreachable when the certificate is not the pinned one."""
        if self._endpoint.pin and self._tls is not None and self.transport is not None:
            seen = fingerprint(peer_certificate(self.transport.get_extra_info("ssl_object")))
            wanted = self._endpoint.pin.lower().replace(":", "")
            if not hmac.compare_digest(seen, wanted):
                raise Unreachable("the mail server's certificate is not the pinned one")

    async def start_tls(self) -> None:
        """Begin TLS on the open connection. Raises OSError or Unreachable."""
        assert self.transport is not None
        assert self._tls is not None
        transport = await asyncio.get_running_loop().start_tls(
            self.transport,
            self,
            self._tls,
            server_hostname=server_hostname(self._endpoint),
            ssl_handshake_timeout=self._patience.connect,
            ssl_shutdown_timeout=self._patience.shutdown,
        )
        if transport is None:
            raise Unreachable("the mail server closed the connection while TLS began")
        self.transport = transport
        self.verify_pin()

    def _keep(self, data: bytes) -> None:
        if len(self._buffer) + len(data) > MAX_PENDING:
            self._fail(False, "the mail server sent too much at once")
            if self.transport is not None:
                self.transport.abort()
            return
        self._buffer += data

    def _fail(self, refused: bool, text: str, code: str = "") -> None:
        if self.outcome is not None and not self.outcome.done():
            # Servers like to repeat the command that they did not understand, credential and all.
            self.outcome.set_exception(SignInFailed(refused, _TOKEN_LIKE.sub("***", text)[:200], code))

    def _run(self, commands: list[Command]) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if _START_TLS in commands:
            self._held = True
            transport.pause_reading()
        for command in commands:
            match command:
                case Send(data):
                    transport.write(data)
                case StartTls():
                    self._upgrading = asyncio.get_running_loop().create_task(self._upgrade())
                case Ready():
                    transport.pause_reading()
                    if self.outcome is not None and not self.outcome.done():
                        self.outcome.set_result(command)
                case Failed(kind, text, code):
                    self._fail(kind == "refused", text, code)
                case Close(reason):
                    self._fail(False, reason)
                    transport.close()
                case _:
                    self._fail(False, "the dialogue asked for something that can't be done here")

    async def _upgrade(self) -> None:
        try:
            await self.start_tls()
        except (OSError, Unreachable) as error:
            self._fail(False, f"TLS with the mail server failed: {error}")
            if self.transport is not None:
                self.transport.abort()
            return
        self._held = False
        if self._dialogue is not None:
            self._run(self._dialogue.tls_started())
        self._read_kept()

    def _read_kept(self) -> None:
        if self._buffer and not self._held and not self._settled and self._dialogue is not None:
            self._run(self._dialogue.receive(self._take()))


def server_hostname(endpoint: Endpoint) -> str:
    """The name to check in the certificate (and to ask for by SNI)."""
    return endpoint.server_name or endpoint.host or "localhost"


async def sign_in(
    endpoint: Endpoint,
    dialogue: ClientDialogue,
    trust: UpstreamTrust,
    patience: Patience,
    header: bytes = b"",
) -> tuple[UpstreamSide, Ready]:
    """Connect to one endpoint and sign in there. ``header`` (a PROXY header) goes out first, in plaintext.

    Raises Unreachable (try another server) or SignInFailed.
    """
    side = UpstreamSide(dialogue, endpoint, trust, patience)
    outcome = side.outcome
    assert outcome is not None
    try:
        await _connect(side, endpoint, trust, patience, header)
    except TimeoutError:
        _cut(side)
        raise Unreachable(f"no connection within {patience.connect:g} seconds") from None
    except (OSError, ssl.SSLError) as error:
        _cut(side)
        raise Unreachable(str(error) or type(error).__name__) from None
    except BaseException:
        _cut(side)
        raise
    try:
        side.begin()
        with Within(asyncio.get_running_loop(), patience.sign_in):
            return side, await outcome
    except TimeoutError:
        _cut(side)
        raise SignInFailed(False, "the mail server took too long to sign us in") from None
    except BaseException:
        _cut(side)
        raise


async def _connect(
    side: UpstreamSide, endpoint: Endpoint, trust: UpstreamTrust, patience: Patience, header: bytes
) -> None:
    loop = asyncio.get_running_loop()
    implicit = endpoint.tls is UpstreamTls.IMPLICIT
    options: dict[str, object] = {}
    if implicit and not header:
        options = {
            "ssl": trust.context(endpoint),
            "server_hostname": server_hostname(endpoint),
            "ssl_handshake_timeout": patience.connect,
            "ssl_shutdown_timeout": patience.shutdown,
        }
    with Within(loop, patience.connect):
        if endpoint.unix:
            sock = await connect_unix(endpoint.unix)
            await loop.create_unix_connection(lambda: side, sock=sock, **options)  # type: ignore[arg-type]
        else:
            await loop.create_connection(lambda: side, endpoint.host, endpoint.port, **options)  # type: ignore[call-overload]
        if header:
            assert side.transport is not None
            side.transport.write(header)
            if implicit:
                await side.start_tls()
        if implicit:
            side.verify_pin()


async def connect_unix(path: str) -> socket.socket:
    """Connect to a Unix socket. A leading @ means Linux's abstract name space, as in systemd's and ss's notation,
    which uvloop's own way to connect does not know."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, "\0" + path[1:] if path.startswith("@") else path)
    except BaseException:
        sock.close()
        raise
    return sock


def _cut(side: UpstreamSide) -> None:
    if side.outcome is not None and side.outcome.done() and not side.outcome.cancelled():
        side.outcome.exception()  # seen: asyncio must not complain about it
    if side.transport is not None:
        side.transport.abort()
