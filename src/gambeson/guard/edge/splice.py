"""Moving octets between client and mail server once both are signed in (IMAP, POP3, ManageSieve).

Reads of the whole process share one buffer. A peer that does not take what is written stops the reading of
the other side, so a session never holds more than about two write limits. A half-closed plaintext
connection stays half closed; TLS can't, so there an end ends both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gambeson.model.access import DoorKind

from .registry import Session
from .wheel import Wheel

_SHARED = bytearray(262144)
_VIEW = memoryview(_SHARED)

# What is said to a client that is being closed. POP3 has no unsolicited answer (RFC 1939 section 3): whatever
# is written would be taken for a part of a message or for the answer to the next command.
_GOODBYE = {
    DoorKind.IMAP: "* BYE {}\r\n",  # RFC 9051 section 7.1.5
    DoorKind.SIEVE: 'BYE "{}"\r\n',  # RFC 5804 section 1.2
}


_LINGER = 10.0  # seconds for what is written to leave after the other side is gone


def _later(delay: float, call: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay, call)


def bound(transport: asyncio.Transport, high: int) -> None:
    """Keep what waits in a transport, either way, under about ``high`` octets."""
    transport.set_write_buffer_limits(high, high // 4)
    # TLS transports also keep what was read while reading is paused; only they have this method.
    limit_reads = getattr(transport, "set_read_buffer_limits", None)
    if limit_reads is not None:
        limit_reads(high, high // 4)


class _Half(asyncio.BufferedProtocol):
    """One direction: reads from ``transport``, writes to the other half's."""

    __slots__ = ("ended", "other", "splice", "transport")

    other: _Half

    def __init__(self, splice: Splice, transport: asyncio.Transport) -> None:
        self.splice = splice
        self.transport = transport
        self.ended = False

    def get_buffer(self, sizehint: int) -> bytearray:
        return _SHARED

    def eof_received(self) -> bool:
        """The peer has finished sending."""
        self.ended = True
        other = self.other.transport
        if self.other.ended:
            return False
        if self.transport.get_extra_info("ssl_object") is None and other.can_write_eof():
            if not other.is_closing():
                other.write_eof()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.splice.lost(self)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer takes octets again."""
        other = self.other.transport
        if not other.is_closing():
            other.resume_reading()


class _ClientHalf(_Half):
    __slots__ = ()

    def buffer_updated(self, nbytes: int) -> None:
        splice = self.splice
        splice.session.up += nbytes
        splice.session.last = splice.wheel.now
        splice.server.transport.write(bytes(_VIEW[:nbytes]))


class _ServerHalf(_Half):
    __slots__ = ()

    def buffer_updated(self, nbytes: int) -> None:
        splice = self.splice
        splice.session.down += nbytes
        splice.session.last = splice.wheel.now
        data = bytes(_VIEW[:nbytes])
        splice.whole_line = data.endswith(b"\r\n")
        splice.client.transport.write(data)


class Splice:
    """A session's two halves. ``whole_line`` is whether the client has seen the end of a line last: only then,
    and with nothing waiting to be written, may a goodbye be added. It may still fall inside a literal whose
    last octets happen to be CRLF; the client then sees a literal that breaks off, as with any lost
    connection."""

    __slots__ = (
        "_farewell_after",
        "_gone",
        "_last_word",
        "client",
        "server",
        "session",
        "wheel",
        "whole_line",
    )

    def __init__(
        self,
        session: Session,
        client: asyncio.Transport,
        server: asyncio.Transport,
        wheel: Wheel,
        write_high: int,
        farewell_after: float,
    ) -> None:
        self.session = session
        self.wheel = wheel
        self.whole_line = True
        self._farewell_after = farewell_after
        self._gone = 0
        self._last_word: asyncio.TimerHandle | None = None
        self.client: _Half = _ClientHalf(self, client)
        self.server: _Half = _ServerHalf(self, server)
        self.client.other, self.server.other = self.server, self.client
        session.link = self
        for transport in (client, server):
            bound(transport, write_high)

    def begin(self, to_server: bytes, to_client: bytes) -> None:
        """Pass on what is already here, and let it flow."""
        client, server = self.client.transport, self.server.transport
        if to_client:
            self.session.down += len(to_client)
            self.whole_line = to_client.endswith(b"\r\n")
            client.write(to_client)
        if to_server:
            self.session.up += len(to_server)
            server.write(to_server)
        client.set_protocol(self.client)
        server.set_protocol(self.server)
        client.resume_reading()
        server.resume_reading()

    def lost(self, half: _Half) -> None:
        """One side is gone: what is written to the other still leaves, then it goes too."""
        self._gone += 1
        if self._gone == 1:
            self.session.reason = self.session.reason or (
                "client closed" if half is self.client else "server closed"
            )
            half.other.transport.close()
            if self._last_word is None:
                # A peer that does not read would keep its side open for ever.
                self._last_word = _later(_LINGER, half.other.transport.abort)
        else:
            if self._last_word is not None:
                self._last_word.cancel()
            self.session.closed("")

    def farewell(self, sentence: str) -> None:
        """Say goodbye where that can be done, and close."""
        client = self.client.transport
        self.server.transport.abort()
        goodbye = _GOODBYE.get(self.session.door)
        if goodbye and self.whole_line and not client.get_write_buffer_size() and not client.is_closing():
            client.write(goodbye.format(sentence).encode("ascii", "replace"))
        client.close()
        if self._last_word is None:
            self._last_word = _later(self._farewell_after, client.abort)

    def cut(self) -> None:
        """Close both sides at once."""
        self.server.transport.abort()
        self.client.transport.abort()
