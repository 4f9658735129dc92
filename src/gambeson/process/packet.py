"""Packets of a channel: how one message, its address and its descriptors become one SEQPACKET.

First octet 0: the envelope follows in the packet. First octet 1: it lies in a memory file whose
descriptor comes first among those passed (for bodies over ``MAX_INLINE``). The reader copies it out
once, within ``MAX_MESSAGE``, and takes only regular files, so that a hostile peer can neither change
it under us nor make us wait.
"""

from __future__ import annotations

import array
import os
import select
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from .messages import MAX_INLINE, MAX_MESSAGE, Message

NOTE, REQUEST, ANSWER = 0, 1, 2
MAX_FDS = 4


class PacketError(ValueError):
    """The peer sent something that is no packet. It was thrown away."""


class Envelope(msgspec.Struct, array_like=True, frozen=True):
    """``sender`` is drawn anew by every process that opens a channel and ``number`` counts its
    requests, so that an answer meant for a process that has since died is recognised and dropped.
    ``deadline`` is on CLOCK_MONOTONIC, which all processes share: nobody works for a caller that
    has given up."""

    kind: int
    sender: int
    number: int
    deadline: float
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Received:
    """One packet taken from the socket; ``fds`` belong to whoever takes it."""

    envelope: Envelope
    fds: tuple[int, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def seal_packet(kind: int, sender: int, number: int, deadline: float, message: Message) -> bytes:
    """The envelope's octets. Raises PacketError where they are over ``MAX_MESSAGE``."""
    body = msgspec.Raw(_encoder.encode(message))
    data = _encoder.encode(Envelope(kind, sender, number, deadline, body))
    if len(data) > MAX_MESSAGE:
        raise PacketError(f"a {type(message).__name__} of {len(data)} octets is too long to send")
    return data


def send_packet(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """One non-blocking (or, on a blocking socket, blocking) send. Raises OSError as ``sendmsg``."""
    if len(data) <= MAX_INLINE:
        _sendmsg(sock, b"\0" + data, fds)
        return
    spill = os.memfd_create("gambeson-message", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(spill, view) :]
        _sendmsg(sock, b"\1", (spill, *fds))
    finally:
        os.close(spill)


def _sendmsg(sock: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)


def receive_packet(sock: socket.socket, take_fds: bool = True) -> Received | None:
    """The next packet; None at the end (the other side is closed for good).

    Raises BlockingIOError where nothing is there, PacketError where the packet is thrown away.
    With ``take_fds`` false the kernel throws away whatever descriptors come along.
    """
    room = socket.CMSG_SPACE(4 * MAX_FDS) if take_fds else 0
    data, ancillary, flags, _ = sock.recvmsg(MAX_INLINE + 1, room, socket.MSG_CMSG_CLOEXEC)
    fds = _descriptors(ancillary)
    try:
        if not data:
            if _hung_up(sock):
                _close(fds)
                return None
            raise PacketError("an empty packet")
        if flags & socket.MSG_TRUNC or (take_fds and flags & socket.MSG_CTRUNC):
            raise PacketError("a packet with more than fits")
        if data[0] == 1:
            if not fds:
                raise PacketError("a memory file was announced and did not come")
            spill, *fds = fds
            try:
                body = _copy(spill)
            finally:
                os.close(spill)
        else:
            body = data[1:]
        return Received(_decoder.decode(body), tuple(fds))
    except msgspec.MsgspecError as error:
        _close(fds)
        raise PacketError(f"no envelope: {error}") from None
    except PacketError:
        _close(fds)
        raise


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            found.extend(numbers)
    return found


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def _copy(fd: int) -> bytes:
    """What a memory file holds, copied once."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_MESSAGE:
        raise PacketError("a memory file that is none, or is too long")
    parts = []
    offset = 0
    while offset < status.st_size:
        part = os.pread(fd, status.st_size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def pair() -> tuple[socket.socket, socket.socket]:
    """A new channel: two non-blocking ends."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.setblocking(False)
    other.setblocking(False)
    return one, other
