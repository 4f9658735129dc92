"""Channels between processes: requests, answers and notes over one inherited socket pair.

The supervisor keeps both ends open, so a channel outlives either process: whoever is started anew
inherits the same end. A peer's death is therefore no end of file; a caller learns of it by its own
time-out, and a request that waits in the socket is answered by the successor if there is still time.
Any octets a peer sends give a message or are thrown away and counted, never an exception here.
Plain asyncio calls only, so that it runs on uvloop too.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from .messages import Message, Refused
from .packet import (
    ANSWER,
    NOTE,
    REQUEST,
    Envelope,
    PacketError,
    Received,
    receive_packet,
    seal_packet,
    send_packet,
)

MAX_QUEUED = 1024  # packets waiting for a peer that does not read
MAX_WORKING = 512  # requests of one peer being worked on at a time
BURST = 64  # packets of one channel handled before the others get their turn

T = TypeVar("T", bound=Message)
Handler = Callable[[Any, tuple[int, ...]], "Message | Awaitable[Message | None] | None"]


class ChannelGone(ConnectionError):  # noqa: N818 - a state of the peer, not a fault of the caller
    """The peer does not answer: dead, hanging or flooded. Says which and after how long."""


class ChannelRefused(PermissionError):  # noqa: N818 - an answer
    """The peer answered Refused. ``reason`` is its stable word, ``sentence`` for a person."""

    def __init__(self, reason: str, sentence: str = "") -> None:
        super().__init__(sentence or reason)
        self.reason = reason
        self.sentence = sentence


@lru_cache(64)  # one for each type of answer; making it costs more than using it
def _decoder(answers: type[Message]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(answers | Refused)


def open_answer(raw: msgspec.Raw, answers: type[T], name: str) -> T:
    """The answer in ``raw``. Raises ChannelRefused, or ChannelGone where it is something else."""
    try:
        answer: T | Refused = _decoder(answers).decode(raw)
    except msgspec.MsgspecError:
        raise ChannelGone(f"{name} answered nonsense") from None
    if isinstance(answer, Refused):
        raise ChannelRefused(answer.reason, answer.sentence)
    return answer


class Channel:
    """One end of a channel.

    ``receives`` is the union of message types that this peer may send of its own accord; anything
    else is dropped. ``handler(message, fds)`` gives the answer to a request (or None for a note); it
    owns the descriptors. It may be plain or a coroutine. ``take_fds`` false: descriptors are
    refused. ``on_end`` is called once when the other side is closed for good.
    """

    def __init__(
        self,
        sock: socket.socket,
        receives: Any,
        handler: Handler,
        *,
        name: str = "",
        take_fds: bool = True,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.dropped = 0
        self._sock = sock
        self._sock.setblocking(False)
        self._decoder = msgspec.msgpack.Decoder(receives)
        self._handler = handler
        self._take_fds = take_fds
        self._on_end = on_end
        self._sender = secrets.randbits(62)
        self._next = 0
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._queue: deque[tuple[float, bytes, tuple[int, ...]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._loop.add_reader(sock.fileno(), self._readable)

    async def request(self, message: Message, answers: type[T], timeout: float = 2.0) -> T:  # noqa: ASYNC109 - it also travels
        """The peer's answer. Raises ChannelGone after ``timeout`` seconds, ChannelRefused where the
        peer refuses, and ChannelGone where it answers with something else."""
        deadline = time.monotonic() + timeout
        self._next += 1
        number = self._next
        future: asyncio.Future[msgspec.Raw] = self._loop.create_future()
        self._waiting[number] = future
        late = self._loop.call_later(timeout, self._late, future, timeout)
        try:
            self._send(seal_packet(REQUEST, self._sender, number, deadline, message), deadline)
            raw = await future
        finally:
            late.cancel()
            self._waiting.pop(number, None)
        return open_answer(raw, answers, self.name or "the peer")

    def send(self, message: Message, fds: Sequence[int] = (), keep: float = 60.0) -> None:
        """A note that nobody answers. The descriptors stay the caller's (they are duplicated).
        Raises ChannelGone where the peer has not read for so long that the queue is full."""
        self._send(seal_packet(NOTE, self._sender, 0, 0.0, message), time.monotonic() + keep, fds)

    def close(self) -> None:
        """Stop reading and writing; whoever waits is told that the peer is gone."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        for _, _, fds in self._queue:
            _close_all(fds)
        self._queue.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ChannelGone(f"{self.name or 'the peer'} is gone"))
        for task in self._tasks:
            task.cancel()
        self._sock.close()

    def _late(self, future: asyncio.Future[msgspec.Raw], timeout: float) -> None:
        if not future.done():
            gone = ChannelGone(f"{self.name or 'the peer'} did not answer within {timeout:g} s")
            future.set_exception(gone)

    def _send(self, data: bytes, keep_until: float, fds: Sequence[int] = ()) -> None:
        if self._closed:
            raise ChannelGone(f"{self.name or 'the peer'} is gone")
        if not self._queue:
            try:
                send_packet(self._sock, data, fds)
                return
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._writable)
            except OSError as error:
                raise ChannelGone(f"{self.name or 'the peer'} is gone ({error.strerror})") from None
        self._prune()
        if len(self._queue) >= MAX_QUEUED:
            raise ChannelGone(f"{self.name or 'the peer'} does not read its messages")
        self._queue.append((keep_until, data, tuple(os.dup(fd) for fd in fds)))

    def _prune(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0][0] < now:
            _close_all(self._queue.popleft()[2])

    def _writable(self) -> None:
        self._prune()
        while self._queue:
            _, data, fds = self._queue[0]
            try:
                send_packet(self._sock, data, fds)
            except BlockingIOError:
                return
            except OSError:
                self._end()
                return
            _close_all(fds)
            self._queue.popleft()
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        for _ in range(BURST):
            if self._closed:
                return
            try:
                received = receive_packet(self._sock, self._take_fds)
            except BlockingIOError:
                return
            except PacketError:
                self.dropped += 1
                continue
            except OSError:
                self._end()
                return
            if received is None:
                self._end()
                return
            self._take(received)

    def _end(self) -> None:
        self.close()
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()

    def _take(self, received: Received) -> None:
        envelope = received.envelope
        if envelope.kind == ANSWER:
            _close_all(received.fds)
            future = self._waiting.get(envelope.number) if envelope.sender == self._sender else None
            if future is not None and not future.done():
                future.set_result(envelope.body)
            return
        if envelope.kind not in (NOTE, REQUEST) or (
            envelope.kind == REQUEST and envelope.deadline < time.monotonic()
        ):
            self.dropped += 1
            _close_all(received.fds)
            return
        try:
            message = self._decoder.decode(envelope.body)
        except msgspec.MsgspecError:
            self.dropped += 1
            _close_all(received.fds)
            self._answer(envelope, Refused(reason="not-for-you"))
            return
        self._work(envelope, message, received.fds)

    def _work(self, envelope: Envelope, message: Message, fds: tuple[int, ...]) -> None:
        if len(self._tasks) >= MAX_WORKING:
            _close_all(fds)
            self._answer(envelope, Refused(reason="busy"))
            return
        try:
            result = self._handler(message, fds)
        except Exception as error:
            self._fault(envelope, error)
            return
        if inspect.isawaitable(result):
            task = self._loop.create_task(self._finish(envelope, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._answer(envelope, result)

    async def _finish(self, envelope: Envelope, result: Awaitable[Message | None]) -> None:
        try:
            answer = await result
        except Exception as error:
            self._fault(envelope, error)
            return
        self._answer(envelope, answer)

    def _fault(self, envelope: Envelope, error: Exception) -> None:
        """A fault of ours: the log gets the trace, the peer a word instead of silence."""
        context = {
            "message": f"a message on the channel to {self.name or 'a peer'} failed",
            "exception": error,
        }
        self._loop.call_exception_handler(context)
        self._answer(envelope, Refused(reason="fault"))

    def _answer(self, envelope: Envelope, answer: Message | None) -> None:
        if envelope.kind != REQUEST or answer is None or self._closed:
            return
        try:
            data = seal_packet(ANSWER, envelope.sender, envelope.number, 0.0, answer)
            self._send(data, envelope.deadline)
        except (ChannelGone, PacketError):
            self.dropped += 1


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
