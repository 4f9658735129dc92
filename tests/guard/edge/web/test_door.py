"""Conversations with the HTTPS door: requests, verdicts, bodies, answers."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import Answer, Forward, Peek, ResponseAction, Verdict, WebClient
from gambeson.model.web import WebRequest
from guard.edge.doors import pki, run
from guard.edge.web.webdoors import HOST, OTHER_HOST, access, deny, stage, until


def test_a_connection_is_kept_and_its_requests_share_one_upstream_connection() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        for n in range(5):
            reply = await browser.get(f"/a?n={n}")
            assert (reply.status, reply.text) == (200, f"GET /a?n={n} HTTP/1.1|0|1")
            assert reply.header("strict-transport-security")
        assert (s.peer.connections, len(s.gate.seen)) == (1, 5)
        browser.close()
        await until(lambda: s.peer.open == 0)
        await s.stop()

    run(main)


def test_what_concerns_the_door_alone_does_not_reach_the_mail_server() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        await browser.get(
            "/a",
            "X-Forwarded-For: 192.0.2.66",
            "X_Forwarded_For: 192.0.2.67",
            "X-Gambeson-Account: root",
            "X-Forwarded-Client-Cert: Hash=1",
            "Forwarded: for=192.0.2.68",
            "X-Real-IP: 192.0.2.69",
            "Connection: keep-alive, X-Odd",
            "X-Odd: dropped",
            "Keep-Alive: 5",
            "TE: trailers",
            "Upgrade: h2c",
            "Cookie: a=b; __Host-gambeson-session=t0ken; __HOST-Gambeson-Key=k; c=d",
            "Accept: */*",
        )
        (seen,) = s.peer.seen
        assert dict(seen.headers) == {
            "host": HOST,
            "accept": "*/*",
            "cookie": "a=b; c=d",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "https",
            "x-forwarded-host": HOST,
        }
        await s.stop()

    run(main)


def test_the_verdict_adds_headers_and_changes_the_answer() -> None:
    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            return Forward(
                s.gate.site,
                headers=(("X-Remote-User", "alice"), ("accept", "text/plain")),
                actions=(ResponseAction(set=(("x-frame-options", "DENY"),)),),
                cookies=("__Host-gambeson-session=new; Secure; HttpOnly; Path=/",),
            )

        s = await stage(say)
        browser = await s.browser()
        reply = await browser.get("/cookies", "Authorization: Basic eHl6", "Accept: x", "X-Remote-User: root")
        seen = dict(s.peer.seen[0].headers)
        assert (seen["x-remote-user"], seen["accept"]) == ("alice", "text/plain")
        assert "authorization" not in seen
        assert [v for n, v in reply.headers if n == "set-cookie"] == [
            "a=b; Path=/",
            "__Host-gambeson-session=new; Secure; HttpOnly; Path=/",
        ]
        assert reply.header("x-frame-options") == "DENY"
        assert reply.header("service-worker-allowed") == ""
        await s.stop()

    run(main)


@pytest.mark.parametrize("chunked", [False, True])
def test_100_mb_go_up_as_they_come(chunked: bool) -> None:
    async def main() -> None:
        s = await stage(who=access())
        browser = await s.browser()
        block, count = bytes(range(256)) * 256, 1600
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (len(block) * count)
        browser.send(b"POST /up HTTP/1.1\r\nHost: mail.example.org\r\n" + framing + b"\r\n\r\n")
        digest, most = hashlib.sha256(), 0
        connection = await s.connection()
        for n in range(count):
            browser.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            digest.update(block)
            await browser.writer.drain()
            if n == 10:
                await asyncio.wait_for(s.peer.body_started.wait(), 5)  # long before the last octet is sent
            relay = connection._relay
            upstream = relay._upstream.transport if relay and relay._upstream else None
            held = len(connection._kept) + (upstream.get_write_buffer_size() if upstream else 0)
            most = max(most, held)
        if chunked:
            browser.send(b"0\r\n\r\n")
        assert (await browser.reply()).status == 200
        assert (s.peer.seen[0].length, s.peer.seen[0].digest) == (len(block) * count, digest.hexdigest())
        assert most < 2_000_000
        await s.stop()

    run(main, 120)


def test_a_server_that_does_not_read_stops_the_client() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        browser.send(b"POST /slow HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 50000000\r\n\r\n")
        sent = 0
        block = bytes(65536)
        try:
            async with asyncio.timeout(2):
                while sent < 40_000_000:
                    browser.send(block)
                    await browser.writer.drain()
                    sent += len(block)
        except TimeoutError:
            pass
        assert sent < 30_000_000, "everything was taken from the client though the server reads nothing"
        connection = await s.connection()
        upstream = connection._relay._upstream.transport  # type: ignore[union-attr]
        assert len(connection._kept) + upstream.get_write_buffer_size() < 2_000_000  # type: ignore[union-attr]
        s.peer.slow.set()
        await s.stop()

    run(main)


def test_100_mb_come_down_and_a_slow_client_is_waited_for() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        size = 104857600
        browser.send(b"GET /big/%d HTTP/1.1\r\nHost: mail.example.org\r\n\r\n" % size)
        head = await browser.head()
        assert head.header("content-length") == str(size)
        await asyncio.sleep(0.5)  # reads nothing: the door must not collect it
        connection = await s.connection()
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() < 2_000_000
        left = size
        while left:
            piece = await browser.reader.read(min(left, 1 << 20))
            assert piece
            left -= len(piece)
        assert (await browser.get("/a")).status == 200
        await s.stop()

    run(main, 120)


@pytest.mark.parametrize(
    ("path", "status", "body", "framing"),
    [
        ("/chunks/3", 200, b"chunk 0\nchunk 1\nchunk 2\n", "chunked"),
        ("/chunks/0", 200, b"", "chunked"),
        ("/until-close", 200, b"all of it", "chunked"),
        ("/nothing", 204, b"", ""),
        ("/unmodified", 304, b"", ""),
        ("/close", 200, b"bye", ""),
    ],
)
def test_answers_of_every_framing(path: str, status: int, body: bytes, framing: str) -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        reply = await browser.get(path)
        assert (reply.status, reply.body, reply.header("transfer-encoding")) == (status, body, framing)
        assert reply.header("x-trailer") == ""
        assert (await browser.get("/after")).text.startswith("GET /after")
        await s.stop()

    run(main)


def test_head_has_the_length_and_no_body() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        reply = await browser.get("/abc", method="HEAD")
        assert int(reply.header("content-length")) > 0
        reply = await browser.get("/no", method="HEAD")
        assert (reply.status, reply.header("content-length")) == (403, "3")
        assert (await browser.get("/after")).text.startswith("GET /after")
        await s.stop()

    run(main)


def test_interim_answers_pass_but_those_that_are_the_doors_own_affair() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        assert (await browser.get("/interim")).status == 102
        reply = await browser.reply()
        assert (reply.status, reply.body) == (200, b"done")
        await s.stop()

    run(main)


def test_the_door_says_100_only_when_the_verdict_is_to_forward() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        expecting = (
            b" HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        browser.send(b"POST /yes" + expecting)
        assert (await browser.head()).status == 100
        browser.send(b"hello")
        assert (await browser.reply()).text == "POST /yes HTTP/1.1|5|1"
        assert s.peer.seen[0].header("expect") == ""
        browser.send(b"POST /no" + expecting)
        assert (await browser.reply()).status == 403
        assert await browser.ended() == b""
        assert len(s.peer.seen) == 1
        await s.stop()

    run(main)


def test_a_refused_body_is_read_away_and_never_taken_for_a_request() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        inner = b"GET /inner HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
        browser.send(
            b"POST /no HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: %d\r\n\r\n" % len(inner)
        )
        browser.send(inner + inner)
        reply = await browser.reply()
        assert (reply.status, reply.body, reply.header("connection")) == (403, b"no\n", "close")
        assert await browser.ended() == b""
        assert [r.path for r in s.gate.seen] == ["/no"]
        assert s.peer.seen == []
        await s.stop()

    run(main)


def test_our_answers_are_not_cached_and_repeat_nothing() -> None:
    async def main() -> None:
        s = await stage()
        s.at.server.door.gate = None
        browser = await s.browser()
        reply = await browser.get("/<script>".replace("<", "%3c"), "Accept: text/html")
        assert reply.status == 503
        assert "script" not in reply.text
        assert reply.text.startswith("<!doctype html>")
        for name, value in {
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "strict-transport-security": "max-age=31536000",
        }.items():
            assert reply.header(name) == value
        assert reply.header("date").endswith("GMT")
        await s.stop()

    run(main)


def test_requests_sent_ahead_wait_their_turn_and_none_is_lost() -> None:
    async def main() -> None:
        s = await stage(deny)
        browser = await s.browser()
        one = b"POST /%d HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 3\r\n\r\nabc"
        two = b"GET /no/%d HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
        browser.send(b"".join((one if n % 2 else two) % n for n in range(200)))
        for n in range(200):
            reply = await browser.reply()
            assert reply.status == (200 if n % 2 else 403)
            assert not n % 2 or reply.text == f"POST /{n} HTTP/1.1|3|1"
        await s.stop()

    run(main)


def test_a_gate_that_must_ask_is_awaited_and_one_that_fails_lets_nobody_in() -> None:
    async def main() -> None:
        async def later(request: WebRequest) -> Verdict:
            await asyncio.sleep(0.05)
            if request.path == "/fails":
                raise RuntimeError("boom")
            return Forward(s.gate.site)

        s = await stage(lambda request, client: later(request))
        browser = await s.browser()
        browser.send(
            b"POST /a HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /b HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
        )
        assert (await browser.reply()).text == "POST /a HTTP/1.1|3|1"
        assert (await browser.reply()).text == "GET /b HTTP/1.1|0|1"
        assert (await browser.get("/fails")).status == 500
        assert len(s.at.events("door.web.trouble")) == 1
        await s.stop()

    run(main)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_verdict_that_wants_the_body_first_gets_its_beginning(chunked: bool) -> None:
    async def main() -> None:
        got: list[tuple[bytes, bool]] = []

        def say(request: WebRequest, client: WebClient) -> Verdict:
            def judge(seen: bytes, whole: bool) -> Verdict:
                got.append((seen, whole))
                return Answer(403, reason="op") if seen.startswith(b"bad") else Forward(s.gate.site)

            return Peek(8, judge)

        def request(body: bytes) -> bytes:
            head = b"POST /ews HTTP/1.1\r\nHost: mail.example.org\r\n"
            if chunked:
                half = len(body) // 2
                return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                    half,
                    body[:half],
                    len(body) - half,
                    body[half:],
                )
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body

        s = await stage(say)
        browser = await s.browser()
        for body in (b"good", b"good and much longer" * 1000):
            for octet in (request(body)[:100], request(body)[100:]):
                browser.send(octet)
                await asyncio.sleep(0.01)
            assert (await browser.reply()).text == f"POST /ews HTTP/1.1|{len(body)}|1"
            assert s.peer.seen[-1].digest == hashlib.sha256(body).hexdigest()
        assert got[0] == (b"good", True)
        assert got[1][1] is False
        assert b"good and much".startswith(got[1][0])
        browser.send(request(b"bad to the bone"))
        assert (await browser.reply()).status == 403
        assert len(s.peer.seen) == 2
        await s.stop()

    run(main)


def test_an_answer_may_wait() -> None:
    async def main() -> None:
        s = await stage(lambda request, client: Answer(401, wait=0.3, reason="wrong"))
        browser = await s.browser()
        began = asyncio.get_running_loop().time()
        assert (await browser.get("/a")).status == 401
        assert asyncio.get_running_loop().time() - began >= 0.29
        (event,) = s.at.events("door.web.refused")
        assert (event.data["reason"], event.data["path"], event.data["host"]) == ("wrong", "/a", HOST)
        await s.stop()

    run(main)


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "no-host"),
        (b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 421, "host-unknown"),
        (b"GET / HTTP/1.1\r\nHost: %s\r\nHost: %s\r\n\r\n" % (HOST.encode(), HOST.encode()), 400, "two-host"),
        (b"BREW / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n", 501, "method"),
        (b"GET /../a HTTP/1.1\r\nHost: mail.example.org\r\n\r\n", 400, "path-dot-segment"),
        (b"GET /\r\n\r\n", 400, "request-line"),
        (b"\x16\x03\x01\r\n\r\n", 400, "head-octets"),
    ],
)
def test_a_bad_head_is_answered_recorded_and_ends_the_connection(
    head: bytes, status: int, reason: str
) -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        browser.send(head)
        reply = await browser.reply()
        assert (reply.status, reply.header("connection")) == (status, "close")
        assert await browser.ended() == b""
        assert [e.data["reason"] for e in s.at.events("door.web.refused")] == [reason]
        assert s.gate.seen == []
        await s.stop()

    run(main)


def test_a_host_that_the_handshake_was_not_for_is_refused() -> None:
    async def main() -> None:
        s = await stage()
        here = replace(s.gate.site, hosts=(HOST, OTHER_HOST))
        from gambeson.model.snapshot import SnapshotIndex
        from guard.edge.web.webdoors import web_organisation

        await s.at.server.apply_snapshot(SnapshotIndex(web_organisation(here)))
        assert (await (await s.browser(OTHER_HOST)).get("/a", host=OTHER_HOST)).status == 200
        assert (await (await s.browser(HOST)).get("/a", host=OTHER_HOST)).status == 421
        assert (await (await s.browser(HOST)).get("/a", host=HOST + ":8443")).status == 200
        assert s.peer.seen[-1].header("host") == HOST + ":8443"
        await s.stop()

    run(main)


def test_http_1_0_is_answered_and_closed() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        browser.send(b"GET /chunks/2 HTTP/1.0\r\nHost: mail.example.org\r\nConnection: keep-alive\r\n\r\n")
        reply = await browser.head()
        assert (reply.header("connection"), reply.header("transfer-encoding")) == ("close", "")
        assert await browser.ended() == b"chunk 0\nchunk 1\n"
        await s.stop()

    run(main)


def test_the_gate_sees_the_client_certificate() -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser(certificate=pki().phone)
        await browser.get("/a")
        (client,) = s.gate.clients
        assert (client.certificate, client.sni) == (pki().phone[2], HOST)
        assert len(client.fingerprint) == 64
        await s.stop()

    run(main)
