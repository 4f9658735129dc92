"""The canary's devices are taken away whatever happens: in the store, not in memory, is what there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson.guard.edge.walk.canary import LIFE_SECONDS, CanaryDevices
from gambeson.model.access import MAIL_DOORS
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from gambeson.store.errors import StoreLocked
from gambeson.store.tenant import OrganisationStore

BY = "root (guard walk)"
NAME = "canary@example.org"


@pytest.fixture
def organisation(tmp_path: Path) -> Iterator[OrganisationStore]:
    store = Store.open(f"sqlite:///{tmp_path / 'control.db'}")
    made = store.create_organisation("Example", domains=["example.org"], by=BY, at=1.0)
    one = store.organisation(made.id)
    one.accounts.create(NAME, by=BY, at=1.0)
    yield one
    store.close()


def canary(organisation: OrganisationStore) -> CanaryDevices:
    return CanaryDevices(organisation, organisation.accounts.find(NAME), lambda text: bytes(32), BY)


def names(organisation: OrganisationStore) -> list[str]:
    return [device.name for device in organisation.devices.list()]


def test_all_are_taken_away_and_nobody_elses(organisation: OrganisationStore) -> None:
    account = organisation.accounts.find(NAME)
    organisation.devices.create(account.id, "guard walk of the castle", doors=MAIL_DOORS, by=BY, at=1.0)
    devices, other = canary(organisation), canary(organisation)
    devices.make("", "nobody@example.org")
    assert len(names(organisation)) == 9
    other.make("", "nobody@example.org")
    devices.take_away()
    assert len(names(organisation)) == 9
    other.take_away()
    assert names(organisation) == ["guard walk of the castle"]


def test_what_could_not_be_deleted_is_not_forgotten(
    organisation: OrganisationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = canary(organisation)
    devices.make("", "nobody@example.org")
    delete, turns = type(organisation.devices).delete, iter([False, True, True])

    def sometimes(self: object, id: str, *, by: str, at: float) -> None:
        if next(turns, False):
            raise StoreLocked("The store is locked by another process.")
        delete(self, id, by=by, at=at)

    monkeypatch.setattr(type(organisation.devices), "delete", sometimes)
    with pytest.raises(StoreLocked):
        devices.take_away()
    assert len(names(organisation)) == 2  # the others went all the same
    devices.take_away()
    assert names(organisation) == []


def test_a_device_whose_making_was_cut_short_goes_too(organisation: OrganisationStore) -> None:
    devices = canary(organisation)

    def interrupted(text: str) -> bytes:
        raise KeyboardInterrupt

    devices.verifier = interrupted
    with pytest.raises(KeyboardInterrupt):
        devices.make("", "nobody@example.org")
    assert len(names(organisation)) == 1
    devices.take_away()
    assert names(organisation) == []


def test_the_next_walk_takes_away_what_a_killed_one_left_once_it_has_expired(
    organisation: OrganisationStore,
) -> None:
    account = organisation.accounts.find(NAME)
    mine = organisation.devices.create(
        account.id, "guard walk of the castle", doors=MAIL_DOORS, expires_at=2.0, by=BY, at=1.0
    )
    canary(organisation).make("", "nobody@example.org")  # and then it was killed
    now = time.time()
    assert canary(organisation).sweep(now) == 0
    assert canary(organisation).sweep(now + LIFE_SECONDS + 5) == 8
    assert [device.id for device in organisation.devices.list()] == [mine.id]


def passkeys(organisation: OrganisationStore) -> list[str]:
    return [one.name for one in organisation.authenticators.named("")]


def signed_in(organisation: OrganisationStore, number: int, agent: str) -> str:
    account = organisation.accounts.find(NAME).id
    secret, at = bytes([number]) * 32, time.time()
    return organisation.web_sessions.open(account, "device-key", secret, agent=agent, by=BY, at=at).id


def test_its_passkey_and_its_sessions_go_and_nobody_elses(organisation: OrganisationStore) -> None:
    account = organisation.accounts.find(NAME).id
    mine = AuthenticatorKind.PASSKEY
    organisation.authenticators.add(
        account, mine, name="guard walk of the castle", public_id=b"x", public_key=b"y", by=BY, at=1.0
    )
    devices, other = canary(organisation), canary(organisation)
    devices.passkey()
    other.passkey()
    signed_in(organisation, 1, "gambeson-walk")
    browser = signed_in(organisation, 2, "Firefox")
    assert len(passkeys(organisation)) == 3
    devices.take_away()
    assert len(passkeys(organisation)) == 2  # that of a walk beside it stays
    assert [s.id for s in organisation.web_sessions.list(account, time.time())] == [browser]
    other.take_away()
    assert passkeys(organisation) == ["guard walk of the castle"]
    told = [entry.action for entry in organisation.audit()]
    assert told.count("authenticator.removed") == 2


def test_what_a_killed_walk_left_goes_with_the_next(organisation: OrganisationStore) -> None:
    canary(organisation).passkey()
    signed_in(organisation, 1, "gambeson-walk")
    next_one, now = canary(organisation), time.time()
    next_one.sweep(now)
    assert len(passkeys(organisation)) == 1  # it may be a walk that is under way
    next_one.sweep(now + LIFE_SECONDS + 1)
    assert passkeys(organisation) == []
    assert not organisation.web_sessions.list(None, time.time())
