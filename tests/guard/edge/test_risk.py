"""Country and risk of real sign-ins: through a proxy that names the client, with a table written here."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.ready import ready
from gambeson.guard.core.sightings import Sightings
from gambeson.guard.core.throttle import Throttle
from gambeson.guard.edge.countries import CountryTable
from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.main import DoorProcess
from gambeson.guard.edge.quota import HourlyQuota
from gambeson.model.access import Listener, Mode
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from guard.edge.doors import Client, Doors, ImapPeer, doors, organisation, pki, run, upstream
from peers.mmdb import write_mmdb

FRONT = (ListenerSettings("front", Listener.IMAPS, proxy_from=("127.0.0.9/32",)),)
HOME, ALSO_HOME, ABROAD, NOWHERE, OFFICE = "81.2.69.10", "81.2.70.10", "89.160.20.1", "9.9.9.9", "10.1.2.3"
GUARDED = """
[[rule]]
name = "high-risk"
opinion = "deny"
risk_at_least = 70
sentence = "This looks like somebody else."
[[rule]]
name = "home"
opinion = "allow"
countries = ["GB", "SE"]
[[rule]]
name = "office"
opinion = "allow"
networks = ["office"]
[[network]]
name = "office"
cidrs = ["10.0.0.0/8"]
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CountryTable:
    networks = {"81.2.69.0/24": "GB", "81.2.70.0/24": "GB", "89.160.20.0/24": "SE", "10.0.0.0/8": "GB"}
    return CountryTable(str(write_mmdb(tmp_path_factory.mktemp("risk") / "c.mmdb", networks)))


def guarded(port: int, policy: str = GUARDED, mode: Mode = Mode.ENFORCE) -> Snapshot:
    snapshot = organisation(upstream(port), mode=mode)
    given = replace(parse_policy(policy, "o1"), modes=snapshot.policies[0].modes)
    return replace(snapshot, policies=(given,))


