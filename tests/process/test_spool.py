"""The spool: every event once, whoever is killed, at whichever octet."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.process.ingestion import Ingestion
from gambeson.process.spool import MAX_KEPT, SpoolReader, SpoolWriter

FATES = ("", "before", "after", "forget", "door", "torn")


class Killed(BaseException):
    """Stands for kill -9."""


class Books:
    """A store that keeps events and cursor together, and may be killed before or after."""

    def __init__(self):
        self.events, self.cursors, self.die = [], {}, ""

    async def ingest(self, events, cursor):
        if self.die == "before":
            raise Killed
        self.events += [e.id for e in events]
        self.cursors[cursor.segment] = cursor.offset
        if self.die == "after":
            raise Killed

    async def forget(self, segment):
        if self.die == "forget":
            raise Killed
        self.cursors.pop(segment, None)


def worker(folder, books):
    return Ingestion(folder, books.ingest, books.forget, dict(books.cursors), rotate_at=400)


def drain(ingestion):
    async def go():
        while await ingestion.step():
            pass
        await ingestion.step()

    asyncio.run(go())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["", "before", "after", "forget", "door", "torn"])),
        max_size=12,
    )
)
def test_events_are_taken_exactly_once_whatever_is_killed_and_when(story):
    """Each step: the door writes some events, then the worker takes them or is killed before, after
    or between; or the door is killed (``torn``: in the middle of a frame) and a new one comes."""
    with tempfile.TemporaryDirectory() as name:
        folder, books = Path(name), Books()
        ingestion = worker(folder, books)
        life, door, written = 1, SpoolWriter("doors.1.0", 1), []
        ingestion.hello("doors.1.0", life, "")
        door.use(*ingestion.offer("doors.1.0", life))
        for count, fate in story:
            for n in range(count):
                assert door.append("door.login.allowed", float(n), data={"n": "x" * 30})
                written.append(f"doors.1.0/{life:x}/{door._count:x}")
            books.die = fate if fate in ("before", "after", "forget") else ""
            if fate in ("door", "torn"):
                if fate == "torn":
                    os.write(door._fd, b"\xe7\x01\x00\x00\x00\x40half a fra")
                os.close(door._fd)
                life += 1
                door = SpoolWriter("doors.1.0", life)
                assert ingestion.hello("doors.1.0", life, "")
                door.use(*ingestion.offer("doors.1.0", life))
            try:
                drain(ingestion)
            except Killed:
                books.die = ""
                ingestion = worker(folder, books)
                ingestion.hello("doors.1.0", life, door.segment)
            for owner, its in ingestion.full():
                before = door.use(*ingestion.offer(owner, its))
                ingestion.close_segment(owner, before)
        books.die = ""
        door.close()
        ingestion.keep_only(set())
        drain(ingestion)
        assert books.events == written
        assert books.cursors == {}
        assert list(folder.iterdir()) == []


@given(st.integers(1, 4), st.data())
def test_a_file_cut_at_any_octet_gives_its_whole_frames_and_no_error(count, data):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s"
        door = SpoolWriter("d", 1)
        door.use("s", os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        ends = [0]
        for n in range(count):
            door.append("door.x", float(n))
            ends.append(path.stat().st_size)
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        reader = SpoolReader(os.open(path, os.O_RDONLY))
        read = reader.read()
        whole = max(i for i, end in enumerate(ends) if end <= cut)
        assert len(read.events) == whole
        assert (read.offset, read.torn, read.damaged) == (ends[whole], cut - ends[whole], False)
        reader.close()
        door.close()


@given(st.binary(max_size=300))
def test_any_octets_in_a_segment_are_an_answer_not_an_error(junk):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s"
        path.write_bytes(junk)
        reader = SpoolReader(os.open(path, os.O_RDONLY))
        reader.read()
        reader.close()


def test_a_full_disk_closes_the_door_and_loses_nothing_up_to_the_bound(tmp_path):
    room = [40]

    def write(fd, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: room[0]]
        room[0] -= len(part)
        return os.write(fd, part)

    path = tmp_path / "s"
    door = SpoolWriter("doors.1.0", 1, write)
    assert not door.healthy
    door.use("s", os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    assert door.healthy
    assert not door.append("door.login.allowed", 1.0)
    assert not door.healthy
    assert "No space left" in door.problem
    for n in range(MAX_KEPT + 4):
        door.append("door.login.refused", float(n))
    assert door.lost == 5
    room[0] = 10**9
    assert door.retry()
    assert door.healthy
    reader = SpoolReader(os.open(path, os.O_RDONLY))
    events = reader.read().events
    assert len(events) == MAX_KEPT
    assert len({e.id for e in events}) == MAX_KEPT
    reader.close()


def test_a_half_written_frame_is_written_whole_in_the_next_segment(tmp_path):
    state = {"room": 20}

    def write(fd, data):
        if state["room"] <= 0:
            raise OSError(errno.ENOSPC, "full")
        part = data[: state["room"]]
        state["room"] -= len(part)
        return os.write(fd, part)

    door = SpoolWriter("doors.1.0", 1, write)
    for name in ("a", "b"):
        door.use(name, os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        if name == "a":
            door.append("door.x", 1.0)
            state["room"] = 10**6
    a, b = (SpoolReader(os.open(tmp_path / n, os.O_RDONLY)).read() for n in "ab")
    assert (len(a.events), a.torn) == (0, 20)
    assert [e.kind for e in b.events] == ["door.x"]


def test_a_hijacked_door_cannot_speak_for_others(tmp_path):
    books = Books()
    ingestion = worker(tmp_path, books)
    ingestion.hello("doors.1.0", 1, "")
    segment, fd = ingestion.offer("doors.1.0", 1)
    liar = SpoolWriter("doors.2.0", 1)
    liar.use(segment, fd)
    liar.append("door.login.allowed", 1.0)
    liar._prefix = "doors.1.0/1/"
    liar.append("admin.device.revoked", 1.0)
    liar.append("keeper.credential.given", 1.0)
    liar.append("door.login.allowed", 1.0)
    drain(ingestion)
    assert books.events == ["doors.1.0/1/4"]
    assert ingestion.rejected == 3
    ingestion.close_segment("doors.9.9", segment)
    assert ingestion.hello("doors.1.0", 1, segment) is False
    liar.close()


@pytest.mark.parametrize("damage", ["garbage", "shrunk"])
def test_a_damaged_segment_is_set_aside_counted_and_replaced(tmp_path, damage):
    books = Books()
    ingestion = worker(tmp_path, books)
    ingestion.hello("doors.1.0", 1, "")
    segment, fd = ingestion.offer("doors.1.0", 1)
    door = SpoolWriter("doors.1.0", 1)
    door.use(segment, fd)
    door.append("door.x", 1.0)
    drain(ingestion)
    if damage == "garbage":
        os.write(fd, b"\x00" * 50)
    else:
        os.ftruncate(fd, 3)
    drain(ingestion)
    assert ingestion.damaged == 1
    assert [p.suffix for p in tmp_path.iterdir()] == [".damaged"]
    assert len(books.events) == 1
    assert ingestion.hello("doors.1.0", 1, segment) is True
    door.close()
