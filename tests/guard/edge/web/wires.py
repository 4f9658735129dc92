"""A connection object of the HTTPS door without a loop or a network: transports are lists, time stands still.

Used by the tests that give it any octets, and by fuzzing.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict, WebClient
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.web.connection import Phase, WebConnection
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.guard.edge.web.refusals import Refusals
from gambeson.guard.edge.web.request_log import RequestLog
from gambeson.guard.edge.web.upstream import Upstream
from gambeson.model.web import WebRequest
from guard.edge.web.webdoors import HOST, HTTPS, site

__all__ = ["HTTPS", "Gate", "Loop", "Wire", "answer", "door", "feed"]

HERE = site(1)


class Wire:
    """A transport that keeps what is written and delivers nothing while reading is paused."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.paused = False
        self.closing = False

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes | bytearray | memoryview)
        self.out += data

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> object:
        return {"ssl_object": SimpleNamespace(getpeercert=lambda binary: b"", gambeson_sni=HOST)}.get(name)


class Loop:
    """Time stands still; what would be done later is done by the test."""

    def __init__(self) -> None:
        self.soon: list[tuple[Any, tuple[Any, ...]]] = []

    def time(self) -> float:
        return 1000.0

    def call_later(self, delay: float, call: Any, *args: Any) -> Any:
        self.soon.append((call, args))
        return SimpleNamespace(cancel=lambda: None)

    def call_soon(self, call: Any, *args: Any) -> None:
        self.soon.append((call, args))

    def create_task(self, work: Any) -> Any:
        work.close()
        return SimpleNamespace(cancel=lambda: None)


class Gate:
    def judge(self, request: WebRequest, client: WebClient) -> Verdict:
        if request.canonical.startswith("/no"):
            return Answer(403, reason="no")
        if request.canonical.startswith("/peek"):
            return Peek(10, lambda seen, whole: Answer(403) if b"bad" in seen else Forward(HERE))
        if request.canonical.startswith("/fails"):
            raise RuntimeError("boom")
        return Forward(HERE)


def door(loop: Loop) -> Door:
    events: list[str] = []
    wheel = SimpleNamespace(now=1000.0, put=lambda item, at: None, remove=lambda item: None)
    made = SimpleNamespace(
        loop=loop,
        wheel=wheel,
        settings=SimpleNamespace(
            web=WebLimits(), timeouts=SimpleNamespace(handshake=1.0, connect=1.0, shutdown=1.0, farewell=0.5),
            limits=SimpleNamespace(write_high=65536),
            portal_hosts=frozenset(),
        ),
        stopping=False,
        web=set(),
        web_hosts={HOST},
        gate=Gate(),
        index=SimpleNamespace(site_by_host={HOST: HERE}),
        recorder=SimpleNamespace(
            healthy=True,
            record=lambda kind, **data: bool(events.append(kind)) or True,
            record_at=lambda at, kind, **data: events.append(json.dumps(data)),
        ),
        web_refusals=Refusals(100),
        web_told={},
        admission=SimpleNamespace(left=lambda session: None),
        events=events,
    )  # fmt: skip
    made.request_log = RequestLog(cast(Door, made))
    return cast(Door, made)


def feed(connection: WebConnection, wire: Wire, loop: Loop, pieces: list[bytes], server: list[bytes]) -> None:
    """Give the client's pieces and, once a request is out, the server's."""
    answers = iter(server)
    ups: list[Wire] = []
    for piece in pieces:
        if connection.phase in (Phase.CLOSED, Phase.HANDED_OVER) or wire.closing:
            break
        if not wire.paused and piece:
            connection.data_received(piece)
        assert len(connection._kept) < 1 << 20
        assert len(connection._peeked) < 1 << 20
        if connection.phase is Phase.CONNECTING:
            relay = connection._relay
            assert relay is not None
            upstream = relay._upstream
            assert upstream is not None
            ups.append(Wire())
            upstream.connection_made(cast(asyncio.Transport, ups[-1]))
            relay._opening = None
            relay._send(upstream)
        while loop.soon:
            call, arguments = loop.soon.pop()
            call(*arguments)
        upstream = connection._relay._upstream if connection._relay is not None else None
        if upstream is not None and upstream.transport is not None:
            answer(upstream, next(answers, None))


def answer(upstream: Upstream, data: bytes | None) -> None:
    if data is None:
        upstream.connection_lost(None)
    elif data:
        upstream.data_received(data)
        assert len(upstream._kept) <= 1 << 18
