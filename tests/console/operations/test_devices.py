"""Devices, people, leavers and imports without a page: the verb is asked by the operation itself, so that the API is as
safe; and what is done to many is done to none where one is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from console.lab import T0, Lab
from gambeson.console.office import Access, Office, RefusedError, StepUpError
from gambeson.console.operations import devices, imports, leavers, people, quarantine
from gambeson.console.operations.devices import Wish
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind, DeviceState
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.people import PeopleQuery
from gambeson.store.tenant import OrganisationStore

ME = Staff("staff-me", "Me", grants=(Grant(EVERY, Role.OWNER),))


@pytest.fixture
def acme(lab: Lab) -> OrganisationStore:
    org = lab.organisation("Acme", "acme.example")
    org.accounts.create("ann@acme.example", id="ann", **lab.act)
    for id in ("dev-1", "dev-2"):
        org.devices.create("ann", id, id=id, doors=[DoorKind.IMAP], state=DeviceState.QUARANTINED, **lab.act)
        org.credentials.add(id, CredentialKind.DEVICE_SECRET, id, verifier=b"v" * 32, **lab.act)
    org.eas_devices.decide("ann", "phone", "quarantined", **lab.act)
    return org


def office(lab: Lab, *only: Verb, proven_at: float = T0) -> Office:
    access = Access(ME, "Me", proven_at=proven_at, only=frozenset((Verb.READ, *only)))
    return Office(lab.world, access, lab.clock.now)


Act = Callable[[Office, str], Any]
DEVICES, PEOPLE, CONTAIN = Verb.DEVICES, Verb.PEOPLE, Verb.CONTAIN
ACTS: dict[str, tuple[Act, set[Verb]]] = {
    "register": (
        lambda o, i: devices.register(o, i, "ann", Wish("", f"new {o.access.only}"[:60], ("imap",))),
        {DEVICES},
    ),
    "approve": (lambda o, i: devices.approve(o, i, ["dev-1"], ["imap", "eas"]), {DEVICES}),
    "block": (lambda o, i: devices.block(o, i, ["dev-1", "dev-2"]), {DEVICES, CONTAIN}),
    "lost": (lambda o, i: devices.block(o, i, ["dev-1"], lost=True), {DEVICES, CONTAIN}),
    "revoke": (lambda o, i: devices.revoke(o, i, ["dev-2"]), {DEVICES, CONTAIN}),
    "eas allow": (lambda o, i: devices.decide_eas(o, i, [("ann", "phone")], "allowed"), {DEVICES}),
    "eas block": (lambda o, i: devices.decide_eas(o, i, [("ann", "phone")], "blocked"), {DEVICES, CONTAIN}),
    "eas hold": (
        lambda o, i: devices.decide_eas(o, i, [("ann", "phone")], "quarantined"),
        {DEVICES, CONTAIN},
    ),
    "sessions": (lambda o, i: people.end_sessions(o, i, "ann"), {DEVICES, PEOPLE, CONTAIN}),
    "off": (lambda o, i: people.switch(o, i, "ann", on=False), {PEOPLE, CONTAIN}),
    "on": (lambda o, i: people.switch(o, i, "ann", on=True), {PEOPLE}),
    "factors": (lambda o, i: people.remove_factors(o, i, "ann"), {PEOPLE}),
    "add": (lambda o, i: people.add(o, i, f"x{len(o.access.only or ())}@acme.example"), {PEOPLE}),
    "change": (lambda o, i: people.change(o, i, "ann", groups=["A"]), {PEOPLE}),
    "preview": (lambda o, i: imports.preview(o, i, b"address\nz@acme.example"), {PEOPLE}),
    "plan": (lambda o, i: leavers.plan(o, i, "ann"), {PEOPLE}),
    "leave": (lambda o, i: leavers.leave(o, i, "ann"), {PEOPLE}),
}


@pytest.mark.parametrize("name", ACTS)
def test_the_operation_asks_for_the_verb_itself(lab: Lab, acme: OrganisationStore, name: str) -> None:
    act, allowed = ACTS[name]
    for verb in Verb:
        if verb not in allowed:
            before = lab.store.change_counter()
            with pytest.raises(RefusedError) as refused:
                act(office(lab, verb), acme.id)
            assert refused.value.status == 403, verb
            assert lab.store.change_counter() == before
    for verb in allowed:
        act(office(lab, verb), acme.id)


@pytest.mark.parametrize("name", [*ACTS, "page", "person", "queue", "table"])
def test_a_strangers_organisation_is_none(lab: Lab, acme: OrganisationStore, name: str) -> None:
    reads: dict[str, Act] = {
        "page": lambda o, i: people.page(o, i, PeopleQuery()),
        "person": lambda o, i: people.person(o, i, "ann"),
        "queue": quarantine.queue,
        "table": imports.table,
    }
    act = reads.get(name) or ACTS[name][0]
    other = lab.organisation("Umbrella")
    stranger = Staff("staff-x", "X", grants=(Grant(other.id, Role.OWNER),))
    for id in (acme.id, "org-nowhere"):
        with pytest.raises(RefusedError) as refused:
            act(Office(lab.world, Access(stranger, "X", proven_at=T0), T0), id)
        assert refused.value.status == 404


def test_many_or_none(lab: Lab, acme: OrganisationStore) -> None:
    me, before = office(lab, DEVICES), lab.store.change_counter()
    for act in (devices.approve, devices.block, devices.revoke):
        with pytest.raises(NotFound):
            act(me, acme.id, ["dev-1", "dev-nobody"])
        for few in ([], ["dev-1"] * (devices.MAX_AT_ONCE + 1)):
            with pytest.raises(RefusedError):
                act(me, acme.id, few)
    with pytest.raises(StoreError):
        devices.decide_eas(me, acme.id, [("ann", "phone"), ("nobody", "phone")], "allowed")
    with pytest.raises(RefusedError):
        devices.approve(me, acme.id, ["dev-1"], ["portal"])
    with pytest.raises(RefusedError):
        devices.approve(me, acme.id, ["dev-1"], [])
    assert lab.store.change_counter() == before


def test_a_device_without_its_proof_does_not_stay(lab: Lab, acme: OrganisationStore) -> None:
    """The same octets twice are the same public id: the second device could not prove itself."""
    wish = Wish("ann@acme.example", "One", ("imap",))
    made = devices.with_secret(acme, lab.world.keeper, wish, bytes, **lab.act)
    assert made.secret not in repr(made)
    again = Wish("ann@acme.example", "Two", ("imap",))
    with pytest.raises(StoreError):
        devices.with_secret(acme, lab.world.keeper, again, bytes, **lab.act)
    assert [d.name for d in acme.devices.list(account="ann")] == ["One", "dev-1", "dev-2"]


def test_who_is_off_gets_no_device(lab: Lab, acme: OrganisationStore) -> None:
    acme.accounts.update("ann", enabled=False, **lab.act)
    with pytest.raises(RefusedError):
        devices.register(office(lab, DEVICES), acme.id, "ann", Wish("", "New", ("imap",)))


def test_leaving_wants_a_passkey_shown_just_now(lab: Lab, acme: OrganisationStore) -> None:
    with pytest.raises(StepUpError):
        leavers.leave(office(lab, PEOPLE, proven_at=T0 - 1000), acme.id, "ann")
    assert acme.accounts.get("ann").enabled
