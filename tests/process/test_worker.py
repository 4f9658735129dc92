"""The worker apart from real processes: who comes and goes while it starts, and whom it believes."""

from __future__ import annotations

import asyncio
import threading

import process_world as sample

from gambeson.process.child import Peer
from gambeson.process.messages import PublishAsk, Published, Refused
from gambeson.process.packet import pair
from gambeson.process.worker import Worker
from gambeson.process.worker_link import WorkerLink


class Store:
    def __init__(self):
        self.gate, self.fault = threading.Event(), None
        self.gate.set()

    def build(self, number, now):
        if self.fault:
            raise RuntimeError(self.fault)
        return sample.snapshot(number, bytes(32), made_at=now)

    def cursors(self):
        self.gate.wait(5)
        return {}

    def ingest(self, events, cursor):
        raise RuntimeError("database is locked")

    def forget(self, segment):
        pass


def test_a_door_that_leaves_while_the_worker_starts_is_not_waited_for(tmp_path):
    async def main():
        store = Store()
        store.gate.clear()
        worker = Worker(store, tmp_path)
        ours, theirs = pair()
        stays, other = pair()
        link = WorkerLink(theirs, "doors.2.0", on_snapshot=lambda index: None)
        start = asyncio.ensure_future(
            worker.start([Peer("doors.2.0", "doors", ours), Peer("doors.1.0", "doors", stays)])
        )
        await asyncio.sleep(0.05)
        worker.remove_peer("doors.1.0")
        store.gate.set()
        await start
        answer = await worker._asked(PublishAsk(), ())
        assert isinstance(answer, Published)
        assert (answer.acknowledged, answer.missing) == (("doors.2.0",), ())
        await link.close()
        other.close()

    asyncio.run(main())


def test_a_store_that_cannot_be_read_is_said_and_the_worker_goes_on(tmp_path):
    async def main():
        store = Store()
        store.fault = "database is locked"
        worker = Worker(store, tmp_path)
        await worker.start([])
        assert "locked" in worker.health().problem
        answer = await worker._asked(PublishAsk(), ())
        assert isinstance(answer, Refused)
        assert answer.reason == "store"
        store.fault = None
        assert isinstance(await worker._asked(PublishAsk(), ()), Published)
        assert worker.health().problem == ""

    asyncio.run(main())
