"""Second factors: what may be kept, and that a proof is taken once, whoever else asks at that moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gambeson.store.authenticators import MAX_PASSKEYS, AuthenticatorKind, UsedAlready
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "portal:ann@a.example", "at": NOW}
PASSKEY, TOTP, RECOVERY = AuthenticatorKind


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    org = store.create_organisation("A", domains=["a.example"], id="org-a", by="root", at=NOW)
    for name in ("ann", "ben"):
        org.accounts.create(f"{name}@a.example", id=name, by="root", at=NOW)
    return org


def passkey(org: OrganisationStore, number: int = 1, account: str = "ann", **more: Any) -> str:
    given = {"public_id": number.to_bytes(16), "public_key": b"COSE", "name": f"Key {number}"} | more
    return org.authenticators.add(account, PASSKEY, **given, **BY).id


def test_each_kind_comes_back_as_it_was_kept(org: OrganisationStore) -> None:
    key = passkey(org, sign_count=7, backup_eligible=True, backed_up=True, transports=("usb", "nfc"))
    secret = org.authenticators.add("ann", TOTP, sealed=b"box", last_step=3, id="auth-mine", **BY)
    codes = org.authenticators.add("ann", RECOVERY, verifiers=[b"a" * 32, b"b" * 32], **BY)
    found = {a.id: a for a in org.authenticators.list("ann")}
    assert set(found) == {key, "auth-mine", codes.id}
    assert (found[key].public_id, found[key].sign_count) == ((1).to_bytes(16), 7)
    assert (found[key].transports, found[key].backup_eligible, found[key].backed_up) == (
        ("usb", "nfc"),
        True,
        True,
    )
    assert (secret.sealed, secret.last_step, secret.public_id) == (b"box", 3, b"")
    assert codes.verifiers == (b"a" * 32, b"b" * 32)
    assert "box" not in repr(secret)
    assert org.authenticators.list("ben") == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (PASSKEY, {}),
        (PASSKEY, {"public_id": b"x"}),
        (PASSKEY, {"public_id": b"x" * 1024, "public_key": b"k"}),
        (PASSKEY, {"public_id": b"x", "public_key": b"k" * 4097}),
        (PASSKEY, {"public_id": b"x", "public_key": b"k", "sealed": b"box"}),
        (PASSKEY, {"public_id": b"x", "public_key": b"k", "sign_count": 2**32}),
        (PASSKEY, {"public_id": b"x", "public_key": b"k", "transports": ["usb"] * 11}),
        (TOTP, {}),
        (TOTP, {"sealed": b"x" * 4097}),
        (TOTP, {"sealed": b"box", "verifiers": [bytes(32)]}),
        (TOTP, {"sealed": b"box", "last_step": -2}),
        (RECOVERY, {}),
        (RECOVERY, {"verifiers": [bytes(31)]}),
        (RECOVERY, {"verifiers": [bytes(32)] * 2}),
        (RECOVERY, {"verifiers": [n.to_bytes(32) for n in range(33)]}),
        (TOTP, {"sealed": b"box", "name": "a\0b"}),
    ],
)
def test_what_cannot_be_kept(org: OrganisationStore, kind: AuthenticatorKind, fields: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        org.authenticators.add("ann", kind, **fields, **BY)
    assert org.authenticators.list("ann") == []


def test_a_passkey_is_one_accounts_in_the_whole_installation(store: Store, org: OrganisationStore) -> None:
    passkey(org)
    other = store.create_organisation("B", domains=["b.example"], by="root", at=NOW)
    account = other.accounts.create("bob@b.example", by="root", at=NOW)
    for place, owner in ((org, "ben"), (org, "ann"), (other, account.id)):
        with pytest.raises(Conflict, match="registered already"):
            passkey(place, account=owner)


def test_a_new_list_or_secret_takes_the_place_of_the_old_one_and_passkeys_have_an_end(
    org: OrganisationStore,
) -> None:
    for number in range(MAX_PASSKEYS):
        passkey(org, number)
    with pytest.raises(Conflict, match="at most"):
        passkey(org, 99)
    for box in (b"one", b"two"):
        org.authenticators.add("ann", TOTP, sealed=box, **BY)
        org.authenticators.add("ann", RECOVERY, verifiers=[box.ljust(32)], **BY)
    kept = [a for a in org.authenticators.list("ann") if a.kind is not PASSKEY]
    assert [(a.sealed, a.verifiers) for a in kept if a.kind is TOTP] == [(b"two", ())]
    assert [a.verifiers for a in kept if a.kind is RECOVERY] == [(b"two".ljust(32),)]


@pytest.mark.parametrize(
    ("stored", "shown", "good"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
def test_a_passkeys_counter_grows_or_never_counted(
    org: OrganisationStore, stored: int, shown: int, good: bool
) -> None:
    id = passkey(org, sign_count=stored)
    if good:
        used = org.authenticators.use("ann", id, sign_count=shown, backed_up=True, **BY)
        assert (used.sign_count, used.backed_up, used.last_used) == (shown, True, NOW)
    else:
        with pytest.raises(UsedAlready):
            org.authenticators.use("ann", id, sign_count=shown, **BY)
        assert org.authenticators.list("ann")[0].sign_count == stored


def test_a_time_step_and_a_recovery_code_are_taken_once(org: OrganisationStore) -> None:
    totp = org.authenticators.add("ann", TOTP, sealed=b"box", **BY).id
    org.authenticators.use("ann", totp, last_step=100, **BY)
    for step in (100, 99, -1):
        with pytest.raises(UsedAlready):
            org.authenticators.use("ann", totp, last_step=step, **BY)
    codes = org.authenticators.add("ann", RECOVERY, verifiers=[b"a" * 32, b"b" * 32], **BY).id
    assert org.authenticators.use("ann", codes, spent=b"a" * 32, **BY).verifiers == (b"b" * 32,)
    for spent in (b"a" * 32, b"c" * 32, b"", b"b" * 31):
        with pytest.raises(UsedAlready):
            org.authenticators.use("ann", codes, spent=spent, **BY)
    assert org.authenticators.use("ann", codes, spent=b"b" * 32, **BY).verifiers == ()


def test_of_many_at_the_same_moment_one_is_let_in(org: OrganisationStore) -> None:
    totp = org.authenticators.add("ann", TOTP, sealed=b"box", **BY).id
    codes = org.authenticators.add("ann", RECOVERY, verifiers=[b"a" * 32], **BY).id

    def tried(number: int) -> bool:
        try:
            if number % 2:
                org.authenticators.use("ann", totp, last_step=7, **BY)
            else:
                org.authenticators.use("ann", codes, spent=b"a" * 32, **BY)
        except UsedAlready:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tried, range(16))) == 2


def test_only_ones_own_is_used_or_removed(org: OrganisationStore) -> None:
    id = passkey(org)
    for call in (
        lambda: org.authenticators.use("ben", id, sign_count=1, **BY),
        lambda: org.authenticators.remove("ben", id, **BY),
        lambda: org.authenticators.remove("ann", "auth-none", **BY),
        lambda: org.authenticators.remove_all("nobody", **BY),
        lambda: org.authenticators.add("nobody", TOTP, sealed=b"x", **BY),
    ):
        with pytest.raises(NotFound):
            call()
    org.authenticators.remove("ann", id, **BY)
    assert org.authenticators.list("ann") == []


def test_all_of_an_account_are_removed_and_no_others(org: OrganisationStore) -> None:
    passkey(org, 1)
    passkey(org, 2)
    passkey(org, 3, "ben")
    assert org.authenticators.remove_all("ann", **BY) == 2
    assert org.authenticators.remove_all("ann", **BY) == 0
    assert len(org.authenticators.list("ben")) == 1


def test_every_act_is_audited_and_no_secret_with_it(org: OrganisationStore) -> None:
    id = org.authenticators.add("ann", TOTP, sealed=b"the box", **BY).id
    org.authenticators.use("ann", id, last_step=1, **BY)
    org.authenticators.remove("ann", id, **BY)
    org.authenticators.remove_all("ann", **BY)
    told = [e for e in org.audit() if e.action.startswith("authenticator.")]
    assert [e.action for e in told] == [
        "authenticator.all-removed",
        "authenticator.removed",
        "authenticator.used",
        "authenticator.added",
    ]
    assert {e.by for e in told} == {"portal:ann@a.example"}
    assert "box" not in str(told)


def test_they_go_with_their_account(org: OrganisationStore, place: Any) -> None:
    passkey(org)
    org.accounts.delete("ann", by="root", at=NOW)
    assert place.raw("SELECT count(*) FROM authenticators") == [(0,)]
    with pytest.raises(StoreError):
        passkey(org)
