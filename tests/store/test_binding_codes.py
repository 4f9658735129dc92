"""Binding codes: good once, for ten minutes or as long as is said, and only the newest."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gambeson.store.binding_codes import GOOD_FOR, LONGEST
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, NotFound
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "root", "at": NOW}
ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    org = store.create_organisation("A", domains=["a.example"], id="org-a", **ADMIN)
    for name in ("ann", "ben"):
        org.accounts.create(f"{name}@a.example", id=name, **ADMIN)
    return org


def spend(org: OrganisationStore, verifier: bytes = ONE, account: str = "ann", at: float = NOW + 1) -> bool:
    try:
        org.binding_codes.spend(account, verifier, by="portal:ann@a.example", at=at)
    except NotFound:
        return False
    return True


def test_it_is_good_once(org: OrganisationStore) -> None:
    assert org.binding_codes.make("ann", ONE, **ADMIN) == NOW + GOOD_FOR
    assert org.binding_codes.pending("ann", NOW) == NOW + GOOD_FOR
    assert spend(org)
    assert not spend(org)
    assert org.binding_codes.pending("ann", NOW) == 0


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({}, True),
        ({"at": NOW + GOOD_FOR - 1}, True),
        ({"at": NOW + GOOD_FOR}, False),
        ({"at": NOW - 1}, False),
        ({"verifier": TWO}, False),
        ({"verifier": b""}, False),
        ({"account": "ben"}, False),
        ({"account": "nobody"}, False),
    ],
)
def test_what_opens_and_what_does_not(org: OrganisationStore, changed: dict[str, Any], good: bool) -> None:
    org.binding_codes.make("ann", ONE, **ADMIN)
    assert spend(org, **changed) is good
    assert spend(org) is not good  # a wrong try leaves it


@pytest.mark.parametrize("seconds", [1.0, 86400.0, LONGEST])
def test_one_that_is_printed_lives_longer(org: OrganisationStore, seconds: float) -> None:
    assert org.binding_codes.make("ann", ONE, good_for=seconds, **ADMIN) == NOW + seconds
    assert not spend(org, at=NOW + seconds)
    assert spend(org, at=NOW + seconds - 0.5)


@pytest.mark.parametrize("seconds", [0.0, -1.0, LONGEST + 1, float("inf"), float("nan")])
def test_none_lives_for_ever(org: OrganisationStore, seconds: float) -> None:
    org.binding_codes.make("ann", TWO, **ADMIN)
    with pytest.raises(BadValue):
        org.binding_codes.make("ann", ONE, good_for=seconds, **ADMIN)
    assert spend(org, TWO)  # the one before is not touched


def test_an_account_without_a_code_is_not_opened_by_noughts(org: OrganisationStore) -> None:
    assert not spend(org, bytes(32))


def test_a_new_one_takes_the_place_of_the_old_one(org: OrganisationStore) -> None:
    org.binding_codes.make("ann", ONE, **ADMIN)
    org.binding_codes.make("ann", TWO, **ADMIN)
    assert not spend(org, ONE)
    assert spend(org, TWO)


def test_of_many_at_the_same_moment_one_is_let_in(org: OrganisationStore) -> None:
    org.binding_codes.make("ann", ONE, **ADMIN)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: spend(org), range(16))) == 1


def test_a_verifier_has_its_length_and_the_account_is_there(org: OrganisationStore) -> None:
    with pytest.raises(BadValue):
        org.binding_codes.make("ann", b"short", **ADMIN)
    with pytest.raises(NotFound):
        org.binding_codes.make("nobody", ONE, **ADMIN)


def test_making_and_using_are_audited(org: OrganisationStore) -> None:
    org.binding_codes.make("ann", ONE, **ADMIN)
    spend(org)
    org.binding_codes.make("ben", ONE, details={"kind": "help-desk", "ends": 0}, **ADMIN)
    told = [
        (e.action, e.by, json.loads(e.details)) for e in org.audit() if e.action.startswith("binding-code")
    ]
    assert told == [
        ("binding-code.made", "root", {"kind": "help-desk", "ends": NOW + GOOD_FOR, "replaced": 0}),
        ("binding-code.used", "portal:ann@a.example", {"made_by": "root"}),
        ("binding-code.made", "root", {"ends": NOW + GOOD_FOR, "replaced": 0}),
    ]
