"""The request log of the HTTPS door: each request once, with what became of it, and never at anybody's cost."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from typing import Any

import pytest

from gambeson.guard.core.web.verdict import Answer, Forward, Verdict, WebClient
from gambeson.guard.edge.web import request_log
from gambeson.model.event import REQUEST, Event
from gambeson.model.web import Product, WebRequest
from guard.edge.doors import run
from guard.edge.web.webdoors import HOST, WEB, Stage, access, stage, until

ALL = replace(WEB, request_log="all")


async def log(s: Stage, count: int) -> list[dict[str, Any]]:
    """What is in the log, when so many are."""
    await until(lambda: len(s.at.events(REQUEST)) >= count)
    return [told(event) for event in s.at.events(REQUEST)]


def told(event: Event) -> dict[str, Any]:
    return {
        **event.data,
        "account": event.account,
        "source": event.source,
        "organisation": event.organisation,
    }


def deny(request: WebRequest, client: WebClient) -> Verdict | None:
    return Answer(404, reason="never test") if request.canonical.startswith("/no") else None


def test_what_was_served_and_what_was_refused() -> None:
    async def main() -> None:
        s = await stage(deny, who=access(), web=ALL)
        browser = await s.browser()
        await browser.get(
            "/Owa/?q=1&code=c0de",
            "Cookie: sid=s3cret; b=c",
            "User-Agent: Mozilla",
            "Authorization: Basic s3cret",
        )
        await browser.get("/no/x", method="POST")
        first, second = await log(s, 2)
        assert (first["target"], first["path"], first["cookies"]) == (
            "/Owa/?q=1&code=***",
            "/owa/",
            ["sid", "b"],
        )
        assert (first["verdict"], first["status"], first["lane"]) == ("forwarded", 200, "web")
        assert (first["account"], first["claimed"]) == ("a1", "alice@example.org")
        assert (first["organisation"], first["product"], first["agent"]) == ("o1", "exchange", "Mozilla")
        assert (second["verdict"], second["status"], second["rule"]) == ("answered", 404, "never test")
        assert (second["account"], second["lane"], second["product"]) == ("", "never", "exchange")
        assert (second["method"], second["host"], second["source"]) == ("POST", HOST, "127.0.0.1")
        recorded = str(s.at.events(REQUEST))
        assert "s3cret" not in recorded
        assert "c0de" not in recorded
        (refused,) = s.at.events("door.web.refused")
        assert refused.data["logged"] is True
        await s.stop()

    run(main)


@pytest.mark.parametrize("kept", ["off", "refused"])
def test_nothing_is_logged_where_nobody_asked_for_it(kept: str) -> None:
    async def main() -> None:
        s = await stage(deny, who=access(), web=replace(WEB, request_log=kept))
        assert s.at.server.door.request_log is None
        browser = await s.browser()
        await browser.get("/a")
        await browser.get("/no/x?a=b&token=t", "User-Agent: scanner")
        await s.stop()
        assert s.at.events(REQUEST) == []
        (refused,) = s.at.events("door.web.refused")  # the refusal is a record of its own
        assert refused.data.get("query") == (None if kept == "off" else "a=b&token=***")
        assert "logged" not in refused.data

    run(main)


def test_a_head_that_is_refused_unread_is_there_with_its_first_line() -> None:
    async def main() -> None:
        s = await stage(web=ALL)
        browser = await s.browser()
        assert (await browser.get("/ecp/%252e%252e/y.js?password=p", method="POST")).status == 400
        (line,) = await log(s, 1)
        assert (line["method"], line["target"]) == ("POST", "/ecp/%252e%252e/y.js?password=***")
        assert (line["verdict"], line["status"], line["rule"]) == ("answered", 400, "path-double-encoded")
        other = await s.browser()
        await other.get(f"http://alice:s3cret@{HOST}/owa/")
        (_, line) = await log(s, 2)
        assert (line["target"], line["rule"]) == (f"http://{HOST}/owa/", "target-form")
        await s.stop()

    run(main)


def test_a_server_that_gives_no_answer_is_neither_yes_nor_no() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        browser = await s.browser()
        browser.send(f"GET /poll HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        writer = await s.peer.polls.get()
        writer.transport.abort()
        assert (await browser.reply()).status == 502
        leaving = await s.browser()
        leaving.send(f"GET /poll/2 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await s.peer.polls.get()
        leaving.close()
        first, second = await log(s, 2)
        assert (first["verdict"], first["status"], first["account"]) == ("sent", 502, "a1")
        assert (second["verdict"], second["status"], second["account"]) == ("sent", 0, "a1")
        await s.stop()

    run(main)


def test_a_server_that_is_not_there_was_not_reached() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        s.peer.stop()
        browser = await s.browser()
        assert (await browser.get("/a")).status == 502
        (line,) = await log(s, 1)
        assert (line["verdict"], line["rule"]) == ("answered", "upstream-unreachable")
        await s.stop()

    run(main)


def test_who_leaves_before_the_verdict_was_not_let_through() -> None:
    async def main() -> None:
        async def later() -> Verdict:
            await asyncio.sleep(20)
            raise AssertionError

        s = await stage(lambda request, client: later(), web=ALL)
        browser = await s.browser()
        browser.send(f"GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await until(lambda: bool(s.gate.seen))
        browser.close()
        (line,) = await log(s, 1)
        assert (line["verdict"], line["status"]) == ("left", 0)
        await s.stop()

    run(main)


def test_interim_answers_and_answers_in_parts_are_one_line() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        browser = await s.browser()
        await browser.get("/interim")
        await browser.get("/chunks/3")
        lines = await log(s, 2)
        assert [(line["path"], line["status"]) for line in lines] == [("/interim", 200), ("/chunks/3", 200)]
        await s.stop()

    run(main)


def test_a_websocket_is_logged_when_it_begins() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        browser = await s.browser()
        browser.send(
            f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert (await browser.head()).status == 101
        (line,) = await log(s, 1)
        assert (line["path"], line["verdict"], line["status"]) == ("/ws", "forwarded", 101)
        browser.close()
        await s.stop()
        assert len(s.at.events(REQUEST)) == 1

    run(main)


def test_the_portals_own_requests_are_not_logged() -> None:
    async def main() -> None:
        def portal(request: WebRequest, client: WebClient) -> Verdict | None:
            own = replace(s.gate.site, product=Product.PORTAL)
            return Forward(own, rule="portal") if request.canonical.startswith("/portal") else None

        s = await stage(portal, who=access(), web=ALL)
        browser = await s.browser()
        await browser.get("/portal/box/single-use")
        await browser.get("/a")
        assert [line["path"] for line in await log(s, 1)] == ["/a"]
        await s.stop()
        assert len(s.at.events(REQUEST)) == 1

    run(main)


def test_more_than_so_many_a_second_are_counted_and_told_in_one_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "_TELL_EVERY", 0.3)

    async def main() -> None:
        s = await stage(who=access(), web=replace(ALL, requests_logged=3))
        browser = await s.browser()
        await asyncio.sleep(1.1 - s.at.server.door.loop.time() % 1.0)  # a second has just begun
        for n in range(8):
            assert (await browser.get(f"/{n}")).status == 200
        await until(lambda: bool(s.at.events("door.web.requests.dropped")))
        logged = len(s.at.events(REQUEST))
        counts = sum(e.data["counts"]["too many"] for e in s.at.events("door.web.requests.dropped"))  # type: ignore[index]
        assert logged >= 3
        assert logged + counts == 8
        await s.stop()

    run(main)


def test_while_the_record_cannot_be_written_requests_are_served_and_not_logged() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        browser = await s.browser()
        await browser.get("/a")  # admitted, and recorded
        await log(s, 1)
        spool = s.at.server.door.recorder._spool
        write = spool._write  # type: ignore[attr-defined]

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "no space")

        spool._write = full  # type: ignore[attr-defined]
        spool.append("door.test", 1.0)  # the disk turns out to be full
        for n in range(5):
            assert (await browser.get(f"/{n}")).status == 200
        door = s.at.server.door
        assert door.request_log is not None
        await until(lambda: door.request_log._dropped["not writable"] == 5)  # type: ignore[union-attr]
        spool._write = write  # type: ignore[attr-defined]
        await browser.get("/b")
        assert [line["path"] for line in await log(s, 2)] == ["/a", "/b"]
        await s.stop()
        (dropped,) = s.at.events("door.web.requests.dropped")
        assert dropped.data["counts"] == {"not writable": 5}

    run(main)


def test_what_was_put_aside_is_written_when_the_door_stops() -> None:
    async def main() -> None:
        s = await stage(who=access(), web=ALL)
        browser = await s.browser()
        await browser.get("/last")
        await s.stop()
        assert [e.data["path"] for e in s.at.events(REQUEST)] == ["/last"]

    run(main)
