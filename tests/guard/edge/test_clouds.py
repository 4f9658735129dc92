"""Programs through a cloud at real doors: one organisation refuses them, another lets them in, nobody else notices.

127.0.0.2 is the cloud's network here, 127.0.0.1 everybody else's.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import pytest

from gambeson.guard.core.clouds import CloudError, load_clouds, with_files
from gambeson.guard.core.web.clients import load_clients
from gambeson.guard.edge.clouds import read_clouds
from gambeson.guard.edge.plan import DoorPlan, PlanError
from gambeson.guard.edge.web.exchange import install
from gambeson.model import device_secret
from gambeson.model.access import Mode
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import Product
from guard.edge.doors import (
    KEY,
    OTHER_SECRET,
    SECRET,
    Client,
    Doors,
    ImapPeer,
    doors,
    organisation,
    pki,
    run,
    upstream,
)
from guard.edge.engines import with_api
from guard.edge.test_decision_api import allow
from guard.edge.test_protocols import pop3_peer, smtp_peer
from guard.edge.web.gates import basic
from guard.edge.web.test_gate_end_to_end import Stage, staged
from guard.edge.web.webdoors import HOST, Browser, Reply

FILE = """name = "A test's cloud"
source = "this test"
dated = "2026-01-01"
networks = ["127.0.0.2/32"]
"""
CLOUDS = with_files({"microsoft.toml": FILE})
HOME, CLOUD = "127.0.0.1", "127.0.0.2"
MOBILE, PHONE = "Outlook-iOS-Android/1.0", "Apple-iPhone15C2/2109.300"
ALICE, CAROL = ("alice@example.org", SECRET.text), ("carol@example.net", OTHER_SECRET.text)


def two(base: Snapshot, number: int = 1) -> Snapshot:
    """Alice's organisation refuses clouds; Carol's lets Microsoft's in."""
    carol = Credential(
        "c9", "o2", "d9", CredentialKind.DEVICE_SECRET, OTHER_SECRET.public_id,
        device_secret.verifier(OTHER_SECRET, KEY),
    )  # fmt: skip
    return replace(
        base,
        number=number,
        organisations=(
            *base.organisations,
            Organisation("o2", "second", ("example.net",), clouds=("microsoft",)),
        ),
        accounts=(*base.accounts, Account("a9", "o2", "carol@example.net")),
        devices=(*base.devices, Device("d9", "o2", "a9", "phone", doors=base.devices[0].doors)),
        credentials=(*base.credentials, carol),
        servers=tuple(replace(s, organisation="") for s in base.servers),
        sites=tuple(replace(s, organisation="") for s in base.sites),
        policies=(*base.policies, replace(base.policies[0], organisation="o2")),
    )


async def imap(at: Doors, who: tuple[str, str], source: str, said: str = "") -> tuple[Client, bytes]:
    client = await at.client(source=source)
    await client.line()
    if said:
        name, _, version = said.partition("/")
        client.send(f'i ID ("name" "{name}" "version" "{version}")\r\n'.encode())
        await client.until(b"i ")
    return client, await client.login_again(who[1], who[0])


def test_at_the_imap_door_by_network_and_by_id() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(two(organisation(upstream(await peer.start()))), clouds=CLOUDS)
        for who, source, said, evidence, welcome in (
            (ALICE, HOME, "", "", True),
            (ALICE, HOME, "Thunderbird/140", "", True),
            (ALICE, CLOUD, "", "network", False),
            (ALICE, HOME, MOBILE, "agent", False),
            (ALICE, CLOUD, MOBILE, "both", False),
            (CAROL, CLOUD, "", "network", True),
            (CAROL, HOME, MOBILE, "agent", True),
        ):
            client, answer = await imap(at, who, source, said)
            assert answer.startswith(b"a OK" if welcome else b"a NO"), (who, source, said, answer)
            assert (b"maker's cloud" in answer) is not welcome
            event = at.events("door.login.allowed" if welcome else "door.login.refused")[-1]
            assert event.data.get("cloud_evidence", "") == evidence
            assert event.data.get("cloud", "") == ("microsoft" if evidence else "")
            assert (event.data["reason"] == "cloud-client") is not welcome
            client.close()
        assert [name for name, _ in peer.logins].count("alice@example.org") == 2
        await at.server.stop()

    run(main)


def test_a_password_alone_from_a_cloud_hears_of_the_rung_and_not_of_clouds() -> None:
    async def main() -> None:
        at = await doors(two(organisation(upstream(await ImapPeer().start()))), clouds=CLOUDS)
        _, refused = await imap(at, ("alice@example.org", "her password"), CLOUD)
        _, at_home = await imap(at, ("alice@example.org", "her password"), HOME)
        assert refused == at_home
        assert b"register" in refused
        await at.server.stop()

    run(main)


def test_a_session_of_a_cloud_that_is_refused_now_ends() -> None:
    async def main() -> None:
        made = two(organisation(upstream(await ImapPeer().start())))
        at = await doors(made, clouds=CLOUDS)
        through, _ = await imap(at, CAROL, CLOUD)
        plain, _ = await imap(at, CAROL, HOME)
        first, second = made.organisations
        shut = replace(made, number=2, organisations=(first, replace(second, clouds=())))
        await at.server.apply_snapshot(SnapshotIndex(shut))
        assert [view.source for view in at.server.sessions()] == [HOME]
        through.close()
        plain.close()
        await at.server.stop()

    run(main)


