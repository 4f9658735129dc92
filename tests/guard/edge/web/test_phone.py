"""A phone through the real door to the Exchange emulator: TLS, octets, both forms of the query, and its refusals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.web.clients import load_clients
from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.data import default_policy_text
from gambeson.guard.edge.web.exchange import install
from gambeson.guard.edge.web.gate import WebGate, WebRules
from gambeson.model.access import DoorKind
from gambeson.model.asset import DeviceState
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Product, Site
from gambeson.playground.exchange.front_end import FrontEnd
from gambeson.playground.exchange.logs import ExchangeLogs
from gambeson.playground.exchange.pages import inbox
from gambeson.playground.exchange.serve import application
from gambeson.playground.mailboxes import Mailboxes
from guard.edge.doors import SECRET, UPSTREAM_PASSWORD, Doors, doors, organisation, pki, run
from guard.edge.web.webdoors import HOST, HTTPS, WEB, Browser
from peers.eas import PATH, Phone, Said, over_https, subjects

ALICE, BOB = "alice@example.org", "bob@example.org"
LETTER = b"From: bob@example.org\r\nTo: alice@example.org\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n"


class Place:
    """The emulator, the door before it, and a phone's work in a thread."""

    def __init__(self, root: Path) -> None:
        self.boxes = Mailboxes(root / "mail", {ALICE: (), BOB: ()})
        self.boxes.deliver(ALICE, LETTER)
        self.logs = root / "logs"

    async def start(self) -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        front = FrontEnd(self.boxes, {ALICE: UPSTREAM_PASSWORD})
        emulator = application(front, ExchangeLogs(self.logs))
        config = uvicorn.Config(emulator, http="httptools", ws="none", lifespan="off", log_config=None)
        config.load()
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)
        await self.server.startup(sockets=[sock])
        self.serving = asyncio.create_task(self.server.main_loop())
        endpoint = Endpoint(DoorKind.OWA, "127.0.0.1", sock.getsockname()[1], tls=UpstreamTls.NONE)
        site = Site("emulator", Product.EXCHANGE, (HOST,), endpoint, "o1")
        base = organisation()
        every = tuple(replace(d, doors=tuple(DoorKind)) for d in base.devices)
        self.snapshot = replace(
            base, sites=(site,), devices=every, policies=(parse_policy(default_policy_text(), "o1"),)
        )
        self.at: Doors = await doors(self.snapshot, listeners=HTTPS, web=WEB)
        door = self.at.server.door
        self.gate = WebGate(door, WebRules(load_grammars(), load_shields()))
        install(self.gate, door, load_clients())
        door.gate = self.gate

    def phone(self, **more: object) -> Phone:
        send = over_https(HOST, self.at.ports["https"], pki().client(None), "127.0.0.1")
        return Phone(send, ALICE, SECRET.text, **more)  # type: ignore[arg-type]

    async def use(self, **changes: object) -> None:
        """A newer snapshot, with changes to the one device."""
        number = self.snapshot.number + 1
        devices = tuple(replace(d, **changes) for d in self.snapshot.devices)  # type: ignore[arg-type]
        self.snapshot = replace(self.snapshot, number=number, devices=devices)
        await self.at.server.apply_snapshot(SnapshotIndex(self.snapshot))

    async def stop(self) -> None:
        self.gate.close()
        await self.at.server.stop()
        self.server.should_exit = self.server.force_exit = True
        await self.serving
        await self.server.shutdown()


def placed(talk: Callable[[Place], Awaitable[None]], root: Path) -> None:
    async def main() -> None:
        place = Place(root)
        await place.start()
        try:
            await talk(place)
        finally:
            await place.stop()

    run(main)


def conversation(phone: Phone) -> list[Said]:
    """What a phone does in its first minute."""
    said = [phone.options(), phone.folder_sync(), phone.provision(), phone.folder_sync()]
    phone.sync()
    last, letters = phone.sync()
    assert subjects(letters) == ["Lunch?"]
    mail = b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Yes\r\n\r\nGood.\r\n"
    return [*said, last, phone.send_mail(mail), phone.ping(1)]


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "base64"])
@pytest.mark.parametrize("version", ["14.1", "16.1"])
def test_a_phone_reads_and_sends_through_the_door(tmp_path: Path, coded: bool, version: str) -> None:
    async def talk(place: Place) -> None:
        phone = place.phone(version=version, coded=coded)
        said = await asyncio.to_thread(conversation, phone)
        options, refused, provisioned, folders, synced, sent, pinged = said
        assert "16.1" in options.headers["ms-asprotocolversions"]
        assert (refused.status, refused.inner) == (200, "142")
        assert provisioned.inner == folders.inner == "1"
        assert {kind for kind, _ in phone.folders.values()} == {"2"}
        assert (synced.status, sent.status, pinged.inner) == (200, 200, "1")
        assert [letter["Subject"] for letter in inbox(place.boxes, BOB)] == ["Yes"]
        assert [ask.account for ask in place.at.keeper.asked] == ["a1"]
        log = "".join(p.read_text() for p in place.logs.rglob("*.LOG"))
        assert SECRET.text not in log

    placed(talk, tmp_path)


