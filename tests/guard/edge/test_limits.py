"""Slow, many and false: what hostile connections meet."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import replace

import pytest

from gambeson.guard.edge.door_settings import DoorLimits, ListenerSettings
from gambeson.guard.edge.tls import fingerprint
from gambeson.model.access import Listener
from gambeson.wire.proxyproto import TLV_CERTIFICATE, TLV_TLS_VERSION, build_v2
from guard.edge.doors import FAST, Client, ImapPeer, doors, organisation, pki, run, upstream


def test_trickling_does_not_extend_the_login_deadline() -> None:
    async def main() -> None:
        at = await doors(organisation(), timeouts=replace(FAST, login=1.5))
        client = await at.client("imap")
        began = time.perf_counter()
        await client.line()

        async def trickle() -> None:
            while True:
                client.send(b"a")
                await asyncio.sleep(0.1)

        task = asyncio.create_task(trickle())
        rest = await client.rest()
        task.cancel()
        assert rest.startswith(b"* BYE") or rest == b"<reset>"
        assert 1.0 < time.perf_counter() - began < 4.0
        await asyncio.sleep(0.5)
        assert at.server.door.admission.open == 0
        await at.server.stop()

    run(main)


def test_a_handshake_that_never_comes_is_cut() -> None:
    async def main() -> None:
        at = await doors(organisation(), timeouts=replace(FAST, handshake=0.5))
        reader, writer = await asyncio.open_connection("127.0.0.1", at.ports["imaps"])
        writer.write(b"\x16\x03\x01")
        assert await reader.read() == b""
        await asyncio.sleep(0.1)
        assert at.server.door.admission.open == 0
        await at.server.stop()

    run(main)


def test_a_login_may_not_take_longer_than_its_deadline() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.answer_login = "HANG"
        timeouts = replace(FAST, login=1.0, sign_in=60.0)
        at = await doors(organisation(upstream(await peer.start())), timeouts=timeouts)
        client = await at.client()
        assert await client.login() == b""
        await asyncio.sleep(0.5)
        assert at.server.door.admission.open == 0
        assert peer.open == 0  # the half-made sign-in is gone too
        await at.server.stop()

    run(main)


def test_one_source_can_not_take_all_places() -> None:
    async def main() -> None:
        at = await doors(organisation(), limits=DoorLimits(unauthenticated_per_source=3))
        held = [await at.client("imap", source="127.0.0.2") for _ in range(3)]
        for one in held:
            assert await one.line()
        assert await (await at.client("imap", source="127.0.0.2")).rest() in (b"", b"<reset>")
        assert await (await at.client("imap", source="127.0.0.3")).line()
        held[0].close()
        await asyncio.sleep(0.1)
        assert await (await at.client("imap", source="127.0.0.2")).line()
        await at.server.stop()

    run(main)


def test_who_holds_connections_open_for_nothing_makes_room_for_others() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), limits=DoorLimits(unauthenticated=5))
        held = [await at.client("imap") for _ in range(5)]
        for one in held:
            await one.line()
        assert await (await at.client("imap")).rest() in (b"", b"<reset>")  # they are young yet
        await asyncio.sleep(4.2)
        assert (await (await at.client()).login()).startswith(b"a OK")
        assert await held[0].rest() in (b"", b"<reset>")
        await at.server.stop()

    run(main)


def test_no_more_sessions_than_allowed() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), limits=DoorLimits(sessions=2))
        one, two = await at.client(), await at.client()
        await one.login()
        await two.login()
        assert await (await at.client("imap")).rest() in (b"", b"<reset>")
        one.close()
        await asyncio.sleep(0.2)
        assert await (await at.client("imap")).line()
        await at.server.stop()

    run(main)


def test_out_of_descriptors_pauses_and_comes_back() -> None:
    async def main() -> None:
        at = await doors(organisation())
        listener = at.server.listeners[0]

        class Exhausted:
            calls = 0

            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

            def accept(self) -> object:
                self.calls += 1
                raise OSError(24, "Too many open files")

        real, listener._sock = listener._sock, Exhausted()  # type: ignore[assignment]
        client = await at.client("imap")
        await asyncio.sleep(0.2)
        assert listener._sock.calls == 1  # type: ignore[attr-defined]  # it does not spin
        listener._sock = real
        assert await client.line()
        await at.server.stop()

    run(main)


# -- PROXY protocol in

PROXIED = (ListenerSettings("front", Listener.IMAPS, proxy_from=("127.0.0.9/32",)),)


async def _raw(port: int, source: str) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


@pytest.mark.parametrize("version", [1, 2])
def test_a_listed_proxy_names_the_client(version: int) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), listeners=PROXIED)
        sock = await _raw(at.ports["front"], "127.0.0.9")
        if version == 1:
            header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 993\r\n"
        else:
            header = build_v2("2001:db8::7", 4711, "2001:db8::1", 993)
        for at_octet in range(len(header)):  # also in single octets, with the handshake right behind
            await asyncio.get_running_loop().sock_sendall(sock, header[at_octet : at_octet + 1])
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=pki().client(), server_hostname="mail.example.org"
        )
        client = Client(reader, writer)
        assert (await client.login()).startswith(b"a OK")
        assert at.server.sessions()[0].source == ("192.0.2.7" if version == 1 else "2001:db8::7")
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("127.0.0.1", b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 993\r\n"),
        ("127.0.0.9", b"a NOOP\r\n"),
        ("127.0.0.9", b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 993" + b" " * 200),
        ("127.0.0.9", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + bytes(12)),
    ],
)
def test_a_header_from_elsewhere_or_none_or_a_bad_one_closes(source: str, header: bytes) -> None:
    async def main() -> None:
        at = await doors(organisation(), listeners=PROXIED)
        reader, writer = await asyncio.open_connection(sock=await _raw(at.ports["front"], source))
        writer.write(header)
        assert await Client(reader, writer).rest() in (b"", b"<reset>")
        assert at.server.door.admission.open == 0
        await at.server.stop()

    run(main)


def test_a_certificate_is_believed_from_the_edges_socket_only() -> None:
    tlvs = [(TLV_CERTIFICATE, fingerprint(pki().phone[2]).encode()), (TLV_TLS_VERSION, b"TLSv1.3")]
    header = build_v2("192.0.2.7", 4711, "192.0.2.1", 993, tlvs)

    async def main() -> None:
        peer = ImapPeer()
        server = upstream(await peer.start())
        plain = ListenerSettings("front", Listener.IMAP, proxy_from=("127.0.0.9/32",))
        edge = ListenerSettings("edge", Listener.IMAPS, edge_uid=os.getuid())
        at = await doors(organisation(server), listeners=(plain, edge))
        reader, writer = await asyncio.open_unix_connection(at.edge_path)  # type: ignore[attr-defined]
        writer.write(header)
        client = Client(reader, writer)
        assert b"AUTH=EXTERNAL" in await client.line()
        client.send(b"a AUTHENTICATE EXTERNAL =\r\n")
        assert (await client.until(b"a "))[-1].startswith(b"a OK")
        reader, writer = await asyncio.open_connection(sock=await _raw(at.ports["front"], "127.0.0.9"))
        writer.write(header)
        client = Client(reader, writer)
        assert b"AUTH=EXTERNAL" not in await client.line()
        client.send(b"a AUTHENTICATE EXTERNAL =\r\n")
        assert not (await client.until(b"a "))[-1].startswith(b"a OK")
        await at.server.stop()

    run(main)


def test_the_edges_socket_is_for_the_edges_user() -> None:
    async def main() -> None:
        edge = ListenerSettings("edge", Listener.IMAPS, edge_uid=os.getuid() + 1)
        at = await doors(organisation(), listeners=(edge,))
        reader, writer = await asyncio.open_unix_connection(at.edge_path)  # type: ignore[attr-defined]
        writer.write(build_v2("192.0.2.7", 1, "192.0.2.1", 993))
        assert await Client(reader, writer).rest() in (b"", b"<reset>")
        await at.server.stop()

    run(main)
