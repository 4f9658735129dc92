"""The audit log: every kind of tampering is found, and named once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from gambeson.store import schema
from gambeson.store.audit import AuditEntry, SignedHead
from gambeson.store.control import Store
from gambeson.store.scope import changing

KEY = b"the keeper's, for the test"
NOW = 1_700_000_000.0


def sign(payload: bytes) -> bytes:
    return hmac.digest(KEY, payload, "sha256")


def verify(payload: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(sign(payload), signature)


@pytest.fixture
def log(store: Store) -> Store:
    """Ten entries, sealed after the fifth and after the tenth."""
    org = store.create_organisation("Acme", id="org-a", by="root", at=NOW)
    for number in range(2, 11):
        org.update(enrolment_url=f"https://enrol.example/{number}", by=f"admin{number}", at=NOW + number)
        if number in (5, 10):
            store.audit.seal(sign, NOW + number)
    assert store.audit.head()[0] == 10
    assert store.audit.verify(verify) == []
    assert store.audit.unsealed() == 0
    return store


def _rehash(place: Any, first: int) -> None:
    """What somebody with the whole database can do: make the chain fit again from ``first`` on."""
    rows = place.raw("SELECT * FROM audit ORDER BY seq")
    columns = ("seq", "at", "by", "organisation", "action", "subject", "details", "prev_hash", "hash")
    last = rows[first - 2][8] if first > 1 else "0" * 64
    for row in rows[first - 1 :]:
        values = dict(zip(columns, row, strict=True)) | {"prev_hash": last}
        last = AuditEntry(**values).hash_as(values["seq"])
        place.raw(
            "UPDATE audit SET prev_hash=:p, hash=:h WHERE seq=:s", p=values["prev_hash"], h=last, s=row[0]
        )
    place.raw("UPDATE installation SET audit_count = (SELECT count(*) FROM audit), audit_hash = :h", h=last)


def _renumber(place: Any, old: int, new: int) -> None:
    place.raw("UPDATE audit SET seq = :n WHERE seq = :o", o=old, n=new)


def _insert(place: Any, seq: int, prev: str, honest: bool = True) -> None:
    entry = AuditEntry(seq, NOW, "mallory", "org-a", "device.revoked", "x", "{}", prev, "")
    digest = entry.hash_as(seq) if honest else "f" * 64
    place.raw(
        "INSERT INTO audit (seq, at, by, organisation, action, subject, details, prev_hash, hash)"
        " VALUES (:seq, :at, :by, 'org-a', 'device.revoked', 'x', '{}', :prev, :hash)",
        seq=seq,
        at=NOW,
        by="mallory",
        prev=prev,
        hash=digest,
    )


def _hash(place: Any, seq: int) -> str:
    found: str = place.raw("SELECT hash FROM audit WHERE seq = :s", s=seq)[0][0]
    return found


def _changed(place: Any) -> None:
    place.raw("UPDATE audit SET by = 'nobody' WHERE seq = 4")


def _changed_with_its_hash(place: Any) -> None:
    place.raw("UPDATE audit SET by = 'nobody' WHERE seq = 4")
    row = place.raw("SELECT * FROM audit WHERE seq = 4")[0]
    place.raw("UPDATE audit SET hash = :h WHERE seq = 4", h=AuditEntry(*row).hash_as(4))


def _removed(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq = 4")


def _first_removed(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq = 1")


def _two_removed(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq IN (4, 5)")


def _removed_and_renumbered(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq = 4")
    for seq in range(5, 11):
        _renumber(place, seq, seq - 1)
    place.raw("UPDATE installation SET audit_count = 9")


def _swapped(place: Any) -> None:
    _renumber(place, 4, 400)
    _renumber(place, 5, 4)
    _renumber(place, 400, 5)


def _moved_far(place: Any) -> None:
    _renumber(place, 3, 300)
    for seq in range(4, 9):
        _renumber(place, seq, seq - 1)
    _renumber(place, 300, 8)


def _inserted(place: Any) -> None:
    for seq in range(10, 4, -1):
        _renumber(place, seq, seq + 1)
    _insert(place, 5, _hash(place, 4))
    place.raw("UPDATE installation SET audit_count = 11")


def _inserted_with_a_wrong_hash(place: Any) -> None:
    for seq in range(10, 4, -1):
        _renumber(place, seq, seq + 1)
    _insert(place, 5, _hash(place, 4), honest=False)
    place.raw("UPDATE installation SET audit_count = 11")


def _inserted_before_the_first(place: Any) -> None:
    _insert(place, 0, "0" * 64)


def _added_at_the_end(place: Any) -> None:
    _insert(place, 11, _hash(place, 10))


def _cut_off(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq > 8")


def _cut_off_and_row_set_back(place: Any) -> None:
    place.raw("DELETE FROM audit WHERE seq > 8")
    place.raw("UPDATE installation SET audit_count = 8, audit_hash = :h", h=_hash(place, 8))


def _emptied(place: Any) -> None:
    place.raw("DELETE FROM audit")


def _rewritten(place: Any) -> None:
    place.raw("UPDATE audit SET by = 'nobody' WHERE seq = 8")
    _rehash(place, 8)


def _rewritten_early(place: Any) -> None:
    place.raw("UPDATE audit SET by = 'nobody' WHERE seq = 2")
    _rehash(place, 2)


def _forged_head(place: Any) -> None:
    place.raw("UPDATE audit_heads SET hash = :h WHERE count = 10", h="a" * 64)


def _heads_gone(place: Any) -> None:
    place.raw("DELETE FROM audit_heads")


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (_changed, [("changed", 4)]),
        (_changed_with_its_hash, [("changed", 4)]),
        (_removed, [("missing", 4)]),
        (_first_removed, [("missing", 1)]),
        (_two_removed, [("missing", 4)]),
        (_removed_and_renumbered, [("missing", 4), ("cut-off", 10)]),
        (_swapped, [("re-ordered", 4), ("re-ordered", 5)]),
        (_inserted, [("inserted", 5)]),
        (_inserted_with_a_wrong_hash, [("inserted", 5)]),
        (_inserted_before_the_first, [("inserted", 0)]),
        (_added_at_the_end, [("inserted", 11)]),
        (_cut_off, [("cut-off", 9)]),
        (_cut_off_and_row_set_back, [("cut-off", 9)]),
        (_emptied, [("cut-off", 1)]),
        (_rewritten, [("rewritten", 10)]),
        (_rewritten_early, [("rewritten", 5)]),
        (_forged_head, [("head", 10)]),
        (_heads_gone, [("head", 10)]),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_tampering_is_found_and_named(
    log: Store, place: Any, tamper: Callable[[Any], None], found: list[tuple[str, int]]
) -> None:
    tamper(place)
    faults = log.audit.verify(verify)
    assert [(f.kind, f.seq) for f in faults] == found
    assert all("\n" not in f.sentence and f.sentence.endswith(".") for f in faults if f.kind != "head")


def test_a_moved_entry_is_found(log: Store, place: Any) -> None:
    _moved_far(place)
    faults = log.audit.verify(verify)
    assert ("re-ordered", 8) in [(f.kind, f.seq) for f in faults]
    assert "stood at number 3" in " ".join(f.sentence for f in faults)


def test_a_database_put_back_as_a_whole_is_found_by_a_head_kept_elsewhere(log: Store, place: Any) -> None:
    outside = log.audit.signed_head()
    assert outside is not None
    place.raw("DELETE FROM audit WHERE seq > 5")
    place.raw("DELETE FROM audit_heads WHERE count > 5")
    place.raw("UPDATE installation SET audit_count = 5, audit_hash = :h", h=_hash(place, 5))
    assert log.audit.verify(verify) == []  # inside, all fits
    faults = log.audit.verify(verify, [outside])
    assert [(f.kind, f.seq) for f in faults] == [("cut-off", 6)]


def test_a_head_of_another_installation_is_not_taken(log: Store) -> None:
    head = log.audit.signed_head()
    assert head is not None
    other = SignedHead(head.count, head.hash, head.at, sign(head.payload("another installation")))
    assert [f.kind for f in log.audit.verify(verify, [other])] == ["head"]


def test_a_change_and_its_entry_are_one(log: Store, place: Any) -> None:
    def silent() -> None:
        with changing(log.control, "org-a", "root", NOW) as change:
            change.update(schema.organisations, enrolment_url="https://silent.example")

    def broken() -> None:
        with changing(log.control, "org-a", "root", NOW) as change:
            change.audit("x", "y")
            raise ZeroDivisionError

    with pytest.raises(RuntimeError, match="does not tell the audit log"):
        silent()
    assert place.raw("SELECT enrolment_url FROM organisations") == [("https://enrol.example/10",)]
    counter = log.change_counter()
    with pytest.raises(ZeroDivisionError):
        broken()
    assert (log.audit.head()[0], log.change_counter()) == (10, counter)


def test_sealing_again_without_a_change_signs_nothing(log: Store) -> None:
    def refuse(_payload: bytes) -> bytes:
        raise AssertionError("signed again")

    assert log.audit.seal(refuse, NOW + 99).count == 10


def test_export_is_json_lines_that_can_be_checked_without_the_store(log: Store) -> None:
    lines = [json.loads(line) for line in log.audit.export()]
    last = "0" * 64
    for line in lines[:-1]:
        assert line["prev_hash"] == last
        parts = [
            line[k] for k in ("seq", "at", "by", "organisation", "action", "subject", "details", "prev_hash")
        ]
        text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        last = hashlib.sha256(b"gambeson-audit-1\n" + text.encode()).hexdigest()
        assert line["hash"] == last
    assert lines[-1]["head"]["hash"] == last


def test_no_secret_is_in_the_log(store: Store, sample: Any) -> None:
    sample(store, "a")
    text = "\n".join(store.audit.export())
    assert "argon2" not in text
    assert b"box of a".hex() not in text
    assert "sealed a" not in text
    assert len(text.splitlines()) == store.audit.head()[0]
