"""Throttle counters outlive the door that counted: across a crash, a reload and a restart of the worker."""

from __future__ import annotations

import asyncio
import stat

import msgspec
import process_world as sample
import pytest

from gambeson.guard.core.throttle import Throttle
from gambeson.process.channel import Channel
from gambeson.process.child import Peer
from gambeson.process.messages import MAX_STATE, FollowerHello, Message, ThrottleState
from gambeson.process.packet import pair
from gambeson.process.throttle_shelf import ThrottleShelf, elder
from gambeson.process.worker import Worker
from gambeson.process.worker_link import WorkerLink

NOW = sample.NOW


class Store:
    def build(self, number, now):
        return sample.snapshot(number, bytes(32), made_at=now)

    def cursors(self):
        return {}

    def ingest(self, events, cursor):
        pass

    def forget(self, segment):
        pass


class Door:
    """A door's link with a throttle of its own; ``worker`` knows it under ``name``."""

    def __init__(self, worker, name):
        ours, theirs = pair()
        self.name, self.throttle, self.refused = name, Throttle(), ""
        self.link = WorkerLink(
            theirs, name, on_snapshot=lambda index: None, counts=self.dump, on_counts=self.take
        )
        worker.add_peer(Peer(name, "doors", ours))

    def dump(self):
        return msgspec.msgpack.encode(self.throttle.dump())

    def take(self, data):
        self.throttle.load(msgspec.msgpack.decode(data), NOW)

    def guess(self, times):
        for _ in range(times):
            self.throttle.check("192.0.2.1", "nobody@sample.example", "", False, NOW)

    @property
    def counted(self):
        return self.throttle.failures("nobody@sample.example", NOW)


def conversation(main, folder):
    async def bounded():
        async with asyncio.timeout(20):
            worker = Worker(Store(), folder)
            await worker.start([])
            await main(worker)
            await worker._last_words()

    asyncio.run(bounded())


def test_a_new_generation_begins_with_what_the_old_one_counts_at_that_moment(tmp_path):
    async def main(worker):
        old = Door(worker, "doors.1.0")
        await old.link.first(5)
        old.guess(7)  # said to nobody yet
        new = Door(worker, "doors.2.0")
        await new.link.first(5)
        assert new.counted == 7
        new.guess(2)
        new.link.tell_counts()
        old.guess(1)
        old.link.tell_counts()  # it drains, and must not undo what its successor says
        await asyncio.sleep(0.1)
        third = Door(worker, "doors.3.0")
        await third.link.first(5)
        assert third.counted == 9

    conversation(main, tmp_path)


def test_a_door_started_again_gets_its_own_counters_back(tmp_path):
    async def main(worker):
        first = Door(worker, "doors.1.0")
        await first.link.first(5)
        first.guess(5)
        first.link.tell_counts()
        await asyncio.sleep(0.1)
        first.link._channel.close()  # killed
        again = Door(worker, "doors.1.0")
        await again.link.first(5)
        assert again.counted == 5

    conversation(main, tmp_path)


def test_counters_outlive_the_worker_and_the_supervisor(tmp_path):
    async def before(worker):
        door = Door(worker, "doors.7.0")
        await door.link.first(5)
        door.guess(4)
        door.link.tell_counts()
        await asyncio.sleep(0.1)

    async def after(worker):
        door = Door(worker, "doors.1.0")
        await door.link.first(5)
        assert door.counted == 4
        door.guess(1)
        door.link.tell_counts()
        await asyncio.sleep(0.1)
        assert worker._shelf.said_by("doors.1.0")

    conversation(before, tmp_path)
    file = tmp_path / "throttle" / "0.state"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    conversation(after, tmp_path)


def test_a_door_that_hangs_does_not_keep_the_next_one_from_starting(tmp_path):
    async def main(worker):
        ours, theirs = pair()
        worker.add_peer(Peer("doors.1.0", "doors", ours))
        deaf = Channel(theirs, FollowerHello, lambda m, f: None)
        new = Door(worker, "doors.2.0")
        await new.link.first(5)
        assert new.counted == 0
        deaf.close()

    conversation(main, tmp_path)


def test_a_worker_from_before_an_upgrade_that_hands_nothing_over_is_not_waited_for(tmp_path):
    async def main(worker):
        worker._hand_counts = lambda name, life: asyncio.sleep(0)
        door = Door(worker, "doors.1.0")
        began = asyncio.get_running_loop().time()
        await door.link.first(5)
        assert 1.5 < asyncio.get_running_loop().time() - began < 4
        door.guess(3)
        door.link._predecessor(msgspec.msgpack.encode(Throttle().dump()))
        assert door.counted == 3  # too late: it counts itself already

    conversation(main, tmp_path)


def test_a_door_is_as_old_as_its_last_word_from_the_first_snapshot_on(tmp_path):
    async def main(worker):
        door = Door(worker, "doors.1.0")
        await door.link.first(5)
        await asyncio.sleep(0.2)
        young = worker.snapshot_ages()["doors.1.0"]
        assert young < 5
        door.link._ticker.cancel()  # it hangs
        await asyncio.sleep(0.5)
        assert worker.snapshot_ages()["doors.1.0"] >= young + 0.5
        worker.remove_peer("doors.1.0")
        assert worker.snapshot_ages() == {}

    conversation(main, tmp_path)


def test_what_is_longer_than_the_limit_is_not_taken(tmp_path):
    async def main(worker):
        ours, theirs = pair()
        worker.add_peer(Peer("doors.1.0", "doors", ours))
        liar = Channel(theirs, Message, lambda m, f: None)
        liar.send(ThrottleState(data=b"x" * (MAX_STATE + 1)))
        liar.send(ThrottleState(data=b"y" * MAX_STATE))
        await asyncio.sleep(0.2)
        assert worker._shelf.get("doors.1.0") == b"y" * MAX_STATE
        assert worker._publisher.followers["doors.1.0"].channel.dropped == 1
        liar.close()

    conversation(main, tmp_path)


def test_a_door_replaces_no_other_slots_counters(tmp_path):
    shelf = ThrottleShelf(tmp_path)
    assert shelf.put("doors.2.0", b"zero", ["doors.2.0", "doors.2.1"])
    assert shelf.put("doors.2.1", b"one", ["doors.2.0", "doors.2.1"])
    assert not shelf.put("doors.1.1", b"old", ["doors.1.1", "doors.2.1"])
    assert (shelf.get("doors.3.0"), shelf.get("doors.3.1"), shelf.get("doors.3.2")) == (
        b"zero",
        b"one",
        b"zero",
    )
    shelf.write(shelf.take_unwritten())
    (tmp_path / "1.state").write_bytes(b"torn")
    again = ThrottleShelf(tmp_path)
    assert (again.get("doors.1.0"), again.get("doors.1.1")) == (b"zero", b"zero")
    assert not (tmp_path / "1.state").exists()


@pytest.mark.parametrize(
    ("name", "others", "before"),
    [
        ("doors.3.0", ["doors.1.0", "doors.2.0", "doors.3.0", "doors.4.0", "doors.2.1"], "doors.2.0"),
        ("doors.10.0", ["doors.9.0", "doors.1.0"], "doors.9.0"),
        ("doors.1.0", ["doors.2.0", "doors.0.1"], ""),
    ],
)
def test_the_elder_of_a_door(name, others, before):
    assert elder(name, others) == before
