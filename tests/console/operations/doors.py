"""A worker for the console's tests, and the doors that it speaks for: the real channel, answers that a test chooses."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from console.lab import Lab
from gambeson.process.messages import PublishAsk, Published, WorkerRequest
from gambeson.process.packet import ANSWER, pair, receive_packet, seal_packet, send_packet
from gambeson.process.worker_client import AdminWorker


@contextmanager
def doors(lab: Lab, *missing: str, there: tuple[str, ...] = ("imap-1", "keeper")) -> Iterator[list[str]]:
    """While it lasts a worker answers: those ``there`` act on every change but the ``missing``. Gives what it was
    asked."""
    ours, theirs = pair()
    theirs.setblocking(True)
    asked: list[str] = []

    def serve() -> None:
        while (received := receive_packet(theirs)) is not None:
            for fd in received.fds:
                os.close(fd)
            envelope = received.envelope
            request = msgspec.msgpack.Decoder(WorkerRequest).decode(envelope.body)
            asked.append(type(request).__name__)
            assert isinstance(request, PublishAsk)
            acted = tuple(name for name in there if name not in missing)
            answer = Published(number=len(asked), acknowledged=acted, missing=missing)
            end = time.monotonic() + 5
            send_packet(theirs, seal_packet(ANSWER, envelope.sender, envelope.number, end, answer))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    before, lab.world.worker = lab.world.worker, AdminWorker(ours)
    try:
        yield asked
    finally:
        lab.world.worker = before
        ours.close()
        thread.join(5)
        theirs.close()