async def login(at: Doors, source: str, password: str | None = None) -> bytes:
    """One sign-in as if from ``source``; the answer."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind(("127.0.0.9", 0))
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", at.ports["front"]))
    await loop.sock_sendall(sock, f"PROXY TCP4 {source} 81.2.69.1 4711 993\r\n".encode())
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=pki().client(), server_hostname="mail.example.org"
    )
    client = Client(reader, writer)
    await client.line()
    answer = await (client.login_again() if password is None else client.login_again(password))
    client.close()
    return answer


def facts(at: Doors) -> list[tuple[str, int, tuple[str, ...], str]]:
    """Of every sign-in: country, risk, its reasons, and what decided."""
    return [
        (e.data["country"], e.data["risk"], tuple(e.data["risk_reasons"]), e.data["rule"])
        for e in at.events()
        if e.kind in ("door.login.allowed", "door.login.refused")
    ]


def test_a_secret_that_is_used_at_home_and_at_once_abroad(table: CountryTable) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(guarded(await peer.start()), listeners=FRONT, countries=table)
        assert (await login(at, HOME)).startswith(b"a OK")
        assert (await login(at, HOME)).startswith(b"a OK")
        assert (await login(at, ALSO_HOME)).startswith(b"a OK")
        refused = await login(at, ABROAD)
        assert b"This looks like somebody else." in refused
        assert (await login(at, HOME)).startswith(b"a OK")  # it shuts nobody else out
        assert b"This looks like" in await login(at, ABROAD)  # being refused made nothing usual
        assert facts(at) == [
            ("GB", 25, ("new-network", "first-use"), "rule:home"),
            ("GB", 0, (), "rule:home"),
            ("GB", 15, ("new-network",), "rule:home"),
            ("SE", 90, ("new-network", "new-country", "impossible-travel"), "rule:high-risk"),
            ("GB", 0, (), "rule:home"),
            ("SE", 90, ("new-network", "new-country", "impossible-travel"), "rule:high-risk"),
        ]
        await at.server.stop()

    run(main)


def test_only_known_countries_and_the_office_come_in(table: CountryTable) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(guarded(await peer.start()), listeners=FRONT, countries=table)
        assert not (await login(at, NOWHERE)).startswith(b"a OK")  # in no table: unknown
        assert (await login(at, OFFICE)).startswith(b"a OK")  # private: unknown, whatever the table says
        assert [(country, rule) for country, _, _, rule in facts(at)] == [
            ("", "no rule"),
            ("", "rule:office"),
        ]
        await at.server.stop()

    run(main)


def test_without_a_table_no_country_is_known() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(guarded(await peer.start()), listeners=FRONT)
        assert not (await login(at, HOME)).startswith(b"a OK")
        assert facts(at) == [("", 25, ("new-network", "first-use"), "no rule")]
        await at.server.stop()

    run(main)


def test_guesses_count_for_their_account_and_a_password_alone_is_judged_too(
    table: CountryTable,
) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(guarded(await peer.start()), listeners=FRONT, countries=table)
        throttle, now = at.server.door.throttle, time.time()
        for i in range(10):
            throttle.check(f"9.9.{i}.9", "alice@example.org", "", False, now)
        assert (await login(at, HOME)).startswith(b"a OK")
        await login(at, HOME, "a guess")
        assert [(risk, reasons) for _, risk, reasons, _ in facts(at)] == [
            (35, ("new-network", "first-use", "guessed-at")),
            (10, ("guessed-at",)),
        ]
        await at.server.stop()

    run(main)


def test_while_a_door_observes_a_high_risk_is_recorded_and_ready_tells(
    table: CountryTable,
) -> None:
    async def main() -> None:
        peer = ImapPeer()
        snapshot = guarded(await peer.start(), mode=Mode.OBSERVE)
        at = await doors(snapshot, listeners=FRONT, countries=table)
        assert (await login(at, HOME)).startswith(b"a OK")
        assert (await login(at, ABROAD)).startswith(b"a OK")
        found = ready(at.events(), SnapshotIndex(snapshot), time.time())
        assert [(s.decision, s.risk, s.risk_reasons) for s in found.stopped] == [
            ("deny", 90, ("new-network", "new-country", "impossible-travel"))
        ]
        assert (await login(at, ABROAD)).startswith(b"a OK")  # it got in: now it is usual
        assert facts(at)[-1][1:3] == (0, ())
        await at.server.stop()

    run(main)


def test_what_was_seen_travels_to_the_next_door() -> None:
    def door() -> SimpleNamespace:
        told: list[str] = []
        return SimpleNamespace(
            throttle=Throttle(),
            sightings=Sightings(),
            quota=HourlyQuota(),
            counting=time.time,
            settings=SimpleNamespace(directory=None),
            recorder=SimpleNamespace(record=lambda kind, **_: told.append(kind)),
            told=told,
        )

    def process(of: SimpleNamespace) -> DoorProcess:
        return SimpleNamespace(server=SimpleNamespace(door=of))  # type: ignore[return-value]

    old, new, older = door(), door(), door()
    old.sightings.saw("a1", "c1", "GB", time.time() - 60)
    counts = DoorProcess._counts(process(old))
    DoorProcess._take_counts(process(new), counts)
    assert new.told == []
    assert new.sightings.of("a1", "c1") == old.sightings.of("a1", "c1")
    without = msgspec.msgpack.decode(counts)
    del without["sightings"]  # what a door of an earlier version left
    DoorProcess._take_counts(process(older), msgspec.msgpack.encode(without))
    assert older.told == []
    without["sightings"] = {"accounts": 7}
    DoorProcess._take_counts(process(older), msgspec.msgpack.encode(without))
    assert older.told == ["door.throttle.unusable"]


def test_a_reload_reads_the_new_file(tmp_path: Path) -> None:
    """New settings make new doors, and these load what lies there then."""
    from gambeson.guard.edge.plan import DoorPlan

    path = write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"})
    listeners = (ListenerSettings("imap#edge", Listener.IMAP, edge_uid=1),)
    plan = DoorPlan(hostname="mail.example.org", listeners=listeners, country_table=str(path))
    old = plan.load().countries
    write_mmdb(path, {"81.2.69.0/24": "IE"})
    new = plan.load().countries
    assert old is not None
    assert new is not None
    assert (old.of(HOME), new.of(HOME)) == ("GB", "IE")
