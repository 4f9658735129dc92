"""An answer that the verdict rewrites: kept until it is whole, within its limit, and never sent half or as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gambeson.guard.core.web.verdict import Forward, Headers, ResponseAction
from guard.edge.doors import doors, run
from guard.edge.web.webdoors import HTTPS, WEB, Browser, Reply, ToldGate, WebPeer, site, web_organisation

Rewrite = Callable[[int, Headers, bytes], bytes | None]


def rewriting(
    talk: Callable[[Browser, list[tuple[int, Headers, bytes]]], Awaitable[None]],
    rewrite: Rewrite = lambda status, headers, body: b"new " + body,
    limit: int = 1000,
) -> None:
    async def main() -> None:
        peer = WebPeer()
        behind = site(await peer.start())
        seen: list[tuple[int, Headers, bytes]] = []

        def told(status: int, headers: Headers, body: bytes) -> bytes | None:
            seen.append((status, headers, body))
            return rewrite(status, headers, body)

        action = ResponseAction(drop=("x-a",), set=(("x-b", "c"),))
        forward = Forward(behind, actions=(action,), rewrite=told, rewrite_limit=limit)
        at = await doors(web_organisation(behind), listeners=HTTPS, web=WEB)
        at.server.door.gate = ToldGate(behind, lambda request, client: forward)
        browser = await Browser.connect(at.ports["https"])
        try:
            async with asyncio.timeout(20):
                await talk(browser, seen)
        finally:
            browser.close()
            peer.stop()
            await at.server.stop()

    run(main)


def length(reply: Reply) -> int:
    return int(reply.header("content-length"))


@pytest.mark.parametrize("path", ["/plain", "/chunks/5", "/until-close"])
def test_a_new_body_goes_out_with_its_own_length_however_the_old_one_came(path: str) -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        reply = await browser.get(path)
        assert reply.status == 200
        assert reply.body == b"new " + seen[0][2]
        assert length(reply) == len(reply.body)
        assert reply.header("transfer-encoding") == ""
        assert reply.header("x-b") == "c"

    rewriting(talk)


def test_one_after_the_other_on_one_connection() -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        for number in range(3):
            assert (await browser.get(f"/{number}")).body.startswith(f"new GET /{number}".encode())
        assert (await browser.get("/x", method="POST", body=b"abc")).status == 200
        assert [status for status, _, _ in seen] == [200] * 4

    rewriting(talk)


@pytest.mark.parametrize("path", ["/big/1001", "/big/5000000", "/chunks/500"])
def test_more_than_the_limit_is_not_sent(path: str) -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        reply = await browser.get(path)
        assert reply.status == 502
        assert b"chunk" not in reply.body
        assert seen == []

    rewriting(talk)


def test_exactly_the_limit_is() -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        assert length(await browser.get("/big/1000")) == 1004

    rewriting(talk)


def fails(status: int, headers: Headers, body: bytes) -> bytes | None:
    raise RuntimeError("secret inside")


@pytest.mark.parametrize("rewrite", [lambda *_: None, fails])
def test_what_cannot_be_rewritten_is_answered_by_the_door(rewrite: Rewrite) -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        reply = await browser.get("/plain")
        assert reply.status == 502
        assert b"secret" not in reply.body
        assert b"GET /plain" not in reply.body
        assert len(seen) == 1

    rewriting(talk, rewrite)


def test_half_an_answer_is_none() -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        reply = await browser.get("/half")
        assert reply.status == 502
        assert seen == []

    rewriting(talk)


@pytest.mark.parametrize("path", ["/nothing", "/unmodified"])
def test_an_answer_without_a_body_stays_without(path: str) -> None:
    async def talk(browser: Browser, seen: list[tuple[int, Headers, bytes]]) -> None:
        reply = await browser.get(path)
        assert reply.status in (204, 304)
        assert reply.body == b""
        assert reply.header("x-a") == ""
        assert (await browser.get("/plain")).status == 200

    rewriting(talk)
