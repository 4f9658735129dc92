"""Snapshots: whole or not at all, never backwards, and acknowledged only when acted upon."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from hashlib import blake2b

import msgspec
import process_world as sample
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Network, Policy, PolicyException, PolicyRule
from gambeson.model.snapshot import SnapshotIndex
from gambeson.process.channel import Channel
from gambeson.process.messages import FromFollower, SnapshotAck
from gambeson.process.packet import pair
from gambeson.process.publisher import Follower, Publisher, PublishError
from gambeson.process.snapshots import SnapshotError, SnapshotFiles, SnapshotHolder, decode, encode, likeness
from gambeson.process.worker_link import WorkerLink

KEY = bytes(32)
POLICY = Policy(
    "o1",
    3,
    (
        PolicyRule(
            "r", Opinion.DENY, doors=(DoorKind.IMAP,), hours=("08:00", "18:00"), rung_at_least=Rung.DEVICE_KEY
        ),
    ),
    (Network("inside", ("10.0.0.0/8",), ((DoorKind.IMAP, Rung.DEVICE_KEY),)),),
    (PolicyException("e", DoorKind.POP3, Rung.KNOWLEDGE, "o", "r", 5.0),),
    ((DoorKind.IMAP, Rung.DEVICE_SECRET),),
    (ModeEntry(DoorKind.IMAP, Mode.OBSERVE, 9.0),),
)
FULL = sample.snapshot(7, KEY, policies=(POLICY,), failures=(("a1", 3),), bypass_until=(("o1", 8.5),))


def test_everything_comes_back_as_it_was():
    assert decode(encode(FULL)) == FULL
    assert likeness(FULL) == likeness(replace(FULL, number=9, made_at=1.0))
    assert likeness(FULL) != likeness(replace(FULL, failures=()))


def test_one_of_a_version_before_clouds_is_read_and_lets_none_in():
    plain = msgspec.msgpack.decode(encode(FULL)[16:-32])
    for organisation in plain["organisations"]:
        del organisation["clouds"]
    data = encode(FULL)[:16] + msgspec.msgpack.encode(plain)
    assert decode(data + blake2b(data, digest_size=32).digest()) == FULL
    assert FULL.organisations
    assert all(o.clouds == () for o in FULL.organisations)


@given(st.data())
def test_a_file_with_any_octet_changed_or_missing_is_refused(data):
    whole = encode(FULL)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    for bad in (bytes(changed), whole[:place]):
        with pytest.raises(SnapshotError):
            decode(bad)


@given(st.binary(max_size=200))
def test_anything_else_is_one_declared_error(junk):
    with pytest.raises(SnapshotError):
        decode(junk)


def test_files_are_0600_whole_and_the_last_three_stay(tmp_path):
    files = SnapshotFiles(tmp_path / "snapshots")
    assert files.last() == 0
    for number in range(1, 6):
        os.close(files.write(sample.snapshot(number, KEY)))
    names = sorted(p.name for p in (tmp_path / "snapshots").iterdir())
    assert names == ["000000000003.snap", "000000000004.snap", "000000000005.snap"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in (tmp_path / "snapshots").iterdir())
    (tmp_path / "snapshots" / "000000000006.new").write_bytes(b"half")
    assert SnapshotFiles(tmp_path / "snapshots").last() == 5
    assert not (tmp_path / "snapshots" / "000000000006.new").exists()


@given(st.lists(st.integers(1, 30), max_size=15))
def test_a_holder_never_goes_back(numbers):
    holder, highest = SnapshotHolder(), 0
    for number in numbers:
        fd = os.memfd_create("s")
        os.write(fd, encode(sample.snapshot(number, KEY)))
        taken = holder.take(number, fd)
        os.close(fd)
        assert (taken is not None) == (number > highest)
        highest = max(highest, number)
        assert holder.number == highest


def test_a_file_that_is_not_the_one_announced_leaves_the_old_one():
    holder = SnapshotHolder()
    fd = os.memfd_create("s")
    os.write(fd, encode(sample.snapshot(3, KEY)))
    with pytest.raises(SnapshotError, match="4 was announced and 3 came"):
        holder.take(4, fd)
    assert holder.number == 0
    assert holder.take(3, fd) is not None
    fresh = holder.freshen(3, sample.NOW + 20)
    assert fresh.snapshot.made_at == sample.NOW + 20
    assert fresh.account is holder.index.account
    assert holder.freshen(2, sample.NOW + 40) is None
    assert holder.freshen(3, sample.NOW).snapshot.made_at == sample.NOW  # a clock may be set back
    reader, writer = os.pipe()
    with pytest.raises(SnapshotError, match="no plain file"):
        holder.take(9, reader)
    for one in (fd, reader, writer):
        os.close(one)


class World:
    """A publisher over a folder, with followers joined by real channels."""

    def __init__(self, folder):
        self.state = {"failures": ()}
        self.builds = 0
        self.publisher = Publisher(SnapshotFiles(folder), self.build, time.time)

    async def build(self, number, now):
        self.builds += 1
        await asyncio.sleep(0.01)
        if self.state["failures"] is None:
            raise RuntimeError("database is locked")
        return sample.snapshot(number, KEY, **self.state)

    def follow(self, name, on_snapshot, role="doors"):
        ours, theirs = pair()

        def heard(message, fds):
            if isinstance(message, SnapshotAck):
                self.publisher.acknowledge(name, message.number)
            elif hasattr(message, "number"):
                self.publisher.hello(name, message.number)

        self.publisher.followers[name] = Follower(role, Channel(ours, FromFollower, heard))
        return WorkerLink(theirs, name, on_snapshot=on_snapshot)


def test_an_acknowledgement_comes_after_the_work_and_the_slow_are_named(tmp_path):
    async def main():
        world, done = World(tmp_path), []

        async def quick(index):
            await asyncio.sleep(0.1)
            done.append(index.snapshot.number)

        async def slow(index):
            await asyncio.sleep(30)

        world.follow("doors.1.0", quick)
        world.follow("doors.1.1", slow)
        result = await world.publisher.publish(0.4)
        assert (result.acknowledged, result.missing) == (("doors.1.0",), ("doors.1.1",))
        assert done == [result.number]

    asyncio.run(main())


def test_a_question_is_answered_by_a_build_begun_after_it_and_builds_are_shared(tmp_path):
    async def main():
        world = World(tmp_path)
        seen = []
        world.follow("doors.1.0", lambda index: seen.append(dict(index.failures)))

        async def change(n):
            world.state["failures"] = (("a1", n),)
            result = await world.publisher.publish(1.0)
            assert result.missing == ()
            assert seen[-1]["a1"] >= n

        tasks = []
        for n in range(1, 31):
            tasks.append(asyncio.create_task(change(n)))
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        assert world.builds < 30

    asyncio.run(main())


def test_nothing_new_is_a_word_not_a_file_and_a_change_is_a_file(tmp_path):
    async def main():
        world, fresh = World(tmp_path), []
        link = world.follow("doors.1.0", lambda index: None)
        link._on_fresh = lambda index: fresh.append(index.snapshot.made_at)
        await world.publisher.publish(1.0)
        number, before = link.holder.number, link.index.snapshot.made_at
        await world.publisher.refresh()
        await asyncio.sleep(0.05)
        assert link.holder.number == number
        assert fresh
        assert link.index.snapshot.made_at == fresh[-1] > before
        world.state["failures"] = (("a1", 1),)
        await world.publisher.refresh()
        await asyncio.sleep(0.05)
        assert link.holder.number == number + 1

    asyncio.run(main())


def test_a_locked_store_is_a_problem_that_passes(tmp_path):
    async def main():
        world = World(tmp_path)
        world.follow("doors.1.0", lambda index: None)
        await world.publisher.publish(1.0)
        world.state["failures"] = None
        with pytest.raises(PublishError, match="database is locked"):
            await world.publisher.publish(1.0)
        assert "locked" in world.publisher.problem
        world.state["failures"] = ()
        assert (await world.publisher.publish(1.0)).missing == ()
        assert world.publisher.problem == ""

    asyncio.run(main())


def test_numbers_grow_over_restarts_and_even_where_the_folder_was_lost(tmp_path):
    async def main():
        first = World(tmp_path / "a")
        keeper = first.follow("keeper", lambda index: None, "keeper")
        for _ in range(5):
            await first.publisher.publish(1.0)
        again = World(tmp_path / "a")
        assert (await again.publisher.publish(0.0)).number == 6
        lost = World(tmp_path / "b")
        await lost.publisher.publish(0.0)
        ours, _theirs = pair()
        lost.publisher.followers["keeper"] = Follower(
            "keeper", Channel(ours, FromFollower, lambda m, f: None)
        )
        lost.publisher.followers["doors.1.0"] = Follower(
            "doors", Channel(pair()[0], FromFollower, lambda m, f: None)
        )
        lost.publisher.hello("keeper", keeper.holder.number)
        lost.publisher.hello("doors.1.0", 2**61)  # a hijacked door
        assert (await lost.publisher.publish(0.0)).number == 6

    asyncio.run(main())


def test_the_sample_index_is_what_a_door_looks_things_up_in():
    assert SnapshotIndex(FULL).account_by_address["ada@sample.example"].id == "a1"
