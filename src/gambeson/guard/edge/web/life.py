"""The life of one client's HTTPS connection: TLS facts, time-outs, back-pressure, its end.

What is asked and answered on it is in ``asking`` and ``connection``, which build upon this.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from gambeson.guard.core.web.request_log import LEFT, SENT
from gambeson.guard.core.web.verdict import Forward, Peek, WebClient
from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.networks import own_address, prefix
from gambeson.guard.edge.registry import Session
from gambeson.guard.edge.splice import bound
from gambeson.guard.edge.tls import shown_in
from gambeson.wire.http_body import BodyReader
from gambeson.wire.http_head import RequestHead, RequestReader

if TYPE_CHECKING:
    from gambeson.guard.edge.door import Door

    from .relay import Relay

BUSY, FULL = 1, 2  # why nothing is read: a request is being served; the mail server does not take the body


class Phase(Enum):
    """Where a connection stands."""

    OPENING = auto()  # accepted; PROXY header or TLS under way
    HEAD = auto()  # a head comes, or nothing does
    JUDGING = auto()  # a verdict is being asked for, or waits to be sent
    PEEK = auto()  # the body's beginning comes, for a verdict
    CONNECTING = auto()  # the mail server's connection is opened
    BODY = auto()  # the request's body goes on to the mail server
    ANSWER = auto()  # the request is out, its answer comes
    LINGER = auto()  # the last answer is out; what still comes is thrown away
    CLOSING = auto()
    HANDED_OVER = auto()  # a splice has the transport
    CLOSED = auto()


OVER = (Phase.LINGER, Phase.CLOSING, Phase.CLOSED, Phase.HANDED_OVER)


SENT_ON = (Phase.BODY, Phase.ANSWER)  # the request's head is at the mail server


class Life(asyncio.Protocol, ABC):
    """See the module's docstring. ``source`` and ``port`` are the client's, never a proxy's. ``closes``: the
    connection ends with the answer that is under way."""

    __slots__ = (
        "_answered",
        "_arrived",
        "_asked",
        "_body",
        "_going",
        "_head",
        "_heard",
        "_holds",
        "_keep_until",
        "_kept",
        "_listener",
        "_noted",
        "_peek",
        "_peeked",
        "_pumping",
        "_reader",
        "_refusals",
        "_relay",
        "_requested",
        "_site",
        "_slow_since",
        "_spoken",
        "_task",
        "_timer",
        "_window",
        "certificate",
        "client",
        "closes",
        "deadline",
        "door",
        "fingerprint",
        "idle",
        "phase",
        "port",
        "session",
        "sni",
        "source",
        "source_prefix",
        "spoke",
        "tls",
        "transport",
    )

    def __init__(self, door: Door, listener: ListenerSettings, source: str, port: int) -> None:
        self.door = door
        self._listener = listener
        self.source = source
        self.source_prefix = prefix(source)
        self.port = port
        self.phase = Phase.OPENING
        self.transport: asyncio.Transport | None = None
        self.tls = False
        self.certificate = b""
        self.fingerprint = ""
        self.sni = ""
        self.spoke = 0
        self.session: Session | None = None
        self.client = WebClient(source, port)
        self.closes = False
        self.idle = 0.0  # how long the mail server may be silent on this request
        self.deadline = door.loop.time() + door.settings.timeouts.handshake + door.settings.web.head
        self._asked = self.deadline  # when the wheel comes by
        self._reader = RequestReader()
        self._kept = bytearray()  # what came and is not read yet
        self._head: RequestHead | None = None
        self._body: BodyReader | None = None
        self._requested = self._answered = True  # of the present request: all sent on; all answered
        self._spoken = False  # 100 Continue was sent
        self._arrived = 0.0
        self._heard = 0.0
        self._keep_until = 0.0  # without another request the connection ends then
        self._window = 0
        self._holds = 0
        self._slow_since = 0.0
        self._pumping = False
        self._peek: Peek | None = None
        self._peeked = bytearray()  # as few objects as a client's smallest records are many
        self._relay: Relay | None = None
        self._site = ""
        self._refusals = 0
        self._going: Forward | None = None  # the verdict by which the present request goes on
        self._noted = False  # the present request is in the request log
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def listener(self) -> ListenerSettings:
        """Where it came in."""
        return self._listener

    @property
    def disposable(self) -> bool:
        """Whether it may be dropped to make room for others: while the client is the one that is waited for, so that
        nobody holds a place by sending or taking an octet now and then."""
        if self.phase is Phase.ANSWER:
            return self.slow
        return self.phase not in (Phase.JUDGING, Phase.CONNECTING, Phase.HANDED_OVER, Phase.CLOSED)

    @property
    def slow(self) -> bool:
        """Whether the client does not take what is sent."""
        return bool(self._slow_since)

    @property
    def local(self) -> tuple[str, int]:
        """Our own address that the client came to; of a Unix socket the loopback address."""
        return own_address(self.transport)

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        # uvloop's TLS transports are no subclass of asyncio's, only like one.
        self.transport = transport = cast(asyncio.Transport, transport)
        if self.phase is Phase.CLOSED or self.door.stopping:
            transport.abort()
            return
        self.shape(transport)
        if not self._listener.edge:
            self.tls, self.certificate, self.fingerprint, self.sni = shown_in(transport)
        if not self.tls:
            self.drop("no TLS")
            return
        self.client = WebClient(self.source, self.port, self.sni, self.certificate, self.fingerprint)
        self.phase = Phase.HEAD
        self.door.web.add(self)
        self._arm(self.door.settings.web.head)

    def shape(self, transport: asyncio.Transport) -> None:
        """Keep what waits in a transport small."""
        bound(transport, self.door.settings.limits.write_high)

    def eof_received(self) -> bool:
        """The peer has finished sending: under TLS that ends both ways."""
        return False

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._slow_since = self.door.loop.time()
        if self._relay is not None:
            self._relay.pause()

    def resume_writing(self) -> None:
        """The client takes octets again."""
        self._slow_since = 0.0
        if self._relay is not None:
            self._relay.resume()
        if self.phase is Phase.HEAD:
            self._pump()
            self._listen()

    def _listen(self) -> None:
        """Read on, where a head may come."""
        if self._holds and self.phase is Phase.HEAD and not self._slow_since:
            self._free(BUSY)

    def write(self, data: bytes) -> None:
        """Octets for the client."""
        if self.transport is not None:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._over("client closed")

    @abstractmethod
    def _pump(self, head: bytes = b"") -> None:
        """Read the next head, if it is there and its turn has come."""

    @abstractmethod
    def _late(self, now: float) -> float:
        """The deadline has passed: act. Returns when to ask again, 0.0 for never."""

    def _note(self, verdict: str, status: int, rule: str) -> None:
        """Put the present request into the request log, where there is one and it is not there yet."""
        log = self.door.request_log
        if log is not None and self._head is not None and not self._noted:
            self._noted = True
            log.note(self._head.request, verdict, status, rule, self._going)

    # -- the end

    def _linger(self) -> None:
        """Read away what the client still sends for a moment, so that it can read our answer."""
        if self._relay is not None:
            self._relay.release()
        self.phase = Phase.LINGER
        self._window = len(self._kept)
        self._kept.clear()
        self._free(BUSY | FULL)
        self._arm(self.door.settings.web.linger)

    def _close(self) -> None:
        """Close when what was written has left."""
        transport = self.transport
        if self._relay is not None:
            self._relay.release()
        self._kept.clear()
        self.phase = Phase.CLOSING
        if transport is not None:
            self._free(BUSY | FULL)
            transport.close()
            self._arm(self.door.settings.web.stall)

    # -- time

    def _arm(self, seconds: float) -> None:
        self._due_at(self.door.loop.time() + seconds)

    def _due_at(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self._asked and self.phase is not Phase.OPENING:
            self._asked = deadline
            wheel = self.door.wheel
            wheel.remove(self)
            wheel.put(self, deadline)

    def due(self, now: float) -> float:
        """A time-out may have passed."""
        self._asked = 0.0  # the wheel puts it back by itself
        again = self.deadline if now < self.deadline else self._late(now)
        self._asked = again
        return again

    # -- the door's side

    def drain(self) -> None:
        """Nobody new is taken: a connection without a request in flight ends now, others after their answer."""
        if self.phase is Phase.HEAD and not self._kept:
            self._close()

    def shut_down(self, sentence: str) -> None:
        """Close soon, whatever is under way."""
        self.farewell(sentence)

    def farewell(self, sentence: str) -> None:
        """End the connection: HTTP has no goodbye, the next request will be judged anew."""
        transport = self.transport
        if transport is None:
            self.drop("shutting down")
            return
        self._close()
        self.door.cut_later(transport)

    def cut(self) -> None:
        """Close both sides at once."""
        self.drop("cut")

    def drop(self, reason: str) -> None:
        """Close at once, without a word."""
        transport = self.transport
        if transport is not None:
            transport.abort()
        self._over(reason)

    def _over(self, reason: str) -> None:
        """It is gone. Idempotent."""
        if self.phase in (Phase.CLOSED, Phase.HANDED_OVER):
            return
        self._note(SENT if self.phase in SENT_ON else LEFT, 0, reason)
        self.phase = Phase.CLOSED
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._relay is not None:
            self._relay.release()
        self._kept.clear()
        self._peeked = bytearray()
        door = self.door
        door.web.discard(self)
        session, self.session = self.session, None
        if session is not None:
            door.wheel.remove(self)
            session.closed(reason)
        else:
            door.admission.left(self)

    def _hold(self, why: int) -> None:
        if not self._holds and self.transport is not None:
            self.transport.pause_reading()
        self._holds |= why

    def _free(self, why: int) -> None:
        if self._holds:
            self._holds &= ~why
            if not self._holds and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()
