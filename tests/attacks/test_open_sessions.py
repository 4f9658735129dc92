"""Going on in a session that what admitted it no longer admits."""

from __future__ import annotations

from dataclasses import replace

from gambeson.model.asset import DeviceKind
from gambeson.model.snapshot import SnapshotIndex
from guard.edge.doors import doors, organisation, run, upstream
from guard.edge.test_protocols import _send, _submission, smtp_peer


def test_an_alias_that_is_taken_away_cannot_be_written_as_from_an_open_session() -> None:
    """The relay is told once whom a session may write as; a session kept busy would have kept the name for ever."""

    async def main() -> None:
        peer = smtp_peer()
        snapshot = organisation(upstream(await peer.start()))
        at = await doors(snapshot)
        client = await _submission(at)
        assert (await _send(client, "al@example.org")).startswith(b"250")
        accounts = tuple(replace(a, aliases=()) if a.id == "a1" else a for a in snapshot.accounts)
        await at.server.apply_snapshot(SnapshotIndex(replace(snapshot, number=2, accounts=accounts)))
        assert (await client.rest()).startswith(b"421")
        await at.server.stop()

    run(main)


def test_so_with_a_machines_sender_addresses_and_not_for_more_of_them() -> None:
    async def main() -> None:
        peer = smtp_peer()
        before = organisation(upstream(await peer.start()))
        machine = replace(
            before.devices[0],
            kind=DeviceKind.MACHINE,
            networks=("127.0.0.0/8",),
            senders=("alice@example.org", "al@example.org"),
        )
        snapshot = replace(before, devices=(machine,))
        at = await doors(snapshot)
        client = await _submission(at)
        more = replace(machine, senders=(*machine.senders, "scanner@example.org"))
        await at.server.apply_snapshot(SnapshotIndex(replace(snapshot, number=2, devices=(more,))))
        assert (await _send(client)).startswith(b"250")
        less = replace(machine, senders=("al@example.org",))
        await at.server.apply_snapshot(SnapshotIndex(replace(snapshot, number=3, devices=(less,))))
        assert (await client.rest()).startswith(b"421")
        await at.server.stop()

    run(main)
