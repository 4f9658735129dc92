"""An edge that ended TLS hands a connection over: what it may tell of the client, and what counts of it."""

from __future__ import annotations

import asyncio
import os

import pytest

from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.tls import fingerprint
from gambeson.model.access import Listener
from gambeson.wire.proxyproto import TLV_CERTIFICATE, TLV_TLS_VERSION, build_v2
from guard.edge.doors import SECRET, Client, Doors, ImapPeer, doors, organisation, pki, revoked, run, upstream

TLS = (TLV_TLS_VERSION, b"TLSv1.3")
EDGE = ListenerSettings("imap#edge", Listener.IMAP, edge_uid=os.getuid())


def phone() -> str:
    return fingerprint(pki().phone[2])


async def handed(at: Doors, *tlvs: tuple[int, bytes], source: str = "192.0.2.7") -> Client:
    reader, writer = await asyncio.open_unix_connection(at.edge_path)  # type: ignore[attr-defined]
    writer.write(build_v2(source, 4711, "192.0.2.1", 993, tlvs))
    return Client(reader, writer)


async def external(client: Client) -> bytes:
    await client.line()
    client.send(b"a AUTHENTICATE EXTERNAL =\r\n")
    return (await client.until(b"a "))[-1]


def test_a_live_certificate_signs_in_and_the_keeper_is_told_its_fingerprint() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), listeners=(EDGE,))
        client = await handed(at, TLS, (TLV_CERTIFICATE, phone().encode()))
        assert (await external(client)).startswith(b"a OK")
        (ask,) = at.keeper.asked
        assert (ask.fingerprint, ask.certificate, ask.secret, ask.source) == (phone(), b"", "", "192.0.2.7")
        (event,) = at.events("door.login.allowed")
        assert (event.source, event.device, event.data["rung"]) == ("192.0.2.7", "d1", "device-key")
        await at.server.stop()

    run(main)


def test_a_device_secret_needs_no_certificate() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start())), listeners=(EDGE,))
        client = await handed(at, TLS)
        assert (await client.login()).startswith(b"a OK")
        assert (at.keeper.asked[0].fingerprint, at.keeper.asked[0].secret) == ("", SECRET.text)
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(
    ("shown", "failure"),
    [("00" * 32, "credential-unknown"), ("phone", "credential-revoked"), ("", "no-certificate")],
)
def test_an_unknown_or_revoked_certificate_or_none_is_refused(shown: str, failure: str) -> None:
    async def main() -> None:
        peer = ImapPeer()
        snapshot = revoked(organisation(upstream(await peer.start())), "c2")
        at = await doors(snapshot, listeners=(EDGE,))
        certificate = phone() if shown == "phone" else shown
        client = await handed(at, TLS, *([(TLV_CERTIFICATE, certificate.encode())] if certificate else []))
        assert not (await external(client)).startswith(b"a OK")
        assert at.keeper.asked == []
        if certificate:
            assert [e.data["failure"] for e in at.events("door.login.refused")] == [failure]
        await at.server.stop()

    run(main)


def test_without_tls_on_the_clients_side_nobody_signs_in() -> None:
    async def main() -> None:
        at = await doors(organisation(), listeners=(EDGE,))
        client = await handed(at, (TLV_CERTIFICATE, phone().encode()))
        assert not (await external(client)).startswith(b"a OK")
        assert at.keeper.asked == []
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("header", [b"", b"a LOGIN x y\r\n", b"PROXY TCP4 1.2.3.4\r\n"])
def test_a_connection_without_a_good_header_is_closed(header: bytes) -> None:
    async def main() -> None:
        at = await doors(organisation(), listeners=(EDGE,))
        reader, writer = await asyncio.open_unix_connection(at.edge_path)  # type: ignore[attr-defined]
        writer.write(header)
        assert await Client(reader, writer).rest() in (b"", b"<reset>")
        await at.server.stop()

    run(main)


def test_two_certificates_in_one_header_are_none() -> None:
    async def main() -> None:
        at = await doors(organisation(), listeners=(EDGE,))
        twice = [(TLV_CERTIFICATE, phone().encode())] * 2
        assert await (await handed(at, TLS, *twice)).rest() in (b"", b"<reset>")
        await at.server.stop()

    run(main)
