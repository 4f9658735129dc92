"""A mail server that answers before it has read the body: the rest of the body must be nobody's next request.

Found by a reviewer, after the *early answer* requests that some web servers give (IIS among them): what such a server
takes the rest of the body for, nobody knows. So nothing further goes out on that connection.
"""

from __future__ import annotations

import asyncio

import pytest

from guard.edge.doors import run
from guard.edge.web.webdoors import access, site, stage, until


class Hasty:
    """Answers each head at once, and keeps the connection. ``heads`` are what it took for one, by connection."""

    def __init__(self, status: bytes) -> None:
        self.status = status
        self.heads: list[tuple[int, bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while line := (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]:
                self.heads.append((number, line))
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 1\r\n\r\n%d" % (self.status, number))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("status", "kept"), [(b"200 OK", True), (b"401 Unauthorized\r\nWWW-Authenticate: Negotiate", False)]
)
def test_nothing_goes_out_behind_a_body_that_was_answered_early(status: bytes, kept: bool) -> None:
    """Where the server signs in connections, its end is the client's too."""

    async def main() -> None:
        peer = Hasty(status)
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
        s = await stage(who=access())
        s.gate.site = site(server.sockets[0].getsockname()[1])
        browser = await s.browser()
        browser.send(b"POST /a HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 40\r\n\r\n" + b"x" * 8)
        assert (await browser.reply()).body == b"1"
        browser.send(b"y" * 32)
        if not kept:
            assert await browser.ended() == b""
            browser = await s.browser()
        assert (await browser.get("/b")).body == b"2"
        await until(lambda: len(peer.heads) == 2)
        assert peer.heads == [(1, b"POST /a HTTP/1.1"), (2, b"GET /b HTTP/1.1")]
        server.close()
        await s.stop()

    run(main)
