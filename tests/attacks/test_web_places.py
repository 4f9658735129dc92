"""Holding places at the web doors until nobody else gets one. Found by a reviewer.

A thousand idle connections, fifty an address, made the portal answer 503 to everybody, so nobody could sign in
anywhere. And connections that sent a body octet by octet could not be dropped for others, though nobody had signed in
on them.
"""

from __future__ import annotations

import asyncio

import pytest

from gambeson.guard.core.web.verdict import Forward, Peek, Verdict, WebClient
from gambeson.guard.edge.door_settings import DoorLimits
from gambeson.model.web import WebRequest
from gambeson.process.unix_http import UnixHttpServer
from guard.edge.doors import run
from guard.edge.web.webdoors import stage, until


def test_the_doors_alone_say_how_many_connections_the_portal_has() -> None:
    limits = DoorLimits()
    server = UnixHttpServer(lambda: None, ())
    most = server._config.limit_concurrency
    assert most is not None
    assert most > limits.sessions
    assert most > limits.unauthenticated


@pytest.mark.parametrize("path", ["/peek", "/portal"])
def test_who_sends_a_body_slowly_and_is_nobody_makes_room_for_others(path: str) -> None:
    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            forward = Forward(s.gate.site)
            return Peek(65536, lambda seen, whole: forward) if request.canonical == "/peek" else forward

        s = await stage(say, limits=DoorLimits(unauthenticated=4))
        held = [await s.browser() for _ in range(4)]
        for one in held:
            one.send(
                b"POST %b HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 60000\r\n\r\nx"
                % path.encode()
            )
        await until(lambda: len(s.gate.seen) == 4)
        await asyncio.sleep(4.2)  # they are no longer young
        for one in held:
            one.send(b"x")
        assert (await (await s.browser()).get("/a")).status == 200
        await s.stop()

    run(main)
