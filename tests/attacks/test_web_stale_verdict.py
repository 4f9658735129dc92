"""What was admitted must still be: verdicts that were slow in coming, sessions that ended while something streamed.

Found by a reviewer. A request whose body the verdict wants to see keeps that verdict open for as long as its client
sends slowly, and a device that was revoked meanwhile had its request carried out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict, WebClient
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import WebRequest
from guard.edge.doors import run
from guard.edge.web.webdoors import Browser, access, stage, until, web_organisation

_POST = b"POST /ews HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize(
    "before", [False, True], ids=["a new connection", "one that somebody else is known on"]
)
@pytest.mark.parametrize("ended", [False, True], ids=["still there", "ended"])
def test_a_verdict_that_waited_for_a_body_is_none_for_a_session_that_ended(before: bool, ended: bool) -> None:
    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            if request.canonical != "/ews":
                return Forward(s.gate.site, access("bob@example.org"))
            forward = Forward(s.gate.site, access())  # judged before the body, as the rule for EWS is
            return Peek(65536, lambda seen, whole: forward)

        s = await stage(say)
        browser = await s.browser()
        if before:
            assert (await browser.get("/a")).status == 200
        reached = len(s.peer.seen)
        browser.send(_POST + b"<a/")
        await until(lambda: len(s.gate.seen) == 1 + before)
        over = ("session-of-a1",) if ended else ("session-of-somebody",)
        newer = replace(web_organisation(s.gate.site), number=2, ended_sessions=over)
        await s.at.server.apply_snapshot(SnapshotIndex(newer))
        browser.send(b">")
        assert (await browser.reply()).status == (403 if ended else 200)
        assert len(s.peer.seen) - reached == (not ended)
        await s.stop()

    run(main)


async def _websocket(browser: Browser) -> None:
    browser.send(
        b"GET /ws HTTP/1.1\r\nHost: mail.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await browser.head()).status == 101
    assert await browser.reader.readexactly(5) == b"first"


def test_a_websocket_does_not_outlive_the_session_that_opened_it() -> None:
    """A session ends after so many hours. What streams is judged by nothing else: no token is asked for any more."""

    async def main() -> None:
        ends = time.time() + 3600.0
        s = await stage(lambda request, client: Forward(s.gate.site, access(), until=ends))
        browser = await s.browser()
        await _websocket(browser)
        registry, index = s.at.server.door.registry, s.at.server.door.index
        assert index is not None
        assert await registry.judge_again(index, ends - 1.0, "") == 0
        assert await registry.judge_again(index, ends, "") == 1
        assert await browser.ended() in (b"", b"<reset>")
        await s.stop()

    run(main)


def test_a_body_in_octets_is_held_in_one_piece() -> None:
    """Each octet in a record of its own cost as much as all before it: 64 KiB of them, two thousand million steps."""

    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            return Peek(65536, lambda seen, whole: Forward(s.gate.site))

        s = await stage(say)
        browser = await s.browser()
        browser.send(b"POST /ews HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 65536\r\n\r\n")
        connection = await s.connection()
        await until(lambda: len(s.gate.seen) == 1)
        for _ in range(40):
            connection.data_received(b"x")
        held = connection._peeked
        assert isinstance(held, bytearray)
        assert bytes(held) == b"x" * 40
        browser.close()
        await asyncio.sleep(0)
        await s.stop()

    run(main)


def test_a_verdict_on_an_empty_body_leaves_nothing_behind() -> None:
    """The next request's wish to see its body was taken for a second wish of this one, and answered 500."""

    async def main() -> None:
        async def later(verdict: Verdict) -> Verdict:
            return verdict

        def say(request: WebRequest, client: WebClient) -> Verdict | Awaitable[Verdict]:
            if request.canonical == "/first":
                return Peek(8, lambda seen, whole: Answer(200))
            return later(Peek(8, lambda seen, whole: Forward(s.gate.site)))

        s = await stage(say)
        browser = await s.browser()
        assert (await browser.get("/first", method="POST")).status == 200
        assert (await browser.get("/second", method="POST", body=b"some")).status == 200
        await s.stop()

    run(main)