def test_an_old_phone_is_told_449_by_the_server(tmp_path: Path) -> None:
    async def talk(place: Place) -> None:
        phone = place.phone(version="12.1")
        assert (await asyncio.to_thread(phone.folder_sync)).status == 449

    placed(talk, tmp_path)


@pytest.mark.parametrize(("version", "refusal"), [("14.1", (200, "129")), ("12.1", (403, ""))])
def test_a_phone_in_quarantine_settles_and_reads_after_approval(
    tmp_path: Path, version: str, refusal: tuple[int, str]
) -> None:
    async def talk(place: Place) -> None:
        await place.use(state=DeviceState.QUARANTINED)
        phone = place.phone(version=version)

        def held() -> None:
            assert phone.options().status == 200
            first = phone.folder_sync()
            assert (first.status, first.inner) == ((200, "142") if version == "14.1" else (449, ""))
            assert phone.provision().inner == "1"
            for _ in range(2):
                again = phone.folder_sync()
                assert (again.status, again.inner) == refusal

        await asyncio.to_thread(held)
        assert place.at.keeper.asked == []
        await place.use(state=DeviceState.REGISTERED)

        def served() -> None:
            again = phone.folder_sync()
            assert (again.status, again.inner) in ((200, "142"), (449, ""))  # the server's own policy
            phone.provision()
            assert phone.folder_sync().inner == "1"

        await asyncio.to_thread(served)

    placed(talk, tmp_path)


def test_a_revoked_phones_ping_ends_at_once(tmp_path: Path) -> None:
    async def talk(place: Place) -> None:
        phone = place.phone()
        await asyncio.to_thread(phone.provision)
        await asyncio.to_thread(phone.folder_sync)
        waiting = asyncio.create_task(asyncio.to_thread(phone.ping, 20))
        await asyncio.sleep(0.3)
        await place.use(state=DeviceState.BLOCKED)
        with pytest.raises(OSError):  # noqa: PT011 - the connection ends, however the client names it
            await asyncio.wait_for(waiting, 10)
        again = await asyncio.to_thread(place.phone(policy_key=phone.policy_key).folder_sync)
        assert (again.status, again.inner) == (200, "129")

    placed(talk, tmp_path)


def test_another_phone_with_the_same_secret_is_refused(tmp_path: Path) -> None:
    async def talk(place: Place) -> None:
        await asyncio.to_thread(place.phone().provision)
        thief = place.phone(device_id="THIEF1")
        assert (await asyncio.to_thread(thief.folder_sync)).status == 403

    placed(talk, tmp_path)


def test_outlooks_autodiscover_comes_back_public(tmp_path: Path) -> None:
    async def talk(place: Place) -> None:
        phone = place.phone()
        body = (
            b"<Autodiscover><Request><EMailAddress>alice@example.org</EMailAddress><AcceptableResponseSchema>"
            b"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
            b"</AcceptableResponseSchema></Request></Autodiscover>"
        )
        headers = {**phone._headers(), "Content-Type": "text/xml"}
        status, found, answer = await asyncio.to_thread(
            phone.send, "POST", "/autodiscover/autodiscover.xml", headers, body
        )
        assert status == 200
        assert b"emulator01" not in answer.lower()
        assert f"https://{HOST}:{place.at.ports['https']}/EWS/Exchange.asmx".encode() in answer
        assert "x-feserver" not in found
        bare = {"Content-Type": "text/xml"}
        status, _, _ = await asyncio.to_thread(
            phone.send, "POST", "/autodiscover/autodiscover.xml", bare, body
        )
        assert status == 401

    placed(talk, tmp_path)


def test_both_forms_in_one_request_never_reach_the_server(tmp_path: Path) -> None:
    async def talk(place: Place) -> None:
        phone = place.phone()
        coded = replace_coded(phone)
        for query in (f"{coded}&{phone._plain('Sync')}", f"{phone._plain('Sync')}&{coded}"):
            status, _, _ = await asyncio.to_thread(
                phone.send, "POST", f"{PATH}?{query}", phone._headers(), b""
            )
            assert status in (400, 404)
        browser = await Browser.connect(place.at.ports["https"])
        browser.close()
        assert not list(place.logs.rglob("*.LOG"))

    placed(talk, tmp_path)


def replace_coded(phone: Phone) -> str:
    return phone._coded("FolderSync")
