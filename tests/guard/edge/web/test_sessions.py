"""Who is on a connection: identities and the mail server's connection, the list of sessions, ends of every kind."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from dataclasses import replace

import pytest

from gambeson.guard.core.web.verdict import Forward, Verdict, WebClient
from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.tls import DoorTls, fingerprint, server_context
from gambeson.model.access import DoorKind, Listener
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import WebRequest
from gambeson.wire.proxyproto import TLV_CERTIFICATE, TLV_SNI, TLV_TLS_VERSION, build_v2
from guard.edge.doors import Authority, pki, run
from guard.edge.web.webdoors import HOST, OTHER_HOST, Browser, access, stage, until, web_organisation


def ntlm(name: str) -> str:
    return "Authorization: NTLM " + base64.b64encode(name.encode()).decode()


def test_a_server_that_signs_in_connections_never_takes_one_client_for_another() -> None:
    """What pools of other proxies get wrong: a new anonymous client was answered as Alice."""

    async def main() -> None:
        s = await stage()
        alice, bob = await s.browser(), await s.browser()
        assert (await alice.get("/ntlm")).status == 401
        assert (await alice.get("/ntlm", ntlm("alice"))).text == "as alice"
        assert (await bob.get("/ntlm")).status == 401
        assert (await bob.get("/ntlm", ntlm("bob"))).text == "as bob"
        assert (await alice.get("/ntlm")).text == "as alice"
        for _ in range(5):
            new = await s.browser()
            assert (await new.get("/ntlm")).status == 401
            new.close()
        alice.close()
        bob.close()
        await until(lambda: s.peer.open == 0)
        assert (await (await s.browser()).get("/ntlm")).status == 401
        await s.stop()

    run(main)


def test_another_identity_on_the_same_connection_gets_another_upstream_connection() -> None:
    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            who = request.cookie("who")
            return Forward(s.gate.site, access(f"{who}@example.org") if who else None, authorization=True)

        s = await stage(say)
        browser = await s.browser()
        assert (await browser.get("/ntlm", ntlm("alice"), "Cookie: who=alice")).text == "as alice"
        assert (await browser.get("/ntlm", "Cookie: who=alice")).text == "as alice"
        assert (await browser.get("/ntlm", "Cookie: who=bob")).status == 401
        assert s.peer.connections == 2
        admitted = s.at.events("door.web.admitted")
        assert [e.account for e in admitted] == ["a1", "a2"]
        assert [v.account for v in s.at.server.sessions()] == ["a2"]
        await s.stop()

    run(main)


def test_a_connection_that_the_server_signed_in_ends_with_the_servers_side() -> None:
    async def main() -> None:
        s = await stage()
        signed_in, other = await s.browser(), await s.browser()
        assert (await signed_in.get("/ntlm", ntlm("alice"))).text == "as alice"
        assert (await other.get("/a")).status == 200
        s.peer.kick()
        assert await signed_in.ended() == b""
        assert (await other.get("/a")).status == 200  # nobody was signed in by it: a new one does
        await s.stop()

    run(main)


def test_one_admission_is_recorded_a_connection_and_the_session_is_listed() -> None:
    async def main() -> None:
        s = await stage(who=access())
        browser = await s.browser()
        for _ in range(3):
            await browser.get("/a")
        s.gate.access = access(door=DoorKind.ECP)
        await browser.get("/a")
        (event,) = s.at.events("door.web.admitted")
        assert (event.account, event.door, event.data["site"]) == ("a1", "owa", "mailbox")
        (view,) = s.at.server.sessions("o1")
        assert (view.account, view.door, view.server) == ("a1", DoorKind.ECP, "mailbox")
        assert view.to_client > 0
        browser.close()
        await until(lambda: not s.at.server.sessions())
        (closed,) = s.at.events("door.session.closed")
        assert closed.data["id"] == event.data["id"] == view.id
        assert s.at.server.door.admission.open == 0
        await s.stop()

    run(main)


def test_a_poll_is_ended_by_kill_and_by_the_end_of_its_portal_session() -> None:
    async def main() -> None:
        s = await stage(who=access())
        for how in ("kill", "snapshot"):
            browser = await s.browser()
            browser.send(b"POST /poll HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 2\r\n\r\nhi")
            await asyncio.wait_for(s.peer.polls.get(), 5)
            if how == "kill":
                assert s.at.server.kill(account="a1") == 1
            else:
                over = replace(web_organisation(s.gate.site), number=2, ended_sessions=("session-of-a1",))
                assert await s.at.server.apply_snapshot(SnapshotIndex(over)) == 1
            assert await browser.ended() in (b"", b"<reset>")
            await until(lambda: s.peer.open == 0)
            assert s.at.events("door.session.closed")[-1].data["reason"] in (
                "closed by an administrator",
                "no longer admitted",
            )
        await s.stop()

    run(main)


def test_a_long_silence_is_allowed_as_long_as_the_verdict_says() -> None:
    async def main() -> None:
        s = await stage(who=access(), idle=1.0)
        browser = await s.browser()
        browser.send(b"GET /poll HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        assert (await browser.reply()).status == 504
        await until(lambda: s.peer.open == 0)
        s.gate.idle = 3600.0
        browser = await s.browser()
        browser.send(b"GET /poll HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        await s.peer.polls.get()
        writer = await s.peer.polls.get()
        (connection,) = s.at.server.door.web
        assert connection.deadline - asyncio.get_running_loop().time() > 3500
        await asyncio.sleep(2.5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmail")
        assert (await browser.reply()).text == "mail"
        await s.stop()

    run(main)


def test_websocket_is_spliced_for_somebody_and_refused_to_nobody() -> None:
    async def main() -> None:
        s = await stage(who=access())
        asking = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        browser = await s.browser()
        reply = await browser.get("/ws", *asking)
        assert reply.status == 101
        assert reply.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert (reply.header("upgrade"), reply.header("connection")) == ("websocket", "upgrade")
        assert await browser.reader.readexactly(5) == b"first"
        for size in (1, 70000, 1_000_000):
            browser.send(bytes(size))
            assert len(await browser.reader.readexactly(size)) == size
        assert len(s.at.server.sessions()) == 1
        assert s.at.server.kill(account="a1") == 1
        assert await browser.ended() in (b"", b"<reset>")
        await until(lambda: s.at.server.door.admission.open == 0)
        s.gate.access = None
        browser = await s.browser()
        assert (await browser.get("/ws", *asking)).status == 403
        await s.stop()

    run(main)


def test_a_change_of_protocol_that_nobody_asked_for_is_no_answer() -> None:
    async def main() -> None:
        s = await stage(who=access())
        browser = await s.browser()
        assert (await browser.get("/ws", "Upgrade: h2c", "Connection: Upgrade")).status == 502
        await s.stop()

    run(main)


@pytest.mark.parametrize(
    ("path", "status"), [("/split", 502), ("/half", 200), ("/early", 413), ("/unasked", 200)]
)
def test_answers_that_are_wrong(path: str, status: int) -> None:
    async def main() -> None:
        s = await stage()
        browser = await s.browser()
        body = b"x" * 100000 if path == "/early" else b""
        if path == "/half":
            browser.send(b"GET /half HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
            assert (await browser.head()).status == status
            assert len(await browser.ended()) < 100  # half an answer is not passed off as a whole one
        else:
            assert (await browser.get(path, method="POST" if body else "GET", body=body)).status == status
        if path == "/unasked":
            assert (await browser.get("/next")).text.startswith("GET /next")
        await s.stop()

    run(main)


def test_upstream_certificates_are_verified() -> None:
    async def main() -> None:
        s = await stage(tls=True)
        browser = await s.browser()
        assert (await browser.get("/a")).status == 200
        good = s.gate.site.endpoint
        stranger = Authority.make("stranger").issue(pki().folder, "upstream.stranger")
        for wrong in (
            replace(good, server_name="another.test"),
            replace(good, pin="00" * 32),
            replace(good, ca=stranger[0]),
            replace(good, port=1),
        ):
            s.gate.site = replace(s.gate.site, endpoint=wrong)
            browser = await s.browser()
            reply = await browser.get("/a", "Accept: text/html")
            assert (reply.status, reply.header("content-type")) == (502, "text/html; charset=utf-8")
        assert len(s.peer.seen) == 1
        (event,) = s.at.events("door.server.unusable")  # one in ten seconds, not one a request
        assert event.data["server"] == "mailbox"
        s.gate.site = replace(s.gate.site, endpoint=replace(good, pin=fingerprint(pki().upstream[2]), ca=""))
        assert (await (await s.browser()).get("/a")).status == 200
        await s.stop()

    run(main)


def test_another_site_on_the_same_connection_is_misdirected() -> None:
    async def main() -> None:
        def say(request: WebRequest, client: WebClient) -> Verdict:
            return Forward(s.gate.site if request.host == HOST else replace(s.gate.site, name="other"))

        s = await stage(say)
        both = replace(s.gate.site, hosts=(HOST, OTHER_HOST))
        await s.at.server.apply_snapshot(SnapshotIndex(web_organisation(both)))
        browser = await s.browser(sni=False)
        assert (await browser.get("/a")).status == 200
        reply = await browser.get("/a", host=OTHER_HOST)
        assert (reply.status, reply.header("connection")) == (421, "close")
        await s.stop()

    run(main)


def test_new_certificates_are_used_and_nobody_is_dropped() -> None:
    async def main() -> None:
        s = await stage()
        old = await s.browser()
        await old.get("/a")
        renewed = pki().server_ca.issue(pki().folder, "mail.example.org")
        before = pki().door[2]
        s.at.server.set_tls(DoorTls(server_context(*renewed[:2])))
        new = await s.browser()
        handshake = new.writer.get_extra_info("ssl_object")
        assert handshake.getpeercert(True) == renewed[2] != before
        assert (await old.get("/a")).status == (await new.get("/a")).status == 200
        await s.stop()
        pki().door = renewed

    run(main)


def test_certificates_are_asked_for_on_the_names_of_devices_only() -> None:
    async def main() -> None:
        s = await stage()
        device = replace(s.gate.site, hosts=(HOST,), device_hosts=(OTHER_HOST,))
        await s.at.server.apply_snapshot(SnapshotIndex(web_organisation(device)))
        asks = server_context(*pki().second[:2], pki().device_ca.pem)
        s.at.server.set_tls(DoorTls(server_context(*pki().door[:2]), {OTHER_HOST: asks}))
        for name, asked in ((HOST, False), (OTHER_HOST, True)):
            browser = await s.browser(name, certificate=pki().phone)
            assert (await browser.get("/a", host=name)).status == 200
            assert bool(s.gate.clients[-1].certificate) is asked, name
            assert s.gate.clients[-1].sni == name
        await s.stop()

    run(main)


def test_draining_lets_requests_finish_and_closes_who_asks_nothing() -> None:
    async def main() -> None:
        s = await stage(who=access())
        idle, polling, stranger = await s.browser(), await s.browser(), await s.browser()
        await idle.get("/a")
        polling.send(b"GET /poll HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        writer = await s.peer.polls.get()
        await until(lambda: len(s.at.server.door.web) == 3)
        drained = asyncio.create_task(s.at.server.drain(20))
        assert await idle.ended() == b""
        assert await stranger.ended() == b""
        with pytest.raises(ConnectionError):
            await s.browser()
        assert not drained.done()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmail")
        reply = await polling.reply()
        assert (reply.text, reply.header("connection")) == ("mail", "close")
        assert await polling.ended() == b""
        await asyncio.wait_for(drained, 5)
        assert s.at.server.door.admission.open == 0
        s.peer.stop()

    run(main)


def test_an_edge_may_end_tls_and_tells_who_it_is() -> None:
    async def main() -> None:
        s = await stage(listeners=(ListenerSettings("https", Listener.HTTPS, edge_uid=os.getuid()),))
        for tlvs, status in (((TLV_TLS_VERSION, b"TLSv1.3"),), 200), ((), 0):
            reader, writer = await asyncio.open_unix_connection(s.at.edge_path)  # type: ignore[attr-defined]
            sni, certificate = (TLV_SNI, HOST.encode()), (TLV_CERTIFICATE, b"ab" * 32)
            writer.write(build_v2("192.0.2.7", 4711, "192.0.2.1", 443, (*tlvs, sni, certificate)))
            browser = Browser(reader, writer)
            if status:
                assert (await browser.get("/a")).status == status
                assert s.peer.seen[-1].header("x-forwarded-for") == "192.0.2.7"
                client = s.gate.clients[-1]
                assert (client.sni, client.fingerprint) == (HOST, "ab" * 32)
            else:
                browser.send(b"GET /a HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
                assert await browser.ended() in (b"", b"<reset>")
        await s.stop()

    run(main)


def test_stopping_ends_everything() -> None:
    async def main() -> None:
        s = await stage(who=access())
        polling, idle = await s.browser(), await s.browser()
        polling.send(b"GET /poll HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        await s.peer.polls.get()
        await s.at.server.stop()
        assert await polling.ended() in (b"", b"<reset>")
        assert await idle.ended() in (b"", b"<reset>")
        assert s.at.server.door.admission.open == 0
        assert s.at.server.door.web == set()
        s.peer.stop()

    run(main)


def test_a_connection_without_tls_gets_nothing() -> None:
    async def main() -> None:
        s = await stage()
        reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)):
            await reader.readuntil(b"HTTP/1.1")
        assert s.gate.seen == []
        await s.stop()

    run(main)


def test_a_hello_in_two_pieces_still_finds_its_certificate() -> None:
    async def main() -> None:
        s = await stage()
        asks = server_context(*pki().second[:2], pki().device_ca.pem)
        s.at.server.set_tls(DoorTls(server_context(*pki().door[:2]), {OTHER_HOST: asks}))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = pki().client().wrap_bio(incoming, outgoing, server_hostname=OTHER_HOST)
        reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
        hello = outgoing.read()
        for piece in (hello[:3], hello[3:90], hello[90:]):
            writer.write(piece)
            await asyncio.sleep(0.15)
        while True:
            incoming.write(await asyncio.wait_for(reader.read(65536), 5))
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
        assert side.getpeercert(True) == pki().second[2]
        writer.close()
        silent, gone = await asyncio.open_connection("127.0.0.1", s.port)
        gone.write(hello[:3])
        await asyncio.sleep(0.1)
        gone.close()
        assert await silent.read() == b""
        await until(lambda: s.at.server.door.admission.open == 0)
        await s.stop()

    run(main)
