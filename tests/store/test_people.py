"""Lists of people: searched, filtered and counted in SQL, and written many at once or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.access import DoorKind
from gambeson.model.asset import DeviceState
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.people import MAX_AT_ONCE, PeopleCounts, PeopleQuery, Wanted
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    """Ann has a phone and a passkey, Ben a blocked phone and a code, Cleo is off, Dan has nothing; next door is Eve."""
    org = store.create_organisation("A", domains=["a.example"], id="org-a", **BY)
    org.accounts.create(
        "ann@a.example", id="ann", aliases=["info_x@a.example"], groups=["Sales", "Boss"], **BY
    )
    org.accounts.create("ben@a.example", id="ben", groups=['Qu"ote, Büro'], **BY)
    org.accounts.create("cleo@a.example", id="cleo", groups=["Sales"], enabled=False, **BY)
    org.accounts.create("dan@a.example", id="dan", **BY)
    org.devices.create("ann", "Phone", doors=[DoorKind.IMAP], **BY)
    org.devices.create("ann", "New", doors=[DoorKind.IMAP], state=DeviceState.QUARANTINED, **BY)
    org.devices.create("ben", "Phone", doors=[DoorKind.IMAP], state=DeviceState.BLOCKED, **BY)
    org.authenticators.add("ann", AuthenticatorKind.PASSKEY, public_id=b"x" * 16, public_key=b"COSE", **BY)
    org.authenticators.add("ben", AuthenticatorKind.TOTP, sealed=b"box", **BY)
    other = store.create_organisation("B", domains=["b.example"], id="org-b", **BY)
    other.accounts.create("eve@b.example", id="eve", groups=["Sales"], **BY)
    return org


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (PeopleQuery(), "ann ben cleo dan"),
        (PeopleQuery(search="AN"), "ann dan"),
        (PeopleQuery(search="info"), "ann"),  # an alias
        (PeopleQuery(search="info_"), "ann"),
        (PeopleQuery(search="info%"), ""),
        (PeopleQuery(search="_nn"), ""),  # no wildcard
        (PeopleQuery(search="eve"), ""),  # next door
        (PeopleQuery(group="Sales"), "ann cleo"),
        (PeopleQuery(group="sales"), ""),
        (PeopleQuery(group="Sale"), ""),
        (PeopleQuery(group='Qu"ote, Büro'), "ben"),
        (PeopleQuery(without_device=True), "ben cleo dan"),
        (PeopleQuery(without_factor=True), "cleo dan"),
        (PeopleQuery(off=True), "cleo"),
        (PeopleQuery(group="Sales", without_factor=True), "cleo"),
        (PeopleQuery(among=()), ""),
        (PeopleQuery(among=("ann", "dan", "eve", "nobody")), "ann dan"),
        (PeopleQuery(among=[f"x{i}" for i in range(40_000)] + ["ben"]), "ben"),
    ],
)
def test_who_is_found(org: OrganisationStore, query: PeopleQuery, found: str) -> None:
    total, people = org.people.page(query)
    assert " ".join(p.account.id for p in people) == found
    assert total == len(people)


def test_a_page_says_what_each_has(org: OrganisationStore) -> None:
    total, people = org.people.page(PeopleQuery(), limit=2)
    assert total == 4
    ann, ben = people
    assert ann.account == org.accounts.get("ann")
    assert ann.devices == {"registered": 1, "quarantined": 1}
    assert (ann.factors, ben.factors) == (("passkey",), ("totp",))
    assert ben.devices == {"blocked": 1}
    total, people = org.people.page(PeopleQuery(), limit=2, offset=3)
    assert (total, [p.account.id for p in people]) == (4, ["dan"])
    assert (people[0].devices, people[0].factors) == ({}, ())
    assert org.people.page(PeopleQuery(), offset=9) == (4, [])


def test_counts_and_groups(org: OrganisationStore, store: Store) -> None:
    assert org.people.counts() == PeopleCounts(total=4, off=1, without_device=3, without_factor=2)
    assert org.people.groups() == ("Boss", 'Qu"ote, Büro', "Sales")
    empty = store.create_organisation("C", id="org-c", **BY)
    assert empty.people.counts() == PeopleCounts(0, 0, 0, 0)
    assert empty.people.groups() == ()


def test_devices_are_counted(org: OrganisationStore) -> None:
    assert org.devices.count() == 3
    assert org.devices.count(account="ann", state=DeviceState.QUARANTINED) == 1
    assert [d.account for d in org.devices.list(limit=1, offset=2)] == ["ben"]


def test_many_are_written_in_one_change(org: OrganisationStore, store: Store) -> None:
    before = store.change_counter()
    done = org.people.write(
        [
            Wanted("fay@a.example", aliases=("f@a.example",), groups=("Sales",), upstream_login="fay"),
            Wanted("gus@a.example"),
            Wanted("ann@a.example", "ann", aliases=(), groups=("Boss",), server="mail"),
            Wanted("ben@a.example", "ben", upstream_login="b"),
        ],
        **BY,
    )
    assert done == 4
    assert store.change_counter() == before + 1
    fay, ann, ben = (org.accounts.find(f"{name}@a.example") for name in ("fay", "ann", "ben"))
    assert (fay.aliases, fay.groups, fay.upstream_login, fay.enabled) == (
        ("f@a.example",),
        ("Sales",),
        "fay",
        True,
    )
    assert (ann.aliases, ann.groups, ann.server) == ((), ("Boss",), "mail")
    assert (ben.groups, ben.upstream_login) == (('Qu"ote, Büro',), "b")
    assert [e.action for e in org.audit(limit=4)] == ["account.changed"] * 2 + ["account.created"] * 2


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Wanted("info_x@a.example"), Conflict),  # Ann's alias
        (Wanted("hal@a.example", aliases=("fay@a.example",)), Conflict),  # an earlier one's
        (Wanted("ben@a.example", "ben", aliases=("ann@a.example",)), Conflict),
        (Wanted("eve@b.example"), BadValue),
        (Wanted("Hal@a.example"), BadValue),
        (Wanted("no address"), BadValue),
        (Wanted("hal@a.example", groups=("",)), BadValue),
        (Wanted("eve@b.example", "eve", groups=()), NotFound),  # next door
        (Wanted("hal@a.example", "ann", groups=()), NotFound),  # its address is another by now
    ],
)
def test_all_or_none(org: OrganisationStore, last: Wanted, error: type[StoreError]) -> None:
    with pytest.raises(error):
        org.people.write([Wanted("fay@a.example"), last], **BY)
    assert org.people.counts().total == 4


def test_there_is_a_limit(org: OrganisationStore) -> None:
    with pytest.raises(BadValue):
        org.people.write([Wanted(f"p{i}@a.example") for i in range(MAX_AT_ONCE + 1)], **BY)
    assert org.people.write([], **BY) == 0
