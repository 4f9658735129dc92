"""Clients that are slow, loud or silent."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gambeson.guard.edge.door_settings import DoorLimits
from gambeson.guard.edge.web.refusals import MAX_SOURCES, Refusals
from guard.edge.doors import run
from guard.edge.web.webdoors import WEB, access, deny, stage, until


def test_a_head_that_trickles_is_cut_off_in_time() -> None:
    async def main() -> None:
        s = await stage(web=replace(WEB, head=1.0))
        browser = await s.browser()
        began = asyncio.get_running_loop().time()
        browser.send(b"GET /a HTTP/1.1\r\nHost: mail.example.org\r\nX-A: ")
        seen = b""
        while not seen:
            browser.send(b"a")
            try:
                async with asyncio.timeout(0.2):
                    seen = await browser.reader.read(65536)
                    break
            except TimeoutError:
                assert asyncio.get_running_loop().time() - began < 8
        assert seen.startswith(b"HTTP/1.1 408 ")
        assert s.gate.seen == []
        await s.stop()

    run(main)


def test_who_says_nothing_is_closed() -> None:
    async def main() -> None:
        s = await stage(web=replace(WEB, head=1.0, keep_alive=1.0, keep_alive_unknown=1.0), who=access())
        silent, once = await s.browser(), await s.browser()
        await once.get("/a")
        assert await silent.ended() == b""
        assert await once.ended() == b""
        await until(lambda: bool(s.at.events("door.session.closed")))
        assert s.at.events("door.session.closed")[0].data["reason"] == "idle"
        await s.stop()

    run(main)


def test_a_body_that_trickles_is_cut_off() -> None:
    async def main() -> None:
        s = await stage(web=replace(WEB, body=1.0, body_least=4096))
        browser = await s.browser()
        browser.send(b"POST /a HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 1000000\r\n\r\n")

        async def trickle() -> None:
            while True:
                browser.send(b"x")
                await asyncio.sleep(0.1)

        task = asyncio.create_task(trickle())
        assert (await browser.reply()).status == 408
        task.cancel()
        await until(lambda: s.peer.open == 0)
        assert s.peer.seen == []
        await s.stop()

    run(main)


def test_floods_of_headers_are_refused_early() -> None:
    async def main() -> None:
        s = await stage()
        start = b"GET /a HTTP/1.1\r\nHost: mail.example.org\r\n"
        for flood, status in (
            (b"".join(b"X-%d: y\r\n" % n for n in range(100)), 431),
            (b"X: " + b"y" * 16384 + b"\r\n", 431),
            (b"X: " + b"y" * 70000, 431),
            (b"Cookie: " + b"a=b; " * 200 + b"\r\n", 431),
        ):
            browser = await s.browser()
            browser.send(start + flood + b"\r\n")
            assert (await browser.reply()).status == status
        browser = await s.browser()
        browser.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        assert (await browser.reply()).status == 414
        browser = await s.browser()
        browser.send(b"\r\n" * 30000)
        assert (await browser.reply()).status == 400
        assert s.gate.seen == []
        await s.stop()

    run(main)


def test_a_client_that_reads_no_answers_is_not_read_either() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        browser.reader._limit = 1024  # type: ignore[attr-defined]
        request = b"GET /no HTTP/1.1\r\nHost: mail.example.org\r\n\r\n" * 1000
        try:
            async with asyncio.timeout(2):
                for _ in range(1000):
                    browser.send(request)
                    await browser.writer.drain()
        except TimeoutError:
            pass
        connection = await s.connection()
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() < 2_000_000
        assert len(connection._kept) < 2_000_000
        await s.stop()

    run(main)


def test_refusals_of_one_connection_fill_no_disk() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        for _ in range(30):
            await browser.get("/no")
        assert len(s.at.events("door.web.refused")) == WEB.refusals
        await s.stop()

    run(main)


def test_a_flood_of_refusals_from_one_source_is_counted_not_written() -> None:
    refusals = Refusals(3)
    assert [refusals.recorded("192.0.2.1") for _ in range(5)] == [True, True, True, False, False]
    assert refusals.recorded("192.0.2.2")
    assert refusals.take() == {"192.0.2.1": 2}
    assert refusals.take() == {}
    assert all(refusals.recorded(f"a{n}") for n in range(MAX_SOURCES))
    assert [refusals.recorded(f"b{n}") for n in range(5)] == [True, True, True, False, False]


def test_connections_are_counted_like_those_of_mail() -> None:
    async def main() -> None:
        limits = DoorLimits(unauthenticated_per_source=3)
        s = await stage(limits=limits, who=access())
        first = await s.browser()
        await first.get("/a")  # admitted: no longer counted among the unknown
        others = [await s.browser() for _ in range(3)]
        await until(lambda: s.at.server.door.admission.unauthenticated == 3)
        try:
            await s.browser()
        except OSError:
            pass
        else:
            raise AssertionError("one too many came in")
        for one in others:
            one.close()
        await until(lambda: s.at.server.door.admission.unauthenticated == 0)
        assert s.at.server.door.admission.open == 1
        await s.stop()

    run(main)
