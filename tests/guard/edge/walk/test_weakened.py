"""Our own doors, weakened one thing at a time, by their policy or in their code: the walk finds each."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gambeson.guard.core import decide as decide_module
from gambeson.guard.core import identify as identify_module
from gambeson.guard.core.prove import prove
from gambeson.guard.core.walk import Outcome, Place, Role, side_doors
from gambeson.guard.core.walk_plan import Canary, Held
from gambeson.guard.edge import judgement as judgement_module
from gambeson.guard.edge.walk.policy import openings
from gambeson.guard.edge.walk.tour import walk
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Listener, Mode, Rung
from gambeson.model.asset import Credential, CredentialKind, Device, DeviceState
from gambeson.model.rule import PolicyException
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from guard.edge.doors import ALL_DOORS, KEY, SECRET, ImapPeer, doors, organisation, run, upstream

ALICE, PASSWORD = "alice@example.org", "her own password"


def made(number: int) -> device_secret.DeviceSecret:
    return device_secret.make(bytes([number]) * device_secret.ENTROPY_BYTES)


BLOCKED, QUARANTINED, REVOKED, ELSEWHERE = (made(n) for n in range(1, 5))
CANARY = Canary(
    ALICE,
    PASSWORD,
    SECRET.text,
    (
        Held("a blocked device's", "device-blocked", BLOCKED.text),
        Held("a device's in quarantine", "device-quarantined", QUARANTINED.text),
        Held("a revoked one", "credential-revoked", REVOKED.text),
        Held("hers under another's name", "another-account", SECRET.text, "bob@example.org"),
    ),
    ((DoorKind.SIEVE, ELSEWHERE.text),),
    "bob@example.org",
)


def with_devices(snapshot: Snapshot) -> Snapshot:
    """The canary's devices, each wrong in one way."""
    devices, credentials = [], []
    for secret, state, opens, revoked_at in (
        (BLOCKED, DeviceState.BLOCKED, ALL_DOORS, 0.0),
        (QUARANTINED, DeviceState.QUARANTINED, ALL_DOORS, 0.0),
        (REVOKED, DeviceState.REGISTERED, ALL_DOORS, 1.0),
        (ELSEWHERE, DeviceState.REGISTERED, (DoorKind.SIEVE,), 0.0),
    ):
        name = secret.public_id
        devices.append(Device(name, "o1", "a1", name, state=state, doors=opens))
        verifier = device_secret.verifier(secret, KEY)
        kind = CredentialKind.DEVICE_SECRET
        credentials.append(Credential(name, "o1", name, kind, name, verifier, revoked_at=revoked_at))
    return replace(
        snapshot,
        devices=(*snapshot.devices, *devices),
        credentials=(*snapshot.credentials, *credentials),
    )


def with_policy(snapshot: Snapshot, **changes: object) -> Snapshot:
    return replace(snapshot, policies=(replace(snapshot.policies[0], **changes),))


def exception(until: float) -> PolicyException:
    """A service account that may go on with its password."""
    return PolicyException("printer", DoorKind.IMAP, Rung.KNOWLEDGE, "ann", "old", until, accounts=(ALICE,))


def walked(change=lambda snapshot: snapshot, mode: Mode = Mode.ENFORCE) -> set[str]:
    """What the walk finds at the IMAP doors before a server that knows the canary's password."""
    seen: list[set[str]] = []

    async def main() -> None:
        peer = ImapPeer()
        peer.passwords.add(PASSWORD)
        snapshot = change(with_devices(organisation(upstream(await peer.start()), mode=mode)))
        at = await doors(snapshot)
        places = [
            Place(name, Listener(name), Role.DOOR, "127.0.0.1", at.ports[name], implicit=name == "imaps")
            for name in ("imap", "imaps")
        ]
        records = await walk(places, CANARY, lambda p: Rung.DEVICE_SECRET, nonce="x", per_second=1000)
        assert [r.reply.outcome for r in records if r.attempt.control] == [Outcome.ENTERED] * 2
        seen.append({f.rule.removeprefix("guard.walk.") for f in side_doors(records, "o1", 1.0)})
        await at.server.stop()

    run(main)
    return seen[0]


def test_doors_as_they_are_have_no_side_door() -> None:
    assert walked() == set()


def test_observe_mode_that_was_forgotten() -> None:
    assert walked(mode=Mode.OBSERVE) == {"password"}


def test_warn_mode_that_was_forgotten() -> None:
    assert walked(mode=Mode.WARN) == {"password"}


def test_the_emergency_bypass_left_open() -> None:
    assert walked(lambda s: replace(s, bypass_until=(("o1", time.time() + 60),))) == {"password"}


def test_a_service_account_exempted() -> None:
    assert walked(lambda s: with_policy(s, exceptions=(exception(time.time() + 60),))) == {"password"}


def test_an_exception_that_has_ended_opens_nothing() -> None:
    assert walked(lambda s: with_policy(s, exceptions=(exception(time.time() - 60),))) == set()


def test_an_exception_that_has_ended_and_is_still_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decide_module.decide
    monkeypatch.setattr(judgement_module, "decide", lambda r, i, now, max_age: real(r, i, now - 120, max_age))
    assert walked(lambda s: with_policy(s, exceptions=(exception(time.time() - 60),))) == {"password"}


@pytest.mark.parametrize(
    ("floor", "rule"),
    [("floor:device", {"device-blocked"}), ("floor:doors", {"door-not-allowed"})],
)
def test_a_floor_that_is_not_asked(floor: str, rule: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    left = tuple(each for each in decide_module.HARD if each[0] != floor)
    assert len(left) == len(decide_module.HARD) - 1
    monkeypatch.setattr(decide_module, "HARD", left)
    assert walked() == rule


def test_revocation_that_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from gambeson.guard.core import floors

    for module in (identify_module, floors):
        monkeypatch.setattr(module, "alive", lambda credential, device, now: "")
    assert walked() == {"credential-revoked"}


def test_a_secret_taken_for_anybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify_module, "_names", lambda *_: True)
    assert walked() == {"another-account", "acts-as-another"}


def test_a_wildcard_that_lowers_the_floors_of_the_policy() -> None:
    lowered = with_policy(organisation(), floors=tuple((door, Rung.KNOWLEDGE) for door in ALL_DOORS))
    index = SnapshotIndex(lowered)
    found = list(openings(prove(index, "o1", time.time()), "o1", 1.0))
    assert {f.rule for f in found} == {"guard.walk.policy-below-floor"}
    assert {f.asset_name for f in found} >= {"imap", "pop3", "submission", "sieve"}


def test_what_the_policy_declares_open_is_named() -> None:
    index = SnapshotIndex(organisation(mode=Mode.OBSERVE))
    found = list(openings(prove(index, "o1", time.time()), "o1", 1.0))
    assert {f.rule for f in found} == {"guard.walk.policy-mode"}
    assert list(openings(prove(SnapshotIndex(organisation()), "o1", time.time()), "o1", 1.0)) == []
