"""A door as the process it is: born of a certificate, fed by worker and keeper, stopped and drained."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.throttle import Throttle
from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.main import DoorProcess
from gambeson.guard.edge.plan import CertificatePlan, DoorPlan
from gambeson.model.access import Listener
from gambeson.model.snapshot import Snapshot
from gambeson.process.channel import Channel
from gambeson.process.child import BirthCertificate
from gambeson.process.family import Child
from gambeson.process.keeper_messages import CredentialAsk, CredentialGiven, DeviceKey, KeeperHello
from gambeson.process.messages import (
    ChildReady,
    Drain,
    FollowerHello,
    FromFollower,
    Message,
    SegmentOffer,
    Sessions,
    SessionsAsk,
    SnapshotAck,
    SnapshotOffer,
    Stop,
    ThrottleState,
    ToSupervisor,
)
from gambeson.process.packet import pair
from gambeson.process.snapshots import encode
from gambeson.process.spool import SpoolReader
from guard.edge.doors import (
    KEY,
    UPSTREAM_PASSWORD,
    Client,
    ImapPeer,
    organisation,
    pki,
    revoked,
    run,
    upstream,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
)
SRC = str(Path(__file__).parents[3] / "src")
MAIN = f"""import sys
sys.path.insert(0, {SRC!r})
from gambeson.process import child
from gambeson.guard.edge.main import run_doors
sys.exit(child.run(run_doors))"""


class Household:
    """Supervisor, worker and keeper of one door, in this process."""

    def __init__(self) -> None:
        self.child = Child("doors.1", "doors")
        self.ready = asyncio.Event()
        self.acknowledged: asyncio.Queue[int] = asyncio.Queue()
        self.record = Path(tempfile.mkdtemp(dir=pki().folder)) / "events"
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.snapshot: Snapshot | None = None

    def start(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        worker, workers_door = pair()
        keeper, keepers_door = pair()
        certificate, key, _ = pki().door
        plan = DoorPlan(
            hostname="mail.example.org",
            listeners=(ListenerSettings("imaps", Listener.IMAPS),),
            certificates=(CertificatePlan(certificate, key),),
        )
        ours = self.child.spawn(
            [sys.executable, "-c", MAIN],
            BirthCertificate(role="doors", name="doors.1", parent=os.getpid(), parameters=plan.plain()),
            {"worker": ("worker", workers_door), "keeper": ("keeper", keepers_door)},
            {"imaps": self.sock},
        )
        self.supervisor = Channel(ours, ToSupervisor, self._reported)
        self.worker = Channel(worker, FromFollower, self._followed)
        self.keeper = Channel(keeper, KeeperHello | CredentialAsk, self._asked)

    def offer(self, snapshot: Snapshot) -> None:
        fd = os.memfd_create("snapshot")
        os.write(fd, encode(snapshot))
        # A memory file has no path; the door only wants a plain file.
        self.worker.send(SnapshotOffer(number=snapshot.number), [fd])
        os.close(fd)

    def events(self) -> list[str]:
        with open(self.record, "rb") as file:
            return [e.kind for e in SpoolReader(file.fileno()).read().events]

    async def ended(self) -> int:
        assert self.child.process is not None
        return await asyncio.to_thread(self.child.process.wait, 15)

    def _reported(self, message: Message, _: object) -> None:
        if isinstance(message, ChildReady):
            self.ready.set()

    def _followed(self, message: Message, _: object) -> None:
        if isinstance(message, FollowerHello) and self.snapshot is not None:
            self.offer(self.snapshot)
            fd = os.open(self.record, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            self.worker.send(SegmentOffer(segment="one"), [fd])
            os.close(fd)
            self.worker.send(ThrottleState())
        elif isinstance(message, SnapshotAck):
            self.acknowledged.put_nowait(message.number)

    def _asked(self, message: Message, _: object) -> Message:
        if isinstance(message, KeeperHello):
            return DeviceKey(key=KEY)
        return CredentialGiven(
            mechanism="PLAIN", authcid="alice@example.org", secret=UPSTREAM_PASSWORD.encode()
        )


async def _serving(peer: ImapPeer) -> tuple[Household, Client, Snapshot]:
    snapshot = organisation(upstream(await peer.start()))
    home = Household()
    home.start(snapshot)
    async with asyncio.timeout(20):
        await home.ready.wait()
    client = await Client.connect(home.port, tls=True)
    assert (await client.login()).startswith(b"a OK")
    return home, client, snapshot


def test_a_door_serves_acknowledges_after_closing_and_stops_by_sigterm() -> None:
    async def main() -> None:
        home, client, snapshot = await _serving(ImapPeer())
        assert await home.acknowledged.get() == 1
        listed = await home.worker.request(SessionsAsk(), Sessions)
        assert [(s.address, s.process) for s in listed.sessions] == [("alice@example.org", "doors.1")]
        home.offer(revoked(snapshot))
        assert await home.acknowledged.get() == 2
        assert (await client.rest()).startswith(b"* BYE")
        assert home.child.process is not None
        os.kill(home.child.process.pid, signal.SIGTERM)
        assert await home.ended() == 0
        assert home.events() == ["door.login.allowed", "door.session.closed"]

    run(main, 25)


def test_drain_keeps_the_session_and_takes_nobody_new_then_ends() -> None:
    async def main() -> None:
        home, client, _ = await _serving(ImapPeer())
        home.supervisor.send(Drain(seconds=30))
        await asyncio.sleep(0.5)
        client.send(b"b NOOP\r\n")
        assert (await client.until(b"b "))[-1] == b"b OK\r\n"
        client.close()
        assert await home.ended() == 0

    run(main, 25)


def test_stop_ends_even_a_draining_door_with_bye() -> None:
    async def main() -> None:
        home, client, _ = await _serving(ImapPeer())
        home.supervisor.send(Drain(seconds=3000))
        await asyncio.sleep(0.3)
        home.supervisor.send(Stop(seconds=5))
        assert (await client.rest()).startswith(b"* BYE")
        assert await home.ended() == 0

    run(main, 25)


def test_a_plan_that_does_not_fit_ends_with_a_sentence() -> None:
    async def main() -> None:
        home = Household()
        ours = home.child.spawn(
            [sys.executable, "-c", MAIN],
            BirthCertificate(role="doors", name="doors.1", parent=os.getpid(), parameters={"hostname": 3}),
            {},
            {},
        )
        said: asyncio.Queue[Message] = asyncio.Queue()
        home.supervisor = Channel(ours, ToSupervisor, lambda message, _: said.put_nowait(message))
        assert "settings don't fit" in (await said.get()).sentence  # type: ignore[attr-defined]
        assert await home.ended() == 2

    run(main, 25)


@given(st.binary(max_size=400) | st.recursive(SCALARS, lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_whatever_counters_a_liar_left_the_door_goes_on(left: object) -> None:
    data = left if isinstance(left, bytes) else msgspec.msgpack.encode(left)
    told: list[str] = []
    throttle = Throttle()
    throttle.check("192.0.2.1", "a@b.example", "", False, 1.8e9)
    door = SimpleNamespace(
        throttle=throttle,
        counting=time.time,
        recorder=SimpleNamespace(record=lambda kind, **_: told.append(kind)),
    )
    DoorProcess._take_counts(SimpleNamespace(server=SimpleNamespace(door=door)), data)  # type: ignore[arg-type]
    assert told == ["door.throttle.unusable"]
    assert throttle.failures("a@b.example", 1.8e9) == 1


def test_counters_of_the_future_end_and_an_endless_source_ends() -> None:
    liar = Throttle()
    liar._sources["a1"] = {"192.0.2.0/24": 1e300}
    liar.check("192.0.2.1", "a@b.example", "", False, 4e9)
    door = SimpleNamespace(throttle=Throttle(), counting=time.time, settings=SimpleNamespace(directory=None))
    process = SimpleNamespace(server=SimpleNamespace(door=door))
    DoorProcess._take_counts(process, msgspec.msgpack.encode(liar.dump()))  # type: ignore[arg-type]
    now = time.time()
    assert door.throttle.failures("a@b.example", now) == 1
    assert door.throttle.failures("a@b.example", now + 2 * 86400) == 0
    assert not door.throttle._known_source("a1", "192.0.2.0/24", now + 40 * 86400)
