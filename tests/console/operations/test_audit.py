"""The audit log at the console: looking things up, taking it along, and finding what was done to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from console.lab import Lab
from console.operations.offices import office
from gambeson.console.office import RefusedError
from gambeson.console.operations import audit
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb
from gambeson.store import schema
from gambeson.store.audit import AuditEntry
from gambeson.store.audit_entries import AuditQuery
from gambeson.store.errors import BadValue
from gambeson.store.tenant import OrganisationStore

OWNER = Grant(EVERY, Role.OWNER)
AUDITOR = Grant(EVERY, Role.AUDITOR)


def seal(lab: Lab) -> None:
    lab.store.audit.seal(lab.world.keeper.sign, lab.clock.now)


def tampered(lab: Lab, seq: int, **values: Any) -> None:
    with lab.store.control.write(EVERY) as conn:
        conn.execute(sa.update(schema.audit).where(schema.audit.c.seq == seq).values(**values))


@pytest.fixture
def two(lab: Lab) -> tuple[OrganisationStore, OrganisationStore, Staff, Staff]:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    ann, bea = lab.staff("Ann", OWNER), lab.staff("Bea", Grant(acme.id, Role.AUDITOR))
    acme.accounts.create("eve@acme.example", by="Ann (console)", at=lab.clock.now)
    lab.later(100)
    other.accounts.create("cid@other.example", **lab.act)
    acme.accounts.create("fay@acme.example", **lab.act)
    return acme, other, ann, bea


Two = tuple[OrganisationStore, OrganisationStore, Staff, Staff]
T0 = 1_790_000_000.0
QUERIES = [
    (
        AuditQuery(),
        ["account.created", "account.created", "staff.granted", "domain.added", "organisation.created"],
    ),
    (AuditQuery(by="ann"), ["account.created"]),
    (AuditQuery(by="%"), []),
    (AuditQuery(action="account."), ["account.created", "account.created"]),
    (AuditQuery(action="created"), []),
    (AuditQuery(subject="acme.example"), ["domain.added"]),
    (AuditQuery(subject="acme"), []),
    (AuditQuery(since=T0 + 100), ["account.created"]),
    (AuditQuery(until=T0 + 100, action="account."), ["account.created"]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_looking_acts_up(lab: Lab, two: Two, query: AuditQuery, expected: list[str]) -> None:
    acme, _, ann, _ = two
    found = audit.page(office(lab, ann), acme.id, query)
    assert [entry.action for entry in found.entries] == expected
    assert all(entry.organisation == acme.id for entry in found.entries)


def test_pages_go_on_before_a_number(lab: Lab, two: Two) -> None:
    acme, _, ann, _ = two
    asked = office(lab, ann)
    first = audit.page(asked, acme.id, AuditQuery(), limit=2)
    second = audit.page(asked, acme.id, AuditQuery(), before=first.more, limit=2)
    third = audit.page(asked, acme.id, AuditQuery(), before=second.more, limit=2)
    assert [len(p.entries) for p in (first, second, third)] == [2, 2, 1]
    assert (first.more, third.more) == (first.entries[-1].seq, 0)
    numbers = [entry.seq for p in (first, second, third) for entry in p.entries]
    assert numbers == sorted(numbers, reverse=True)


def test_what_is_too_long_or_a_control_character_is_no_question(lab: Lab, two: Two) -> None:
    for wrong in ("x" * 201, "a\x00b"):
        with pytest.raises(BadValue):
            audit.page(office(lab, two[2]), two[0].id, AuditQuery(by=wrong))


def test_a_strangers_entry_is_not_there(lab: Lab, two: Two) -> None:
    acme, other, ann, bea = two
    theirs = other.audit()[0]
    assert audit.get(office(lab, ann), other.id, theirs.seq) == theirs
    assert audit.get(office(lab, ann), "", theirs.seq) == theirs
    for staff, organisation in ((ann, acme.id), (bea, acme.id), (bea, other.id), (bea, "")):
        with pytest.raises(RefusedError) as error:
            audit.get(office(lab, staff), organisation, theirs.seq)
        assert error.value.status == 404


ROLES = [  # role, organisation's log, the installation's, taking all of it along
    (OWNER, 200, 200, 200),
    (AUDITOR, 200, 200, 404),
    (Grant(EVERY, Role.TECHNICIAN), 200, 200, 404),
    (Grant("acme", Role.OWNER), 200, 404, 404),
    (Grant("acme", Role.AUDITOR), 200, 404, 404),
    (Grant("acme", Role.RESPONDER, T0 + 1e6), 200, 404, 404),
    (Grant("other", Role.OWNER), 404, 404, 404),
]


@pytest.mark.parametrize(("grant", "one", "all_", "export"), ROLES)
def test_who_sees_what(lab: Lab, two: Two, grant: Grant, one: int, all_: int, export: int) -> None:
    acme, other, *_ = two
    ids = {"acme": acme.id, "other": other.id}
    staff = lab.staff("Zoe", Grant(ids.get(grant.organisation, EVERY), grant.role, grant.until))
    asked = office(lab, staff)

    def status(act: Any) -> int:
        try:
            act()
        except RefusedError as error:
            return error.status
        return 200

    assert status(lambda: audit.page(asked, acme.id, AuditQuery())) == one
    assert status(lambda: audit.export(asked, acme.id)) == one
    assert status(lambda: audit.verify(asked, acme.id)) == one
    assert status(lambda: audit.page(asked, "", AuditQuery())) == all_
    assert status(lambda: audit.verify(asked, "")) == all_
    assert status(lambda: audit.export(asked, "")) == export
    without = office(lab, staff, token="T", only=frozenset((Verb.READ,)))
    assert status(lambda: audit.page(without, acme.id, AuditQuery())) in (403, 404)


def test_an_export_is_the_organisations_lines_and_the_whole_ones_ends_in_the_head(lab: Lab, two: Two) -> None:
    acme, _, ann, _ = two
    for number in range(audit.CHUNK * 2 + 1):
        acme.accounts.update(acme.accounts.find("eve@acme.example").id, groups=[f"g{number}"], **lab.act)
    seal(lab)
    chunks = list(audit.export(office(lab, ann), acme.id))
    assert len(chunks) == 3
    lines = [json.loads(line) for line in b"".join(chunks).splitlines()]
    assert {line["organisation"] for line in lines} == {acme.id}
    assert [line["seq"] for line in lines] == [entry.seq for entry in reversed(acme.audit())]
    whole = b"".join(audit.export(office(lab, ann), "")).decode().splitlines()
    assert whole == list(lab.store.audit.export())
    assert "head" in json.loads(whole[-1])


def test_a_whole_log_is_said_to_be_whole(lab: Lab, two: Two) -> None:
    acme, _, ann, bea = two
    seal(lab)
    acme.accounts.update(acme.accounts.find("eve@acme.example").id, groups=["g"], **lab.act)
    whole = audit.verify(office(lab, ann), acme.id)
    count, _ = lab.store.audit.head()
    assert (whole.whole, whole.entries, whole.unsealed, list(whole.faults)) == (True, count, 1, [])
    part = audit.verify(office(lab, bea), acme.id)
    assert (part.whole, part.entries, part.unsealed, list(part.faults)) == (False, len(acme.audit()), 1, [])
    assert part.head == whole.head == lab.store.audit.signed_head()


@pytest.mark.parametrize("who", ["ann", "bea"])
def test_a_changed_entry_is_named(lab: Lab, two: Two, who: str) -> None:
    acme, _, ann, bea = two
    seal(lab)
    seq = acme.audit()[1].seq
    tampered(lab, seq, subject="somebody else")
    found = audit.verify(office(lab, ann if who == "ann" else bea), acme.id)
    assert ("changed", seq) in {(fault.kind, fault.seq) for fault in found.faults}


def test_a_log_that_was_rewritten_after_it_was_signed_is_named(lab: Lab, two: Two) -> None:
    acme, _, ann, bea = two
    seal(lab)
    last = lab.store.audit_entries.get(lab.store.audit.head()[0])
    assert last is not None
    forged = AuditEntry(**{**_values(last), "by": "nobody"})
    tampered(lab, last.seq, by="nobody", hash=forged.hash_as(last.seq))
    for staff in (ann, bea):
        kinds = {fault.kind for fault in audit.verify(office(lab, staff), acme.id).faults}
        assert kinds & {"rewritten", "changed"}


def test_a_head_that_the_keeper_did_not_sign_is_none(lab: Lab, two: Two) -> None:
    acme, _, ann, bea = two
    lab.store.audit.seal(lambda payload: b"s" * 64, lab.clock.now)
    for staff in (ann, bea):
        found = audit.verify(office(lab, staff), acme.id)
        assert found.head is None
        assert "head" in {fault.kind for fault in found.faults}


def test_one_at_a_time(lab: Lab, two: Two) -> None:
    with audit._verifying, pytest.raises(RefusedError, match="right now"):
        audit.verify(office(lab, two[2]), two[0].id)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("{}", []),
        ('{"a":"b","n":3,"t":true,"f":0.5}', [("a", "b"), ("n", "3"), ("t", "yes"), ("f", "0.5")]),
        ('{"doors":["imap","eas"],"none":[]}', [("doors", "imap, eas")]),
        (
            '{"had":{"mode":"warn","until":1790000000.0}}',
            [("had.mode", "warn"), ("had.until", "@1790000000")],
        ),
        ('{"until":0.0,"expires_at":1e300}', [("until", "–"), ("expires_at", "–")]),
        ('{"steps":[{"x":1}]}', [("steps.1.x", "1")]),
        ("not json", [("", "not json")]),
    ],
)
def test_details_are_names_and_values(stored: str, shown: list[tuple[str, str]]) -> None:
    entry = AuditEntry(1, 0.0, "x", "", "a.b", "s", stored, "", "")
    assert audit.details(entry, lambda at: f"@{at:.0f}") == shown


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in AuditEntry.__dataclass_fields__}
