"""A live connection object, whatever comes in whatever pieces: no exception, and little memory.

Transports are lists here: what is tested is the object, not the loop.
"""

from __future__ import annotations

import asyncio
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.guard.edge.web.connection import Phase, WebConnection
from guard.edge.web.wires import HTTPS, Loop, Wire, door, feed

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
