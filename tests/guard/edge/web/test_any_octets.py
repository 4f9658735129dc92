"""A live connection object, whatever comes in whatever pieces: no exception, and little memory.

Transports are lists here: what is tested is the object, not the loop.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict, WebClient
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.web.connection import Phase, WebConnection
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.guard.edge.web.refusals import Refusals
from gambeson.guard.edge.web.upstream import Upstream
from gambeson.model.web import WebRequest
from guard.edge.web.webdoors import HOST, HTTPS, site

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
        ),
        stopping=False,
        web=set(),
        web_hosts={HOST},
        gate=Gate(),
        index=object(),
        recorder=SimpleNamespace(record=lambda kind, **data: bool(events.append(kind)) or True),
        web_refusals=Refusals(100),
        web_told={},
        admission=SimpleNamespace(left=lambda session: None),
        events=events,
    )  # fmt: skip
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
        assert sum(map(len, connection._peeked)) < 1 << 20
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


PARTS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"GET /a HTTP/1.1\r\nHost: mail.example.org\r\n\r\n",
            b"POST /a HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\n\r\n",
            b"POST /no HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\n\r\n",
            b"POST /peek HTTP/1.1\r\nHost: mail.example.org\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /peek HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
            b"GET /fails HTTP/1.1\r\nHost: mail.example.org\r\n\r\n",
            b"HEAD /a HTTP/1.0\r\nHost: mail.example.org\r\n\r\n",
            b"GET /ws HTTP/1.1\r\nHost: mail.example.org\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"hello",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"3\r\nbad\r\n",
            b"0\r\n\r\n",
            b"\r\n",
            b"GET ",
            b"X: " + b"y" * 20000 + b"\r\n",
        ]
    ),
)
ANSWERS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 204 No\r\n\r\n",
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n",
            b"",
        ]
    ),
)


@settings(max_examples=300)
@given(st.lists(PARTS, max_size=12), st.lists(ANSWERS, max_size=8), st.integers(1, 60))
def test_no_octets_break_a_connection(parts: list[bytes], server: list[bytes], size: int) -> None:
    octets = b"".join(parts)
    for pieces in (parts, [octets[at : at + size] for at in range(0, len(octets), size)]):
        loop, wire = Loop(), Wire()
        connection = WebConnection(door(loop), HTTPS[0], "192.0.2.1", 4711)
        connection.connection_made(cast(asyncio.Transport, wire))
        feed(connection, wire, loop, pieces, server)
        for late in (2000.0, 9000.0, 90000.0):
            connection.due(late)
        connection.connection_lost(None)
        assert connection.phase in (Phase.CLOSED, Phase.HANDED_OVER)
        assert connection not in connection.door.web
