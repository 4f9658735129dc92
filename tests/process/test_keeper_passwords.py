"""Passwords in the keeper: a door gets a verdict only beside a living certificate of that very account."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import argon2
import process_world as sample
import pytest

from gambeson.model.access import DoorKind
from gambeson.model.asset import Account, Credential, CredentialKind, Device, DeviceState
from gambeson.process import keeper_messages as k
from gambeson.process import keeper_passwords
from gambeson.process import messages as m
from gambeson.process.allowance import Allowance
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.keeper_passwords import Passwords, affordable
from gambeson.process.keeper_roles import ALLOWED

NOW = sample.NOW
PASSWORD = "correct horse"
DER, TABLET = b"the certificate of Ada's phone", b"the certificate of Ada's tablet"
ASK = k.PasswordAsk("a1", PASSWORD, "imap", "192.0.2.1", certificate=DER)


class CountingHasher(argon2.PasswordHasher):
    """The real one with small parameters; counts what it was made to do."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.runs = 0

    def hash(self, *args, **more):
        self.runs += 1
        return super().hash(*args, **more)

    def verify(self, *args, **more):
        self.runs += 1
        return super().verify(*args, **more)


class World:
    """A keeper whose snapshot knows Ada's phone and tablet by certificate, and her password."""

    def __init__(self, keys, edges=False, **ada) -> None:
        self.core = KeeperCore(keys, edges=edges)
        self.hasher = CountingHasher()
        self.recorded = []
        self.disk = True
        self.passwords = Passwords(self.core, self._record, self.hasher)
        hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(
            self.core.peppered(PASSWORD)
        )
        fields = {"password_hash": hashed} | ada
        devices = (
            Device("d1", "o1", "a1", "Ada's phone", doors=(DoorKind.IMAP,)),
            Device("d2", "o1", "a1", "Ada's tablet", doors=(DoorKind.IMAP,)),
        )
        rows = tuple(
            Credential(f"c{d.id}", "o1", d.id, CredentialKind.CERTIFICATE, sample.fingerprint(der))
            for d, der in zip(devices, (DER, TABLET), strict=True)
        )
        accounts = (
            Account("a1", "o1", "ada@sample.example", **fields),
            Account("a2", "o1", "bob@sample.example"),
        )
        self.snapshot = sample.snapshot(1, keys.device, accounts=accounts, devices=devices, credentials=rows)
        self.take()

    def take(self, **changes) -> None:
        self.core.take(sample.SnapshotIndex(replace(self.snapshot, **changes)))

    def _record(self, door, ask, found, outcome):
        self.recorded.append(outcome)
        return self.disk

    async def ask(self, ask=ASK, now=NOW):
        answer = await self.passwords.beside("doors.1", ask, now)
        return "right" if isinstance(answer, m.Done) else answer.reason


def told(keys, ask=ASK, **ada):
    world = World(keys, **ada)
    return asyncio.run(world.ask(ask)), world


def test_right_and_wrong(keys):
    assert told(keys)[0] == "right"
    said, world = told(keys, replace_ask(password="wrong"))
    assert (said, world.recorded, world.hasher.runs) == ("wrong", ["wrong"], 1)


def test_by_fingerprint_only_where_an_edge_ends_tls(keys):
    ask = replace_ask(certificate=b"", fingerprint=sample.fingerprint(DER))
    assert told(keys, ask, edges=True)[0] == "right"
    assert told(keys, ask)[0] == "not-proven"


def replace_ask(**changes):
    return k.PasswordAsk(**({f: getattr(ASK, f) for f in ASK.__struct_fields__} | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"certificate": b""}, "not-proven"),
        ({"certificate": b"unknown"}, "not-proven"),
        ({"certificate": b"unknown", "fingerprint": sample.fingerprint(DER)}, "not-proven"),
        ({"account": "a2"}, "another-account"),
        ({"account": "nobody"}, "another-account"),
        ({"door": "submission"}, "another-door"),
    ],
)
def test_without_a_fitting_certificate_nothing_is_hashed(keys, changes, reason):
    said, world = told(keys, replace_ask(**changes))
    assert (said, world.hasher.runs, world.recorded) == (reason, 0, [reason])


@pytest.mark.parametrize(
    ("what", "change", "reason"),
    [
        ("credentials", {"revoked_at": NOW - 1}, "revoked"),
        ("credentials", {"expires_at": NOW}, "expired"),
        ("devices", {"state": DeviceState.LOST}, "device-lost"),
        ("devices", {"state": DeviceState.QUARANTINED}, "device-quarantined"),
        ("accounts", {"enabled": False}, "account-disabled"),
        ("accounts", {"organisation": "o2"}, "another-organisation"),
    ],
)
def test_nor_beside_one_that_is_no_longer_good(keys, what, change, reason):
    world = World(keys)
    first, *rest = getattr(world.snapshot, what)
    world.take(**{what: (replace(first, **change), *rest)})
    assert asyncio.run(world.ask()) == reason
    assert world.hasher.runs == 0


