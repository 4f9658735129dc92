"""Asking the worker or the keeper from code that waits: the command line and the console.

Two ways in: a Unix socket in ``run/`` (the command line; the owner's own) or an inherited channel
(the console, whose calls take turns). Every call ends within its time-out.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import msgspec

from .channel import ChannelGone, open_answer
from .messages import Message
from .packet import ANSWER, REQUEST, PacketError, receive_packet, seal_packet, send_packet

T = TypeVar("T", bound=Message)


class NobodyThere(ChannelGone):
    """No supervisor holds the socket: nothing runs here. (Whoever runs and does not answer is only ChannelGone.)"""


class Caller:
    """Blocking requests to one peer. ``where`` is a socket's path or an inherited socket; ``name``
    stands in the sentences of errors. Safe to use from several threads."""

    def __init__(self, where: Path | socket.socket, name: str = "the peer") -> None:
        self._where = where
        self._name = name
        self._sender = secrets.randbits(62)
        self._number = 0
        self._turn = threading.Lock()

    def ask(self, message: Message, answers: type[T], timeout: float = 5.0) -> T:
        """The answer. Raises ChannelGone (not in time), its kind NobodyThere, and ChannelRefused."""
        deadline = time.monotonic() + timeout
        with self._turn, ExitStack() as stack:
            sock = self._where if isinstance(self._where, socket.socket) else self._connect(stack)
            self._number += 1
            data = seal_packet(REQUEST, self._sender, self._number, deadline, message)
            try:
                self._wait(sock, select.POLLOUT, deadline)
                send_packet(sock, data)
                raw = self._answer(sock, deadline)
            except TimeoutError:
                raise ChannelGone(f"{self._name} did not answer within {timeout:g} s") from None
            except OSError as error:
                raise ChannelGone(f"{self._name} broke off ({error.strerror or error})") from None
        return open_answer(raw, answers, self._name)

    def _connect(self, stack: ExitStack) -> socket.socket:
        assert isinstance(self._where, Path)
        sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        # The path may be longer than a socket address holds (108 octets): go through its folder.
        try:
            folder = os.open(self._where.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            sock.setblocking(False)  # a full queue of callers must not hold us: the peer may stand still
            sock.connect(f"/proc/self/fd/{folder}/{self._where.name}")
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyThere(
                f"{self._name} is not running here: {self._where}: {error.strerror}; start it with 'gambeson up'"
            ) from None
        except BlockingIOError:
            raise ChannelGone(
                f"{self._name} does not take our call; look at the log of 'gambeson up'"
            ) from None
        except OSError as error:
            raise ChannelGone(f"{self._name} cannot be reached at {self._where}: {error.strerror}") from None
        return sock

    def _answer(self, sock: socket.socket, deadline: float) -> msgspec.Raw:
        while True:
            self._wait(sock, select.POLLIN, deadline)
            try:
                received = receive_packet(sock)
            except (PacketError, BlockingIOError):
                continue
            if received is None:
                raise ConnectionResetError(0, "closed the connection")
            for fd in received.fds:
                os.close(fd)
            envelope = received.envelope
            if (envelope.kind, envelope.sender, envelope.number) == (ANSWER, self._sender, self._number):
                return envelope.body

    @staticmethod
    def _wait(sock: socket.socket, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(sock, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