def test_a_door_that_observes_lets_it_pass_and_records_what_it_would_do() -> None:
    async def main() -> None:
        made = two(organisation(upstream(await ImapPeer().start()), mode=Mode.OBSERVE))
        at = await doors(made, clouds=CLOUDS)
        _, answer = await imap(at, ALICE, CLOUD)
        assert answer.startswith(b"a OK")
        [event] = at.events("door.login.allowed")
        assert (event.data["opinion"], event.data["reason"], event.data["cloud"]) == (
            "deny",
            "cloud-client",
            "microsoft",
        )
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(("who", "source", "welcome"), [
    (ALICE, HOME, True), (ALICE, CLOUD, False), (CAROL, CLOUD, True),
])  # fmt: skip
def test_pop_and_submission_by_network(who: tuple[str, str], source: str, welcome: bool) -> None:
    async def main() -> None:
        for listener, made, begin, hello in (
            ("pop3", pop3_peer(), b"STLS\r\n", ""),
            ("submission", smtp_peer(), b"EHLO me\r\nSTARTTLS\r\n", "EHLO me\r\n"),
        ):
            at = await doors(two(organisation(upstream(await made.start()))), clouds=CLOUDS)
            client = await at.client(listener, source=source)
            await client.line()
            client.send(begin)
            while not (await client.line()).startswith((b"+OK", b"220 ")):
                pass
            await client.start_tls()
            plain = base64.b64encode(f"\0{who[0]}\0{who[1]}".encode()).decode()
            client.send(hello.encode())
            while hello and (await client.line())[3:4] == b"-":
                pass
            client.send(f"AUTH PLAIN {plain}\r\n".encode())
            answer = await client.line()
            assert answer.startswith((b"+OK", b"235")) is welcome, answer
            assert (b"maker's cloud" in answer) is not welcome
            client.close()
            await at.server.stop()

    run(main)


async def sync(stage: Stage, who: tuple[str, str], agent: str, source: str) -> Reply:
    """One ActiveSync request through the HTTPS door."""
    port = stage.at.ports["https"]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=pki().client(None), server_hostname=HOST, local_addr=(source, 0)
    )
    browser = Browser(reader, writer)
    user = who[0].partition("@")[0]
    reply = await browser.get(
        f"/Microsoft-Server-ActiveSync?Cmd=FolderSync&User={user}&DeviceId={user}1&DeviceType=Phone",
        f"Authorization: {basic(*who)}",
        f"User-Agent: {agent}",
        "MS-ASProtocolVersion: 14.1",
        "Content-Type: application/vnd.ms-sync.wbxml",
        method="POST",
        host=f"{HOST}:{port}",
        body=b"x",
    )
    browser.close()
    return reply


def test_outlook_mobile_at_the_https_door() -> None:
    async def talk(stage: Stage) -> None:
        door = stage.at.server.door
        door.settings = replace(door.settings, clouds=CLOUDS)
        install(stage.gate, door, load_clients())
        await stage.at.server.apply_snapshot(SnapshotIndex(two(stage.snapshot, 2)))
        for who, agent, source, welcome in (
            (ALICE, PHONE, HOME, True),
            (ALICE, MOBILE, HOME, False),
            (ALICE, MOBILE, CLOUD, False),
            (ALICE, PHONE, CLOUD, False),
            (CAROL, MOBILE, CLOUD, True),
            (CAROL, PHONE, HOME, True),
            (ALICE, PHONE, HOME, True),
        ):
            before = len(stage.application.lines)
            reply = await sync(stage, who, agent, source)
            assert reply.status == (200 if welcome else 403), (who, agent, source, reply)
            assert (b"maker" in reply.body) is not welcome
            assert len(stage.application.lines) - before == welcome  # nothing of it reached the server
        refused = stage.at.events("door.login.refused")
        assert (refused[0].data["reason"], refused[0].data["cloud_evidence"]) == ("cloud-client", "agent")
        assert {(e.data["reason"], e.account) for e in refused} == {("cloud-client", "a1")}
        admitted = stage.at.events("door.login.allowed")
        assert {(e.account, e.data.get("cloud", "")) for e in admitted} == {
            ("a1", ""),
            ("a9", ""),
            ("a9", "microsoft"),
        }

    staged(talk, product=Product.EXCHANGE)


@pytest.mark.parametrize("device_id", ["", '"name" "Outlook-iOS" "version" "4.2"'])
def test_an_engine_that_asks_hears_it_too(device_id: str) -> None:
    async def talk(api) -> None:
        answer = await api.ask("allow", **allow("s1", device_id=device_id))
        assert answer["status"] == (-1 if device_id else 0)

    with_api(talk)


# -- the administrator's own files


def test_a_folder_replaces_and_adds(tmp_path: Path) -> None:
    assert read_clouds("") is load_clouds()
    (tmp_path / "microsoft.toml").write_text(FILE)
    (tmp_path / "other.toml").write_text(FILE.replace("127.0.0.2/32", "192.0.2.0/24"))
    (tmp_path / "notes.txt").write_text("no cloud")
    found = read_clouds(str(tmp_path))
    assert [cloud.id for cloud in found.all] == ["microsoft", "other"]
    assert found.recognise("", CLOUD) is not None
    assert found.recognise("", "40.96.0.1") is None


@pytest.mark.parametrize("content", [None, b"name = 7", b"\xff\xff", b"x" * (1024 * 1024 + 1)])
def test_what_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "clouds"
    if content is not None:
        folder.mkdir()
        (folder / "a.toml").write_bytes(content)
    with pytest.raises(CloudError):
        read_clouds(str(folder))
    with pytest.raises(PlanError):
        DoorPlan(hostname="m", listeners=(), clouds=str(folder)).load()
