"""How staff sign in: passkeys, sessions, links, and break-glass codes. Each is good as long as it says, and once."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from gambeson.store.authenticators import MAX_PASSKEYS, UsedAlready
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.portal import Whose
from gambeson.store.staff_sessions import BREAK_GLASS
from gambeson.store.web_sessions import IDLE, KEPT_FOR, LONGEST, MAX_LIVE

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}


@pytest.fixture
def ann(store: Store) -> str:
    return store.staff.create("Ann", id="ann", **BY).id


@pytest.fixture
def ben(store: Store) -> str:
    return store.staff.create("Ben", id="ben", **BY).id


def add(store: Store, staff: str, number: int = 1, **more: Any) -> Any:
    given = {"name": "Key", "public_id": number.to_bytes(16), "public_key": b"cose", **BY, **more}
    return store.staff.add_passkey(staff, **given)


def opened(store: Store, staff: str, number: int = 1, at: float = NOW, **more: Any) -> Any:
    given = {"secret": number.to_bytes(32), "how": "passkey", "ends": at + LONGEST, "by": "Ann", "at": at}
    return store.staff.open_session(staff, **given | more)


# -- passkeys ---------------------------------------------------------------------------------------------


def test_a_passkey_is_kept_and_found(store: Store, ann: str) -> None:
    made = add(store, ann, sign_count=3, backup_eligible=True, backed_up=True, transports=["usb", "nfc"])
    assert store.staff.passkey((1).to_bytes(16)) == made
    assert store.staff.passkeys(ann) == [made]
    assert (made.staff, made.sign_count, made.transports) == (ann, 3, ("usb", "nfc"))
    assert (made.backup_eligible, made.backed_up, made.created_at, made.last_used) == (True, True, NOW, 0)
    assert "cose" not in repr(made)
    assert store.staff.passkey(b"other") is None
    assert store.staff.passkeys("nobody") == []


def test_a_counter_grows_unless_it_never_counted(store: Store, ann: str) -> None:
    counting, never = add(store, ann, 1, sign_count=5).id, add(store, ann, 2).id
    use: Any = store.staff.use_passkey
    assert use(counting, sign_count=6, backed_up=True, by="Ann", at=NOW + 1).sign_count == 6
    for count in (6, 5, 0):
        with pytest.raises(UsedAlready):
            use(counting, sign_count=count, backed_up=False, **BY)
    assert use(never, sign_count=0, backed_up=False, **BY).last_used == NOW
    with pytest.raises(BadValue):
        use(never, sign_count=2**32, backed_up=False, **BY)
    with pytest.raises(NotFound):
        use("none", sign_count=1, backed_up=False, **BY)
    first = next(key for key in store.staff.passkeys(ann) if key.id == counting)
    assert (first.sign_count, first.backed_up, first.last_used) == (6, True, NOW + 1)


@pytest.mark.parametrize(
    "given",
    [
        {"public_id": b""},
        {"public_id": b"x" * 1024},
        {"public_key": b""},
        {"public_key": b"x" * 4097},
        {"name": "x" * 101},
        {"sign_count": -1},
        {"transports": ["usb"] * 11},
        {"transports": ["x" * 41]},
    ],
)
def test_what_no_passkey_is(store: Store, ann: str, given: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        add(store, ann, **given)
    assert store.staff.passkeys(ann) == []


def test_a_passkey_is_one_persons_and_there_are_not_too_many(store: Store, ann: str, ben: str) -> None:
    add(store, ann, 1)
    for staff in (ann, ben):
        with pytest.raises(Conflict, match="registered already"):
            add(store, staff, 1)
    for number in range(2, MAX_PASSKEYS + 1):
        add(store, ann, number)
    with pytest.raises(Conflict, match="at most"):
        add(store, ann, 99)
    with pytest.raises(NotFound):
        add(store, "nobody", 99)


def test_the_last_passkey_is_kept_where_that_is_asked(store: Store, ann: str, ben: str) -> None:
    first, second = add(store, ann, 1).id, add(store, ann, 2).id
    with pytest.raises(NotFound):
        store.staff.remove_passkey(ben, first, **BY)
    store.staff.remove_passkey(ann, first, **BY)
    with pytest.raises(Conflict, match="last passkey"):
        store.staff.remove_passkey(ann, second, **BY)
    store.staff.remove_passkey(ann, second, keep_one=False, **BY)
    assert store.staff.passkeys(ann) == []


# -- sessions ---------------------------------------------------------------------------------------------


def test_a_session_lives_until_its_end_and_while_it_is_seen(store: Store, ann: str) -> None:
    made = opened(store, ann, source="192.0.2.1", agent="Fire\x1bfox")
    assert store.staff.session((1).to_bytes(32), NOW + 1) == made
    assert (made.staff, made.source, made.agent, made.how) == (ann, "192.0.2.1", "Fire\ufffdfox", "passkey")
    assert (made.at, made.last_seen, made.stepped_at, made.ends) == (NOW, NOW, NOW, NOW + LONGEST)
    assert store.staff.session((1).to_bytes(32), NOW + IDLE) is None
    at = NOW
    while at < NOW + LONGEST - IDLE:
        at += IDLE - 10
        store.staff.touch(made.id, at)
        assert store.staff.session((1).to_bytes(32), at) is not None
    store.staff.touch(made.id, NOW + LONGEST - 1)
    assert store.staff.session((1).to_bytes(32), NOW + LONGEST) is None
    for wrong in (bytes(32), b"", b"short"):
        assert store.staff.session(wrong, NOW) is None


def test_being_seen_is_written_once_a_minute_and_is_no_act(store: Store, ann: str) -> None:
    id, counted, head = opened(store, ann).id, store.change_counter(), store.audit.head()
    for at in (NOW + 1, NOW + 59, NOW + 61, NOW + 100):
        store.staff.touch(id, at)
    assert store.staff.sessions(ann, NOW + 101)[0].last_seen == NOW + 61
    assert (store.change_counter(), store.audit.head()) == (counted, head)
    store.staff.touch("nothing", NOW)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": b"short"},
        {"ends": NOW},
        {"ends": NOW + LONGEST + 1},
        {"how": ""},
        {"how": BREAK_GLASS},
        {"source": "x" * 65},
        {"staff": ""},
        {"staff": "", "how": BREAK_GLASS, "ends": NOW + 3601},
    ],
)
def test_what_no_session_is(store: Store, ann: str, given: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        opened(store, **{"staff": ann} | given)
    with pytest.raises(NotFound):
        opened(store, "nobody")


def test_a_step_changes_the_secret(store: Store, ann: str) -> None:
    id = opened(store, ann, 1).id
    stepped = store.staff.step(id, (2).to_bytes(32), by="Ann", at=NOW + 5)
    assert stepped.stepped_at == NOW + 5
    assert store.staff.session((1).to_bytes(32), NOW + 6) is None
    assert store.staff.session((2).to_bytes(32), NOW + 6) == stepped
    opened(store, ann, 3)
    with pytest.raises(Conflict):
        store.staff.step(id, (3).to_bytes(32), by="Ann", at=NOW + 6)
    with pytest.raises(NotFound):
        store.staff.step(id, (4).to_bytes(32), by="Ann", at=NOW + 2 * IDLE)


def test_sessions_end_one_by_one_or_all_but_one(store: Store, ann: str, ben: str) -> None:
    one, two, three = (opened(store, ann, n).id for n in (1, 2, 3))
    bens = opened(store, ben, 4).id
    assert store.staff.end_session(one, "signed out", by="Ann", at=NOW + 1)
    assert not store.staff.end_session(one, by="Ann", at=NOW + 2)
    assert not store.staff.end_session("none", **BY)
    assert store.staff.end_sessions(ann, keep=two, reason="all others", by="Ann", at=NOW + 2) == [three]
    assert [s.id for s in store.staff.sessions(ann, NOW + 3)] == [two]
    assert [s.id for s in store.staff.sessions(ben, NOW + 3)] == [bens]
    assert store.staff.session((1).to_bytes(32), NOW) is None  # no clock brings it back


def test_the_longest_unseen_session_makes_room(store: Store, ann: str) -> None:
    ids = [opened(store, ann, n, at=NOW + n).id for n in range(MAX_LIVE + 2)]
    assert {s.id for s in store.staff.sessions(ann, NOW + MAX_LIVE + 2)} == set(ids[2:])


def test_a_session_by_break_glass_is_nobodys(store: Store, ann: str) -> None:
    made = opened(store, "", how=BREAK_GLASS, ends=NOW + 3600)
    assert (made.staff, made.stepped_at) == ("", 0.0)
    assert store.staff.session((1).to_bytes(32), NOW + 1) == made
    assert store.staff.sessions("", NOW + 1) == [made]
    with pytest.raises(BadValue):
        store.staff.step(made.id, (2).to_bytes(32), **BY)
    assert store.staff.end_sessions("", **BY) == [made.id]


def test_what_is_over_is_thrown_away(store: Store, ann: str, ben: str, place: Any) -> None:
    store.staff.end_session(opened(store, ann, 1).id, **BY)
    running = opened(store, ann, 2).id
    store.staff.make_link("invite", ann, bytes(32), expires_at=NOW + 5, **BY)
    lasting = store.staff.make_link("invite", ben, b"x" * 32, expires_at=NOW + 20 * 86400, **BY).id
    Whose(store.control, store.event_database).prune(NOW + KEPT_FOR + 1)
    assert place.raw("SELECT id FROM staff_sessions") == [(running,)]
    assert place.raw("SELECT id FROM staff_links") == [(lasting,)]


# -- links ------------------------------------------------------------------------------------------------


def test_a_link_is_good_once(store: Store, ann: str) -> None:
    token = b"t" * 32
    made = store.staff.make_link("first-run", ann, token, expires_at=NOW + 60, **BY)
    assert store.staff.link(token, NOW + 1) == made
    assert (made.kind, made.staff, made.by) == ("first-run", ann, "root")
    used = store.staff.use_link(token, by="Ann", at=NOW + 2)
    assert used.used_at == NOW + 2
    assert store.staff.link(token, NOW + 3) is None
    with pytest.raises(Conflict, match="used already"):
        store.staff.use_link(token, by="Ann", at=NOW + 3)


def test_a_link_ends_and_a_new_one_takes_its_place(store: Store, ann: str, ben: str) -> None:
    first, second = b"1" * 32, b"2" * 32
    store.staff.make_link("invite", ann, first, expires_at=NOW + 60, **BY)
    store.staff.make_link("recover", ann, second, expires_at=NOW + 60, **BY)
    store.staff.make_link("invite", ben, b"3" * 32, expires_at=NOW + 60, **BY)
    for verifier, at in (
        (first, NOW + 1),
        (second, NOW + 60),
        (second, NOW - 1),
        (bytes(32), NOW),
        (b"", NOW),
    ):
        assert store.staff.link(verifier, at) is None
        with pytest.raises(NotFound):
            store.staff.use_link(verifier, by="Ann", at=at)
    assert store.staff.link(b"3" * 32, NOW + 1) is not None
    assert store.staff.void_link(ben, **BY)
    assert not store.staff.void_link(ben, **BY)
    assert store.staff.link(b"3" * 32, NOW + 1) is None


def test_a_link_is_used_with_the_passkey_or_not_at_all(store: Store, ann: str, ben: str) -> None:
    token = b"t" * 32
    store.staff.make_link("invite", ann, token, expires_at=NOW + 60, **BY)
    with pytest.raises(Conflict, match="another member"):
        add(store, ben, 1, link=token)
    with pytest.raises(BadValue):
        add(store, ann, 1, name="x" * 101, link=token)
    assert store.staff.link(token, NOW + 1) is not None  # neither has used it up
    add(store, ann, 1, link=token)
    with pytest.raises(Conflict):
        add(store, ann, 2, link=token)
    assert len(store.staff.passkeys(ann)) == 1
    assert store.staff.passkeys(ben) == []


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "door"},
        {"verifier": b"short"},
        {"expires_at": NOW},
        {"expires_at": NOW + 31 * 86400},
    ],
)
def test_what_no_link_is(store: Store, ann: str, given: dict[str, Any]) -> None:
    values = {"kind": "invite", "verifier": bytes(32), "expires_at": NOW + 60} | given
    with pytest.raises(BadValue):
        store.staff.make_link(values["kind"], ann, values["verifier"], expires_at=values["expires_at"], **BY)


# -- break-glass ------------------------------------------------------------------------------------------


def test_one_code_voids_all(store: Store) -> None:
    codes = [bytes([n]) * 32 for n in range(5)]
    assert store.staff.codes() == (0, 0.0)
    assert store.staff.set_codes(codes, **BY) == 0
    assert store.staff.codes() == (5, NOW)
    for wrong in (b"x" * 32, b""):
        with pytest.raises(NotFound):
            store.staff.use_code(wrong, **BY)
    assert store.staff.codes() == (5, NOW)  # a wrong try takes nothing away
    assert store.staff.use_code(codes[2], by="break-glass", at=NOW + 1)
    assert store.staff.codes() == (0, NOW)
    for code in codes:
        with pytest.raises(NotFound):
            store.staff.use_code(code, by="break-glass", at=NOW + 2)


def test_new_codes_take_the_place_of_the_old(store: Store) -> None:
    store.staff.set_codes([b"a" * 32, b"b" * 32], **BY)
    assert store.staff.set_codes([b"c" * 32], by="root", at=NOW + 9) == 2
    assert store.staff.codes() == (1, NOW + 9)
    with pytest.raises(NotFound):
        store.staff.use_code(b"a" * 32, **BY)


@pytest.mark.parametrize("codes", [[], [b"x"], [bytes(32)] * 2, [n.to_bytes(32) for n in range(33)]])
def test_what_no_codes_are(store: Store, codes: list[bytes]) -> None:
    with pytest.raises(BadValue):
        store.staff.set_codes(codes, **BY)


def test_of_many_who_use_codes_at_once_one_succeeds(store: Store) -> None:
    codes = [bytes([n]) * 32 for n in range(4)]
    store.staff.set_codes(codes, **BY)
    good: list[int] = []
    go = threading.Barrier(len(codes))

    def use(code: bytes) -> None:
        go.wait()
        with contextlib.suppress(StoreError):
            good.append(store.staff.use_code(code, **BY))

    threads = [threading.Thread(target=use, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(good) == 1
    assert store.staff.codes()[0] == 0
