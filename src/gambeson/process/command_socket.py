"""The Unix sockets in ``run/`` through which the command line reaches worker and keeper.

Mode 0600, and whoever connects must be root or the owner of the data (SO_PEERCRED, which the kernel
vouches for). Few connections at a time, each for a short while.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from .channel import Channel, Handler

MAX_CONNECTIONS = 32
MAX_SECONDS = 60.0


class CommandSocket:
    """Serves ``handler`` to every admitted connection of a listening SEQPACKET socket.
    ``owner`` is the numeric user id that may connect besides root."""

    def __init__(self, sock: socket.socket, owner: int, receives: Any, handler: Handler) -> None:
        self.refused = 0
        self._sock = sock
        self._sock.setblocking(False)
        self._owners = {0, owner}
        self._receives = receives
        self._handler = handler
        self._open: set[Channel] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        """Stop; the socket's file is the supervisor's to remove."""
        self._loop.remove_reader(self._sock.fileno())
        for channel in tuple(self._open):
            channel.close()
        self._open.clear()

    def _accept(self) -> None:
        try:
            peer, _ = self._sock.accept()
        except OSError:
            return
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, _ = struct.unpack("iII", credentials)
        if uid not in self._owners or len(self._open) >= MAX_CONNECTIONS:
            self.refused += 1
            peer.close()
            return
        channel = Channel(
            peer, self._receives, self._handler, take_fds=False, on_end=lambda: self._open.discard(channel)
        )
        self._open.add(channel)
        self._loop.call_later(MAX_SECONDS, self._expire, channel)

    def _expire(self, channel: Channel) -> None:
        self._open.discard(channel)
        channel.close()
