"""The event spool: a door writes, the worker reads, every event counts once.

A segment is a file of frames: ``0xE7 0x01``, length and CRC-32 of the payload (4 octets each,
big-endian), payload (msgpack of an Event). One ``write`` per frame: a killed writer leaves at most one
torn frame, at the very end, and its successor begins a new segment. On a full disk the writer keeps
what it could not write (``MAX_KEPT`` events; more are lost and counted), says so by ``healthy``, and
finishes a half-written frame before anything else, so that a segment never holds garbage in between.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from gambeson.model.event import Event

MARK = b"\xe7\x01"
FRAME = struct.Struct(">2sII")
MAX_PAYLOAD = 64 * 1024
MAX_KEPT = 1000  # the most events in flight: what a door holds while its disk is full
READ_SIZE = 1024 * 1024

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)


def frame(event: Event) -> bytes:
    """One frame. An event too long is cut down to what it is about: ``data`` says it was cut."""
    payload = _encoder.encode(event)
    if len(payload) > MAX_PAYLOAD:
        short = replace(event, data={"cut": len(payload)}, source=event.source[:256])
        payload = _encoder.encode(short)
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"event {event.kind!r} is too long for the record")
    return FRAME.pack(MARK, len(payload), zlib.crc32(payload)) + payload


class SpoolWriter:
    """Appends events to a segment. ``name`` is the process (``doors.1.0``), ``start`` distinguishes
    its lives; together with a counter they make the event ids. ``write`` is ``os.write``."""

    def __init__(self, name: str, start: int, write: Callable[[int, bytes], int] = os.write) -> None:
        self._prefix = f"{name}/{start:x}/"
        self._count = 0
        self._write = write
        self._fd = -1
        self._kept: deque[bytes] = deque()
        self._half = False  # the first of _kept is the rest of a frame whose beginning is on disk
        self._whole = b""  # that frame, whole
        self.lost = 0
        self.segment = ""
        self.problem = "no segment to write to yet"

    @property
    def healthy(self) -> bool:
        """True while events reach the disk. While false, nobody new may be let in."""
        return self._fd >= 0 and not self._kept

    def use(self, segment: str, fd: int) -> str:
        """Write to this segment from now on (the descriptor becomes ours); returns the name of the
        one before. A frame half written there is left torn and written whole in the new one."""
        before, old = self.segment, self._fd
        if self._kept and self._half:
            self._kept[0] = self._whole
        self._half = False
        self.segment, self._fd = segment, fd
        if old >= 0:
            os.close(old)
        self.retry()
        return before

    def append(
        self,
        kind: str,
        at: float,
        *,
        organisation: str = "",
        account: str = "",
        device: str = "",
        door: str = "",
        source: str = "",
        data: dict[str, object] | None = None,
    ) -> bool:
        """Record one event; true where it is on disk (in the kernel's hands), false where it is only
        in memory or lost. Never raises for a disk's sake."""
        self._count += 1
        event = Event(
            f"{self._prefix}{self._count:x}",
            at,
            kind,
            organisation,
            account,
            device,
            door,
            source,
            data or {},
        )
        if len(self._kept) >= MAX_KEPT:
            self.retry()
        if len(self._kept) >= MAX_KEPT:
            self.lost += 1
            return False
        self._kept.append(frame(event))
        return self.retry()

    def retry(self) -> bool:
        """Try to write what is kept. True where nothing is left."""
        if self._fd < 0:
            return False
        while self._kept:
            data = self._kept[0]
            if not self._half:
                self._whole = data
            try:
                written = self._write(self._fd, data)
            except OSError as error:
                self.problem = f"the event record cannot be written: {error.strerror}"
                return False
            if written < len(data):
                self._kept[0] = data[written:]
                self._half = self._half or written > 0
                continue
            self._half = False
            self._kept.popleft()
        self.problem = ""
        return True

    def close(self) -> None:
        """The last word. What is still kept is lost."""
        self.retry()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class Read:
    """What one look at a segment gave: ``events`` up to ``offset``. ``torn`` octets follow that are
    no whole frame yet; ``damaged`` says that what follows never will be one."""

    events: tuple[Event, ...]
    offset: int
    torn: int = 0
    damaged: bool = False


class SpoolReader:
    """Reads a segment from an offset on. Nothing is remembered here: the offset that belongs to the
    events is stored by the worker in the same transaction as the events."""

    def __init__(self, fd: int, offset: int = 0) -> None:
        self._fd = fd
        self.offset = offset

    def size(self) -> int:
        """The segment's length now."""
        return os.fstat(self._fd).st_size

    def read(self) -> Read:
        """Whole frames from ``offset`` on, at most about ``READ_SIZE`` octets. Does not advance."""
        data = os.pread(self._fd, READ_SIZE, self.offset)
        events: list[Event] = []
        place, damaged = 0, self.size() < self.offset
        while len(data) - place >= FRAME.size:
            mark, length, crc = FRAME.unpack_from(data, place)
            if mark != MARK or length > MAX_PAYLOAD:
                damaged = True
                break
            end = place + FRAME.size + length
            if end > len(data):
                break
            payload = data[place + FRAME.size : end]
            try:
                if zlib.crc32(payload) != crc:
                    raise ValueError
                events.append(_decoder.decode(payload))
            except (ValueError, msgspec.MsgspecError):
                damaged = True
                break
            place = end
        return Read(tuple(events), self.offset + place, max(0, self.size() - self.offset - place), damaged)

    def advance(self, read: Read) -> None:
        """The events of ``read`` are stored; go on behind them."""
        self.offset = read.offset

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