def test_nor_with_an_old_snapshot(keys):
    world = World(keys)
    assert asyncio.run(world.ask(now=NOW + 3601)) == "no-fresh-snapshot"
    assert world.hasher.runs == 0


def test_an_account_without_a_password_costs_the_same_work(keys):
    said, world = told(keys, password_hash="")
    assert (said, world.hasher.runs) == ("no-password", 1)


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHQ$aGFzaA",
        "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        "x",
    ],
)
def test_a_hash_that_is_none_of_ours_is_never_computed(keys, stored):
    assert not affordable(stored)
    said, world = told(keys, password_hash=stored)
    assert (said, world.hasher.runs) == ("wrong", 1)


def test_what_cannot_be_recorded_is_not_answered(keys):
    world = World(keys)
    world.disk = False
    assert asyncio.run(world.ask()) == "not-recorded"


def test_a_stolen_phone_guesses_no_password_and_stops_no_other_device(keys):
    async def main():
        world = World(keys)
        wrong = replace_ask(password="a guess")
        said = [await world.ask(wrong, NOW + 10 * i) for i in range(200)]
        assert said[:10] == ["wrong"] * 10
        assert set(said[13:]) == {"too-many", "wrong"}
        assert said.count("wrong") == world.hasher.runs <= 12
        assert await world.ask(ASK, NOW + 2000) == "too-many"  # even with the right one
        assert await world.ask(replace_ask(certificate=TABLET), NOW + 2000) == "right"
        day = sum([await world.ask(wrong, NOW + 3000 + 60 * i) == "wrong" for i in range(1440)])
        assert day <= 100

    asyncio.run(main())


def test_a_stolen_device_does_not_keep_the_owners_others_out(keys):
    async def main():
        world = World(keys)
        wrong = replace_ask(password="a guess")
        for i in range(300):
            await world.ask(wrong, NOW + i / 30)
        assert await world.ask(replace_ask(certificate=TABLET), NOW + 10) == "right"

    asyncio.run(main())


def test_right_passwords_are_not_counted_as_guesses(keys):
    async def main():
        world = World(keys)
        assert {await world.ask(ASK, NOW + 2 * i) for i in range(100)} == {"right"}

    asyncio.run(main())


def test_one_account_is_held_to_its_rate_and_hashing_to_its_line(keys, monkeypatch):
    async def main():
        world = World(keys)
        said = await asyncio.gather(*(world.ask() for _ in range(40)))
        assert said.count("too-many") >= 10
        monkeypatch.setattr(keeper_passwords, "MAX_WAITING", 4)
        world = World(keys)
        assert sorted(set(await asyncio.gather(*(world.ask() for _ in range(10))))) == ["busy", "right"]

    asyncio.run(main())


def test_only_doors_ask_beside_certificates_and_only_administrators_without(keys):
    assert [role for role, may in ALLOWED.items() if k.PasswordAsk in may] == ["doors"]
    assert k.CheckPasswordAsk not in ALLOWED["doors"]
    assert KeeperCore(keys).answer("worker", "w", ASK, NOW).reason == "not-for-you"


def test_an_administrators_hash_fits_its_password_only(keys):
    async def main():
        passwords = World(keys).passwords
        hashed = (await passwords.administer(k.HashPasswordAsk(password=PASSWORD))).value.decode()
        assert isinstance(
            await passwords.administer(k.CheckPasswordAsk(password=PASSWORD, hashed=hashed)), m.Done
        )
        for password, stored in (("wrong", hashed), (PASSWORD, "nonsense"), (PASSWORD, "")):
            answer = await passwords.administer(k.CheckPasswordAsk(password=password, hashed=stored))
            assert answer.reason == "wrong"

    asyncio.run(main())


def test_an_allowance_fills_again_and_never_above_its_burst():
    allowance = Allowance(2.0, 0.5, most=2)
    assert [allowance.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert allowance.take("a", 2.0)
    allowance.give_back("a")
    allowance.give_back("a")
    allowance.give_back("a")
    assert [allowance.take("a", 2.0) for _ in range(3)] == [True, True, False]
    assert not allowance.take("a", 1.0)  # a clock that is set back gives nothing
    assert allowance.take("b", 0.0)
    assert allowance.take("c", 0.0)
    assert allowance.take("a", 0.0)  # forgotten, so it is full again
