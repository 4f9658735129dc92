"""A submission session after sign-in: the relay between client and mail server, and what it asks for.

Submission is never spliced: every octet goes through :class:`~gambeson.wire.smtp_relay.SmtpRelay`, which
asks for quota before a message and tells when one is through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gambeson.wire.dialogue import AskQuota, Close, MessageDone, RelayCommand, ToClient, ToServer
from gambeson.wire.smtp_relay import SmtpRelay

from .registry import Session
from .splice import bound
from .wheel import Wheel

_LINGER = 10.0  # seconds for what is written to leave


class _Side(asyncio.Protocol):
    """One of the two connections; hands everything to the relay."""

    __slots__ = ("relay", "transport")

    def __init__(self, relay: RelaySession, transport: asyncio.Transport) -> None:
        self.relay = relay
        self.transport = transport

    def eof_received(self) -> bool:
        return False


class _ClientSide(_Side):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self.relay.from_client(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.lost_client()

    def pause_writing(self) -> None:
        self.relay.server.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.relay.server.transport.is_closing():
            self.relay.server.transport.resume_reading()


class _ServerSide(_Side):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self.relay.from_server(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.lost_server()

    def pause_writing(self) -> None:
        self.relay.server_full(True)

    def resume_writing(self) -> None:
        self.relay.server_full(False)


class RelaySession:
    """Runs one relay over two transports. ``ask`` answers AskQuota with an empty string (granted) or a
    sentence; ``done`` is told of every message that came to an end."""

    __slots__ = (
        "_ask",
        "_client_gone",
        "_done",
        "_farewell_after",
        "_full",
        "_last_word",
        "_relay",
        "_server_gone",
        "_wheel",
        "client",
        "server",
        "session",
    )

    def __init__(
        self,
        session: Session,
        relay: SmtpRelay,
        client: asyncio.Transport,
        server: asyncio.Transport,
        *,
        ask: Callable[[Session, AskQuota], str],
        done: Callable[[Session, MessageDone], None],
        wheel: Wheel,
        write_high: int,
        farewell_after: float,
    ) -> None:
        self.session = session
        self.client = _ClientSide(self, client)
        self.server = _ServerSide(self, server)
        self._relay = relay
        self._ask = ask
        self._done = done
        self._wheel = wheel
        self._farewell_after = farewell_after
        self._full = False  # the mail server does not take what is written
        self._client_gone = False
        self._server_gone = False
        self._last_word: asyncio.TimerHandle | None = None
        session.link = self
        for transport in (client, server):
            bound(transport, write_high)

    def begin(self, to_server: bytes, to_client: bytes) -> None:
        """Tell the client that it is signed in, pass on what it pipelined, and let it flow."""
        client, server = self.client.transport, self.server.transport
        client.write(to_client)
        self.session.down += len(to_client)
        client.set_protocol(self.client)
        server.set_protocol(self.server)
        server.resume_reading()
        if to_server:
            self.from_client(to_server)
        self._reading()

    def from_client(self, data: bytes) -> None:
        """Octets from the client."""
        self.session.up += len(data)
        self.session.last = self._wheel.now
        self._run(self._relay.from_client(data))
        if self._relay.paused:
            self.client.transport.pause_reading()

    def from_server(self, data: bytes) -> None:
        """Octets from the mail server."""
        self.session.last = self._wheel.now
        self._run(self._relay.from_server(data))
        self._reading()

    def lost_client(self) -> None:
        """The client is gone; a complete message is still seen through to the server's answer."""
        self._client_gone = True
        self.session.reason = self.session.reason or "client closed"
        self._run(self._relay.client_closed())
        if not self._server_gone and self._last_word is None:
            self._later(
                _LINGER if self._relay.closed else self.session.idle_limit, self.server.transport.abort
            )
        self._settle()

    def lost_server(self) -> None:
        """The mail server is gone."""
        self._server_gone = True
        self.session.reason = self.session.reason or "server closed"
        self._run(self._relay.server_closed())
        self._settle()

    def server_full(self, full: bool) -> None:
        """The mail server's side is full, or has room again."""
        self._full = full
        if full:
            self.client.transport.pause_reading()
        else:
            self._reading()

    def farewell(self, sentence: str) -> None:
        """421 and close. A message under way is not finished: the mail server never sees its end."""
        self._run(self._relay.shut_down(sentence))
        self.server.transport.abort()
        self._close_client(self._farewell_after)

    def cut(self) -> None:
        """Close both sides at once."""
        self.server.transport.abort()
        self.client.transport.abort()

    def _reading(self) -> None:
        """Read from the client if both the relay and the mail server have room."""
        transport = self.client.transport
        if not self._full and not self._relay.paused and not transport.is_closing():
            transport.resume_reading()

    def _run(self, commands: list[RelayCommand]) -> None:
        waiting = list(commands)
        while waiting:
            command = waiting.pop(0)
            match command:
                case ToClient(data):
                    self.session.down += len(data)
                    if not self._client_gone:
                        self.client.transport.write(data)
                case ToServer(data):
                    if not self._server_gone:
                        self.server.transport.write(data)
                case AskQuota():
                    refused = self._ask(self.session, command)
                    answer = self._relay.quota_refused(refused) if refused else self._relay.quota_granted()
                    waiting.extend(answer)
                case MessageDone():
                    self._done(self.session, command)
                case Close(reason):
                    self.session.reason = self.session.reason or reason
                    self.server.transport.close()
                    self._close_client(_LINGER)

    def _close_client(self, within: float) -> None:
        self.client.transport.close()
        if not self._client_gone:
            self._later(within, self.cut)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        if self._last_word is not None:
            self._last_word.cancel()
        self._last_word = asyncio.get_running_loop().call_later(delay, call)

    def _settle(self) -> None:
        if self._client_gone and self._server_gone:
            if self._last_word is not None:
                self._last_word.cancel()
            self.session.closed("")
