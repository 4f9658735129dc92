"""The embedded server has no side door of its own, not even for a process that runs as the doors' user does."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from joserfc.jwk import ECKey

from gambeson.guard.core.walk import Outcome, side_doors, untried
from gambeson.guard.core.walk_plan import Canary
from gambeson.guard.edge.walk.places import of_servers
from gambeson.guard.edge.walk.tour import walk
from gambeson.model.access import Rung
from gambeson.playground import sample, serve


def walked(root: Path, uids: tuple[int, ...]):
    async def main():
        instance = uuid.uuid4().hex
        boxes = serve.open_mailboxes(root, datetime(2026, 11, 24, 12, tzinfo=UTC))
        sockets = serve.listening_sockets(instance)
        key = ECKey.generate_key("P-256").as_pem(private=False)
        server = asyncio.create_task(serve.serve(sockets, boxes, key, uids))
        canary = Canary(sample.PEOPLE[2].address, "a password", foreign=sample.PEOPLE[0].address)
        places = of_servers([serve.mail_server(instance)])
        records = await walk(places, canary, lambda p: Rung.DEVICE_SECRET, nonce="n", per_second=1000)
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        return records

    return asyncio.run(main())


def test_a_process_of_the_doors_user_gets_in_with_nothing(tmp_path: Path) -> None:
    records = walked(tmp_path, (os.geteuid(),))
    assert side_doors(records, "o1", 1.0) == [], [
        (r.attempt.place.name, r.attempt.mechanism, r.reply) for r in records if r.side_door
    ]
    assert list(untried(records)) == []
    spoken = [r for r in records if r.attempt.credential == "an unsigned token"]
    assert len(spoken) >= 8


def test_another_user_is_sent_away_at_once(tmp_path: Path) -> None:
    records = walked(tmp_path, (4_000_000_000,))
    assert {r.reply.outcome for r in records} == {Outcome.REFUSED}
    assert {r.reply.said for r in records} == {"closed at once: it serves nobody but the doors"}
