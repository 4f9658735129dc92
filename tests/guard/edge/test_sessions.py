"""Sessions that are open: data in both directions, revocation, killing, stopping, upstream's deaths."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import time
from dataclasses import replace

import pytest

from gambeson.model.asset import DeviceState
from gambeson.model.snapshot import SnapshotIndex
from guard.edge.doors import (
    FAST,
    SECRET,
    Client,
    Doors,
    ImapPeer,
    doors,
    organisation,
    pki,
    revoked,
    run,
    upstream,
)


async def _signed_in(at: Doors, listener: str = "imaps") -> Client:
    client = await at.client(listener)
    assert (await client.login()).startswith(b"a OK")
    return client


@pytest.mark.parametrize("tls", [False, True])
def test_fifty_megabytes_each_way_arrive_whole(tls: bool) -> None:
    size = 50_000_000

    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start(tls=tls), tls=tls)))
        client = await _signed_in(at)
        client.send(b"f FETCH %d\r\n" % size)
        await client.line()
        digest = hashlib.sha256(await client.reader.readexactly(size))
        block = bytes(range(256)) * 256
        wanted = hashlib.sha256((block * (size // len(block) + 1))[:size])
        assert digest.hexdigest() == wanted.hexdigest()
        await client.until(b"f ")
        mail = (block * 100)[: size // 10]
        client.send(b"p APPEND %d\r\n" % len(mail) + mail)
        await client.until(b"p ")
        assert peer.octets == mail
        [view] = at.server.sessions()
        assert view.to_client > size
        assert view.from_client > len(mail)
        await at.server.stop()

    run(main, 60)


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_does_not_read_costs_no_memory(tls: bool) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start(tls=tls), tls=tls)))
        client = await _signed_in(at)
        client.writer.transport.pause_reading()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        client.send(b"f FETCH 200000000\r\n")
        await asyncio.sleep(1.0)
        [view] = at.server.sessions()
        moved = view.to_client
        await asyncio.sleep(0.3)
        assert at.server.sessions()[0].to_client == moved  # it stands still
        assert moved < 20_000_000  # what the kernel's buffers hold
        assert (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
        )  # KiB, peer and client included
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(
    "change",
    ["credential", "device", "account", "policy", "gone", "secret replaced"],
)
def test_what_the_snapshot_no_longer_admits_is_closed_with_bye_idle_included(change: str) -> None:
    async def main() -> None:
        peer = ImapPeer()
        before = organisation(upstream(await peer.start()))
        at = await doors(before)
        client = await _signed_in(at)
        client.send(b"i IDLE\r\n")
        assert await client.line() == b"+ idling\r\n"
        await asyncio.sleep(0.1)
        match change:
            case "credential":
                after = revoked(before)
            case "device":
                after = replace(before, devices=(replace(before.devices[0], state=DeviceState.BLOCKED),))
            case "account":
                after = replace(before, accounts=(replace(before.accounts[0], enabled=False),))
            case "policy":
                after = replace(before, policies=(replace(before.policies[0], rules=()),))
            case "gone":
                after = replace(before, credentials=before.credentials[1:])
            case _:
                changed = replace(before.credentials[0], verifier=bytes(32))
                after = replace(before, credentials=(changed, *before.credentials[1:]))
        began = time.perf_counter()
        assert await at.server.apply_snapshot(SnapshotIndex(replace(after, number=2))) == 1
        assert (await client.rest()).startswith(b"* BYE ")
        assert time.perf_counter() - began < 1.0
        await asyncio.sleep(0.5)
        assert peer.open == 0
        [closed] = at.events("door.session.closed")
        assert closed.data["reason"] == "no longer admitted"
        await at.server.stop()

    run(main)


def test_a_snapshot_that_changes_nothing_for_a_session_leaves_it_alone() -> None:
    async def main() -> None:
        peer = ImapPeer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await _signed_in(at)
        other = revoked(snapshot, "c2")  # the certificate; this session came with the secret
        assert await at.server.apply_snapshot(SnapshotIndex(other)) == 0
        old = replace(other, number=3, made_at=time.time() - 7200)
        assert await at.server.apply_snapshot(SnapshotIndex(old)) == 0  # old admits nobody new, no more
        client.send(b"b NOOP\r\n")
        assert (await client.until(b"b "))[-1] == b"b OK\r\n"
        await at.server.stop()

    run(main)


def test_revoked_while_the_mail_server_signs_in() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.answer_login = "HANG"
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await at.client()
        await client.line()
        login = asyncio.create_task(client.login_again())
        while not peer.logins:
            await asyncio.sleep(0.01)
        await at.server.apply_snapshot(SnapshotIndex(revoked(snapshot)))
        for writer in peer._writers:
            tag = peer.lines[-1].split()[0]
            writer.write(tag + b" OK welcome\r\n")
        assert b"NO" in await login
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


def test_no_bye_is_put_into_the_middle_of_a_line() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _signed_in(at)
        for writer in peer._writers:
            writer.write(b"* 1 FETCH (FLAGS (\\Se")
        await asyncio.sleep(0.1)
        assert at.server.kill(account="a1") == 1
        assert await client.rest() == b"* 1 FETCH (FLAGS (\\Se"
        await at.server.stop()

    run(main)


def test_sessions_are_killed_by_what_names_them_and_never_by_nothing() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        first, second = await _signed_in(at), await _signed_in(at)
        assert at.server.kill() == 0
        assert at.server.kill(device="another") == 0
        [one, two] = at.server.sessions()
        assert one.id != two.id
        assert at.server.kill(session=one.id) == 1
        assert b"BYE" in await first.rest()
        assert at.server.kill(organisation="o1") == 1
        assert b"BYE" in await second.rest()
        await at.server.stop()

    run(main)


def test_the_mail_server_dies_while_connected_and_the_client_learns() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _signed_in(at)
        await asyncio.sleep(0.05)
        peer.kick()
        assert await client.rest() in (b"", b"<reset>")
        await asyncio.sleep(0.1)
        assert at.server.sessions() == []
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("answer", ["DIE", "LATER", "HANG"])
def test_the_mail_server_fails_during_login(answer: str) -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.answer_login = answer
        timeouts = replace(FAST, sign_in=0.5)
        at = await doors(organisation(upstream(await peer.start())), timeouts=timeouts)
        client = await at.client()
        assert b"NO [UNAVAILABLE]" in await client.login()
        peer.answer_login = "OK"
        assert (await client.login_again()).startswith(b"a OK")
        await at.server.stop()

    run(main)


def test_a_dead_mail_server_is_left_alone_and_the_next_serves() -> None:
    async def main() -> None:
        good = ImapPeer()
        dead = upstream(1, name="dead", priority=1)
        at = await doors(organisation(dead, upstream(await good.start(), name="good", priority=2)))
        for _ in range(3):
            assert (await (await at.client()).login()).startswith(b"a OK")
        [event] = at.events("door.server.unreachable")
        assert event.data["server"] == "dead"
        assert len(at.server.door.health.ill()) == 1
        await at.server.stop()

    run(main)


def test_no_mail_server_at_all() -> None:
    async def main() -> None:
        at = await doors(organisation(upstream(1)))
        client = await at.client()
        assert b"NO [UNAVAILABLE]" in await client.login()
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(("pin", "enters"), [("right", True), ("wrong", False)])
def test_the_mail_servers_pin_is_checked_before_a_word_is_said(pin: str, enters: bool) -> None:
    async def main() -> None:
        peer = ImapPeer()
        value = hashlib.sha256(pki().upstream[2] if pin == "right" else b"").hexdigest().upper()
        port = await peer.start(tls=True)
        at = await doors(organisation(upstream(port, tls=True, ca="", pin=value, server_name="other")))
        answer = await (await at.client()).login()
        assert answer.startswith(b"a OK") is enters, answer
        assert bool(peer.logins) is enters
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("wrong", [{"server_name": "other.test"}, {"ca": str(__file__)}])
def test_a_mail_server_whose_certificate_does_not_verify_gets_nothing(wrong: dict[str, str]) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start(tls=True), tls=True, **wrong)))
        assert b"NO [UNAVAILABLE]" in await (await at.client()).login()
        assert peer.lines == []
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("tls", [False, True])
def test_the_mail_server_learns_the_client_by_proxy_header(tls: bool) -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.expect_proxy = 0 if tls else 28
        if tls:
            front = _ProxyStripper(await peer.start(tls=True))
            port = await front.start()
        else:
            port = await peer.start()
        at = await doors(organisation(upstream(port, tls=tls, proxy_v2=True)))
        client = await at.client(source="127.0.0.7")
        assert (await client.login()).startswith(b"a OK")
        header = front.header if tls else peer.proxy_header
        assert header[:12] == b"\r\n\r\n\0\r\nQUIT\n"
        assert header[16:20] == bytes([127, 0, 0, 7])
        await at.server.stop()

    run(main)


class _ProxyStripper:
    """Takes the PROXY header off and passes the rest on, as a mail server's own listener does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.header = b""

    async def start(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = server
        return int(server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.header = await reader.readexactly(28)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


def test_stop_says_bye_to_everyone_within_its_time() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        inside, waiting = await _signed_in(at), await at.client("imap")
        await waiting.line()
        began = time.perf_counter()
        await at.server.stop(10.0)
        assert time.perf_counter() - began < 3.0
        assert (await inside.rest()).startswith(b"* BYE")
        assert (await waiting.rest()).startswith(b"* BYE")
        with pytest.raises(ConnectionRefusedError):
            await at.client("imap")

    run(main)


def test_drain_waits_for_the_last_session() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())))
        client = await _signed_in(at)
        draining = asyncio.create_task(at.server.drain(20.0))
        await asyncio.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            await at.client("imap")
        client.send(b"b NOOP\r\n")
        assert (await client.until(b"b "))[-1] == b"b OK\r\n"
        assert not draining.done()
        client.close()
        await draining

    run(main)


def test_an_idle_session_ends_with_bye() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), timeouts=replace(FAST, idle=1.0))
        client = await _signed_in(at)
        assert (await client.rest()).startswith(b"* BYE")
        await asyncio.sleep(0.4)
        [closed] = at.events("door.session.closed")
        assert closed.data["reason"] == "idle"
        await at.server.stop()

    run(main)


def test_two_hundred_sessions_are_closed_within_a_second() -> None:
    async def main() -> None:
        peer = ImapPeer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot, timeouts=replace(FAST, handshake=10.0, connect=5.0))
        clients = []
        for _ in range(10):
            clients += await asyncio.gather(*(_signed_in(at) for _ in range(20)))
        assert len(at.server.sessions()) == 200
        began = time.perf_counter()
        assert await at.server.apply_snapshot(SnapshotIndex(revoked(snapshot))) == 200
        byes = await asyncio.gather(*(c.rest() for c in clients))
        assert time.perf_counter() - began < 1.0
        assert all(b.startswith(b"* BYE") for b in byes)
        assert SECRET.text not in repr(at.events())
        await at.server.stop()

    run(main, 60)
