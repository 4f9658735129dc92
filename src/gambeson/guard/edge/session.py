"""The client's side of one connection until it is signed in.

Runs a ServerDialogue: carries out its commands in order, begins TLS without the three traps of STARTTLS
(reading stops before the go-ahead is written; what arrives while TLS begins is kept until the new transport
is there, so that no answer leaves in plaintext; plaintext pipelined behind the command is dropped by the
dialogue), and asks the door to judge a login. One object a connection, a task only while TLS begins or
somebody signs in. The login deadline counts from accept and nothing a client sends extends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from gambeson.model.access import RawLogin
from gambeson.wire.dialogue import (
    Authenticate,
    Close,
    Command,
    Ready,
    Refusal,
    Send,
    ServerDialogue,
    StartTls,
)
from gambeson.wire.limits import MAX_PENDING

from .dialogues import client_id, helo, program, server_dialogue, set_external
from .door_settings import ListenerSettings
from .networks import own_address, prefix
from .splice import bound
from .tls import shown_in

if TYPE_CHECKING:
    from .door import Door


_START_TLS = StartTls()


class Phase(Enum):
    """Where a connection stands."""

    OPENING = auto()  # accepted; PROXY header or TLS under way
    TALKING = auto()
    UPGRADING = auto()  # STARTTLS
    SIGNING_IN = auto()  # a login is being judged and carried out
    HANDED_OVER = auto()  # signed in; splice or relay has the transport
    CLOSED = auto()


class ClientSession(asyncio.Protocol):
    """See the module's docstring. ``source`` and ``port`` are the client's, never a proxy's."""

    __slots__ = (
        "_buffer",
        "_dialogue",
        "_door",
        "_listener",
        "_task",
        "certificate",
        "deadline",
        "fingerprint",
        "id",
        "phase",
        "port",
        "sni",
        "source",
        "source_prefix",
        "spoke",
        "tls",
        "transport",
    )

    def __init__(self, door: Door, listener: ListenerSettings, source: str, port: int) -> None:
        self._door = door
        self._listener = listener
        self._dialogue: ServerDialogue | None = None
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self.deadline = door.loop.time() + door.settings.timeouts.login
        self.id = ""
        self.source = source
        self.source_prefix = prefix(source)
        self.port = port
        self.phase = Phase.OPENING
        self.transport: asyncio.Transport | None = None
        self.tls = False
        self.certificate = b""  # DER of the verified client certificate
        self.fingerprint = ""
        self.sni = ""
        self.spoke = 0

    @property
    def listener(self) -> ListenerSettings:
        """Where it came in."""
        return self._listener

    @property
    def disposable(self) -> bool:
        """Whether it may be dropped to make room for others: not while somebody is signing in."""
        return self.phase in (Phase.OPENING, Phase.TALKING, Phase.UPGRADING)

    @property
    def program(self) -> str:
        """What the client says it is."""
        return program(self._dialogue)

    @property
    def client_id(self) -> tuple[tuple[str, str], ...]:
        """What the client told of itself by IMAP's ID."""
        return client_id(self._dialogue)

    @property
    def helo(self) -> str:
        """What the client called itself in EHLO."""
        return helo(self._dialogue)

    @property
    def local(self) -> tuple[str, int]:
        """Our own address that the client came to; of a Unix socket the loopback address."""
        return own_address(self.transport)

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        # uvloop's TLS transports are no subclass of asyncio's, only like one.
        self.transport = transport = cast(asyncio.Transport, transport)
        if self.phase is Phase.CLOSED:
            transport.abort()
            return
        bound(transport, self._door.settings.limits.write_high)
        self._note_tls()
        self.phase = Phase.TALKING
        self._dialogue = server_dialogue(
            self._listener.kind,
            self._door.settings,
            tls=self.tls,
            external=bool(self.fingerprint),
            extensions=self._door.offers.extensions,
        )
        self._run(self._dialogue.start())

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        if self.phase is Phase.UPGRADING:
            if len(self._buffer) + len(data) > MAX_PENDING:
                self.drop("sent too much while TLS began")
            else:
                self._buffer += data
        elif self._dialogue is not None and self.phase in (Phase.TALKING, Phase.SIGNING_IN):
            self._run(self._dialogue.receive(data))

    def eof_received(self) -> bool:
        """The peer has finished sending."""
        return False

    def pause_writing(self) -> None:
        """The client does not take our answers: take none of its commands."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer takes octets again."""
        if self.transport is not None and self.phase is Phase.TALKING and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.finish("client closed")

    # -- the door's side

    def due(self, now: float) -> float:
        """The login deadline may have passed."""
        if now < self.deadline:
            return self.deadline
        if self._dialogue is not None and self.phase is Phase.TALKING:
            self._run(self._dialogue.shut_down("Signing in took too long; please connect again."))
        self.drop("login deadline")
        return 0.0

    def shut_down(self, sentence: str) -> None:
        """Say goodbye, as far as the protocol can here, and close."""
        if self._dialogue is not None and self.phase in (Phase.TALKING, Phase.SIGNING_IN):
            self._run(self._dialogue.shut_down(sentence))
            if self.transport is not None:
                self._close()
        else:
            self.drop("shutting down")

    def refuse(self, refusal: Refusal) -> None:
        """The answer to a login that failed; the client may try again while the dialogue lets it."""
        if self.phase is not Phase.SIGNING_IN or self._dialogue is None or self.transport is None:
            return
        self.phase = Phase.TALKING
        self._task = None
        self._run(self._dialogue.refused(refusal))
        # Another login may have been pipelined: then reading waits for that.
        if self.phase is Phase.TALKING and not self.transport.is_closing():
            self.transport.resume_reading()

    def hand_over(self, ready: Ready) -> tuple[asyncio.Transport, bytes, bytes] | None:
        """The login succeeded. Returns the transport, what the client must be told, and what it sent behind its
        login; None when it has left meanwhile. From now on the caller owns the transport."""
        transport = self.transport
        if self.phase is not Phase.SIGNING_IN or self._dialogue is None or transport is None:
            return None
        if transport.is_closing():
            return None
        answer = b"".join(c.data for c in self._dialogue.accepted(ready) if isinstance(c, Send))
        pending = self._dialogue.pending()
        self.phase = Phase.HANDED_OVER
        self._task = None
        self.transport = None
        self._dialogue = None
        self._door.admission.signed_in(self)
        return transport, answer + ready.leftover, pending

    def drop(self, reason: str) -> None:
        """Close at once, without a word."""
        transport = self.transport
        if transport is not None:
            transport.abort()
        self.finish(reason)

    def finish(self, reason: str) -> None:
        """It is over, before anybody signed in. Idempotent."""
        if self.phase in (Phase.CLOSED, Phase.HANDED_OVER):
            return
        self.phase = Phase.CLOSED
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._dialogue = None
        self._buffer.clear()
        self._door.admission.left(self)

    # -- carrying out

    def _run(self, commands: list[Command]) -> None:
        transport = self.transport
        if transport is None:
            return
        if _START_TLS in commands:
            transport.pause_reading()  # before the go-ahead is written: the ClientHello is not for the dialogue
        for command in commands:
            match command:
                case Send(data):
                    transport.write(data)
                case Authenticate(login):
                    self._sign_in(login)
                case StartTls():
                    self.phase = Phase.UPGRADING
                    self._start(self._upgrade())
                case Close():
                    self._close()
                    return
                case _:
                    self.drop("the dialogue asked for something that can't be done here")
                    return

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._door.loop.create_task(work)

    def _sign_in(self, login: RawLogin) -> None:
        assert self.transport is not None
        self.phase = Phase.SIGNING_IN
        self.id = self.id or self._door.recorder.session_id()
        self.transport.pause_reading()
        self._start(self._door.sign_in(self, login))

    def _close(self) -> None:
        """Close when what was written has left, and soon in any case."""
        transport = self.transport
        self.finish("closed")
        if transport is not None:
            transport.close()
            self._door.cut_later(transport)

    def _note_tls(self) -> None:
        if self._listener.edge:
            return  # the edge's header has told
        assert self.transport is not None
        self.tls, self.certificate, self.fingerprint, self.sni = shown_in(self.transport)

    async def _upgrade(self) -> None:
        door = self._door
        assert self.transport is not None
        assert door.settings.tls is not None
        timeouts = door.settings.timeouts
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self.transport,
                self,
                door.settings.tls.default,
                server_side=True,
                ssl_handshake_timeout=timeouts.handshake,
                ssl_shutdown_timeout=timeouts.shutdown,
            )
        except (OSError, RuntimeError):
            transport = None
        if transport is None or self._dialogue is None or self.phase is not Phase.UPGRADING:
            self.drop("TLS failed")
            return
        self.transport = transport
        self._task = None
        bound(transport, door.settings.limits.write_high)
        self._note_tls()
        set_external(self._dialogue, bool(self.fingerprint))
        self.phase = Phase.TALKING
        self._run(self._dialogue.tls_started())
        early = bytes(self._buffer)
        self._buffer.clear()
        if early and self._dialogue is not None:
            self._run(self._dialogue.receive(early))
