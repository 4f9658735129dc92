"""Invitations: whom they may be for, that all codes are kept or none, and how far everybody is."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.access import DoorKind
from gambeson.model.asset import DeviceState
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.binding_codes import LONGEST
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, NotFound
from gambeson.store.invitations import MAX_AT_ONCE, Among, Counts, Progress
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "root", "at": NOW}
GROUPS = {"ann": ["sales", 'a "b" c'], "ben": ["sales%"], "cleo": ["a_b"], "dora": [], "eve": ["sales"]}


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    org = store.create_organisation("A", domains=["a.example"], id="org-a", **ADMIN)
    for name, groups in GROUPS.items():
        org.accounts.create(
            f"{name}@a.example", aliases=[f"{name}.x@a.example"], groups=groups, id=name, **ADMIN
        )
    org.accounts.update("eve", enabled=False, **ADMIN)
    return org


def code(org: OrganisationStore, *accounts: str, good_for: float = 86400.0, at: float = NOW) -> float:
    return org.invitations.make(
        [(a, a.encode().ljust(32)) for a in accounts], good_for=good_for, by="ann", at=at
    )


def factor(org: OrganisationStore, account: str) -> None:
    org.authenticators.add(account, AuthenticatorKind.TOTP, sealed=b"x", **ADMIN)


def device(org: OrganisationStore, account: str) -> str:
    return org.devices.create(account, "phone", doors=[DoorKind.IMAP], **ADMIN).id


def chosen(org: OrganisationStore, among: Among, at: float = NOW, **more: Any) -> list[str]:
    found = org.invitations.choose(among, at=at, **more)
    assert found.total == len(found.people)
    assert [address for _, address in found.people] == [f"{id}@a.example" for id, _ in found.people]
    return [id for id, _ in found.people]


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        ("sales", ["ann"]),
        ("sales%", ["ben"]),
        ("a_b", ["cleo"]),
        ('a "b" c', ["ann"]),
        ("b", []),
        ("axb", []),
        ("", []),
    ],
)
def test_a_group_is_a_whole_name(org: OrganisationStore, group: str, wanted: list[str]) -> None:
    assert chosen(org, Among.GROUP, group=group) == wanted


def test_the_groups_are_known(org: OrganisationStore) -> None:
    assert org.invitations.groups() == ['a "b" c', "a_b", "sales", "sales%"]


def test_who_has_nothing_yet(org: OrganisationStore) -> None:
    factor(org, "ann")
    org.authenticators.add("ben", AuthenticatorKind.RECOVERY, verifiers=[b"r" * 32], **ADMIN)
    phone = device(org, "cleo")
    assert chosen(org, Among.NO_FACTOR) == ["ben", "cleo", "dora"]  # recovery codes alone are no factor
    assert chosen(org, Among.NO_DEVICE) == ["ann", "ben", "dora"]
    org.devices.set_state(phone, DeviceState.LOST, **ADMIN)
    assert chosen(org, Among.NO_DEVICE) == ["ann", "ben", "cleo", "dora"]


def test_people_by_id_address_and_alias_but_nobody_who_is_shut_out(org: OrganisationStore) -> None:
    people = ["ann", " BEN@a.example", "cleo.x@a.example", "eve", "eve@a.example", "nobody@a.example", "%"]
    assert chosen(org, Among.PEOPLE, people=people) == ["ann", "ben", "cleo"]
    assert chosen(org, Among.PEOPLE) == []
    with pytest.raises(BadValue):
        chosen(org, Among.PEOPLE, people=["x"] * (MAX_AT_ONCE + 1))


def test_who_has_a_good_code_keeps_it_unless_it_is_to_be_replaced(org: OrganisationStore) -> None:
    ends = code(org, "ann")
    assert chosen(org, Among.NO_FACTOR) == ["ben", "cleo", "dora"]
    assert chosen(org, Among.NO_FACTOR, replacing=True) == ["ann", "ben", "cleo", "dora"]
    assert chosen(org, Among.NOT_YET) == []
    assert chosen(org, Among.NOT_YET, at=ends) == ["ann"]


def test_more_than_the_limit_are_counted_and_not_given(org: OrganisationStore) -> None:
    found = org.invitations.choose(Among.NO_FACTOR, at=NOW, limit=2)
    assert (found.total, [id for id, _ in found.people]) == (4, ["ann", "ben"])


@pytest.mark.parametrize(
    ("text", "wanted"), [("AN", ["ann"]), ("@a.", ["ann", "ben", "cleo", "dora"]), ("%", []), ("eve", [])]
)
def test_searching(org: OrganisationStore, text: str, wanted: list[str]) -> None:
    assert [id for id, _ in org.invitations.search(text)] == wanted


def test_all_codes_are_kept_or_none(org: OrganisationStore) -> None:
    for bad, good_for, error in (
        ([("ann", b"1" * 32), ("nobody", b"2" * 32)], 60.0, NotFound),
        ([("ann", b"1" * 32), ("ben", b"short")], 60.0, BadValue),
        ([("ann", b"1" * 32), ("ann", b"2" * 32)], 60.0, BadValue),
        ([("ann", b"1" * 32)], LONGEST + 1, BadValue),
        ([], 60.0, BadValue),
    ):
        with pytest.raises(error):
            org.invitations.make(bad, good_for=good_for, **ADMIN)
    assert org.binding_codes.pending("ann", NOW) == 0
    assert org.invitations.counts(NOW) == Counts()
    assert not [e for e in org.audit() if e.action.startswith("binding-code")]


def test_by_name_how_far_everybody_is(org: OrganisationStore) -> None:
    ends = code(org, "ann", "ben", "cleo", "dora")
    later = NOW + 100
    for name in ("ann", "ben"):
        org.binding_codes.spend(name, name.encode().ljust(32), by=f"portal:{name}", at=later)
        factor(org, name)
    device(org, "ann")
    org.web_sessions.open("ann", "device-key", b"s" * 32, by="portal:ann", at=later + 5)
    org.web_sessions.open("ann", "device-key", b"t" * 32, by="portal:ann", at=later + 9)
    org.binding_codes.make("dora", b"h" * 32, by="desk", at=later)  # the paper is good no more

    rows, total = org.invitations.list(at=later)
    assert total == 4
    seen = {r.account: (r.used_at, r.first_sign_in, r.code_until, r.factor, r.device, r.times) for r in rows}
    assert seen == {
        "ann": (later, later + 5, 0, True, True, 1),
        "ben": (later, 0, 0, True, False, 1),
        "cleo": (0, 0, ends, False, False, 1),
        "dora": (0, 0, later + 600, False, False, 1),
    }
    assert {r.by for r in rows} == {"ann"}
    assert org.invitations.counts(later) == Counts(4, used=2, factor=2, device=1, there=1, waiting=2, over=0)
    assert org.invitations.counts(later + 700).over == 1
    for progress, wanted in (
        (Progress.NOT_YET, ["cleo", "dora"]),
        (Progress.OVER, ["dora"]),
        (Progress.NO_DEVICE, ["ben", "cleo", "dora"]),
        (Progress.THERE, ["ann"]),
    ):
        rows, total = org.invitations.list(progress, at=later + 700)
        assert ([r.account for r in rows], total) == (wanted, len(wanted)), progress
    assert [r.account for r in org.invitations.list(text="CLE", at=later)[0]] == ["cleo"]
    rows, total = org.invitations.list(at=later, limit=1, offset=2)
    assert ([r.account for r in rows], total) == (["cleo"], 4)


def test_who_is_invited_again_begins_anew(org: OrganisationStore) -> None:
    code(org, "ann")
    org.binding_codes.spend("ann", b"ann".ljust(32), by="portal:ann", at=NOW + 1)
    org.web_sessions.open("ann", "device-key", b"s" * 32, by="portal:ann", at=NOW + 2)
    code(org, "ann", at=NOW + 10)
    (row,), _ = org.invitations.list(at=NOW + 10)
    assert (row.times, row.made_at, row.used_at, row.first_sign_in) == (2, NOW + 10, 0, 0)
    with pytest.raises(NotFound):
        org.binding_codes.spend("ann", b"ben".ljust(32), by="x", at=NOW + 11)


def test_what_is_deleted_with_the_account(org: OrganisationStore) -> None:
    code(org, "ann", "ben")
    org.accounts.delete("ann", **ADMIN)
    assert [r.account for r in org.invitations.list(at=NOW)[0]] == ["ben"]
