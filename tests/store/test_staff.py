"""Staff: who may do what where, and that an owner who can sign in stays."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store import schema
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound
from gambeson.store.installation import Whole
from gambeson.store.staff_schema import OF_NOBODY

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}
OWNER = Grant(EVERY, Role.OWNER)


def owner(store: Store, name: str = "Ann", number: int = 1) -> str:
    """An owner of everything with a passkey; gives the id."""
    id = store.staff.create(name, grants=[OWNER], **BY).id
    key(store, id, number)
    return id


def key(store: Store, staff: str, number: int = 1) -> str:
    octets = number.to_bytes(16)
    return store.staff.add_passkey(staff, name="Key", public_id=octets, public_key=b"cose", **BY).id


def told(store: Store) -> list[tuple[str, str]]:
    """The newest audit entries of no organisation, newest first: action and organisation."""
    import json

    lines = [json.loads(line) for line in store.audit.export()]
    return [(line["action"], line["organisation"]) for line in reversed(lines) if "action" in line]


def test_what_is_said_of_somebody(store: Store) -> None:
    org = store.create_organisation("Acme", id="org-a", **BY)
    grants = [OWNER, Grant(org.id, Role.RESPONDER, NOW + 60)]
    made = store.staff.create(
        " Ann ", address="Ann@Acme.Example", language="de-AT", zone="Europe/Vienna", grants=grants, **BY
    )
    assert (made.name, made.address, made.language, made.zone) == (
        "Ann",
        "ann@acme.example",
        "de-AT",
        "Europe/Vienna",
    )
    assert made.enabled
    assert made.created_at == NOW
    assert set(made.grants) == set(grants)
    assert store.staff.get(made.id) == made
    ben = store.staff.create("Ben", **BY)
    assert store.staff.list() == [made, ben]
    changed = store.staff.update(ben.id, name="Benno", zone="UTC", **BY)
    assert (changed.name, changed.zone, changed.enabled) == ("Benno", "UTC", True)
    assert told(store)[:4] == [
        ("staff.changed", ""),
        ("staff.created", ""),
        ("staff.granted", "org-a"),
        ("staff.granted", ""),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\0b"},
        {"address": "nowhere"},
        {"language": "x y"},
        {"language": "../de"},
        {"zone": "../etc/passwd"},
        {"zone": "/UTC"},
        {"grants": [Grant(EVERY, Role.RESPONDER)]},
        {"grants": [Grant(EVERY, Role.OWNER, NOW)]},
        {"grants": [Grant(EVERY, Role.OWNER, float("nan"))]},
        {"id": "x" * 65},
    ],
)
def test_what_nobody_is_called(store: Store, given: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        store.staff.create(**{"name": "Ann"} | given, **BY)
    assert store.staff.list() == []


def test_names_are_one_persons_and_ids_are_known(store: Store) -> None:
    ann = store.staff.create("Ann", **BY)
    ben = store.staff.create("Ben", **BY)
    for act in (
        lambda: store.staff.create("ANN", **BY),
        lambda: store.staff.update(ben.id, name="ann", **BY),
        lambda: store.staff.create("New", id=ann.id, **BY),
    ):
        with pytest.raises(Conflict):
            act()
    for unknown in (
        lambda: store.staff.get("nobody"),
        lambda: store.staff.update("nobody", name="x", **BY),
        lambda: store.staff.remove("nobody", **BY),
        lambda: store.staff.grant("nobody", OWNER, **BY),
        lambda: store.staff.grant(ann.id, Grant("org-none", Role.AUDITOR), **BY),
        lambda: store.staff.withdraw(ann.id, EVERY, Role.AUDITOR, **BY),
    ):
        with pytest.raises(NotFound):
            unknown()


def test_the_same_role_gets_the_new_end(store: Store) -> None:
    ann = store.staff.create("Ann", grants=[Grant(EVERY, Role.RESPONDER, NOW + 5)], **BY)
    assert store.staff.grant(ann.id, Grant(EVERY, Role.RESPONDER, NOW + 9), **BY).grants == (
        Grant(EVERY, Role.RESPONDER, NOW + 9),
    )
    assert store.staff.grant(ann.id, Grant(EVERY, Role.AUDITOR), **BY).grants == (
        Grant(EVERY, Role.AUDITOR),
        Grant(EVERY, Role.RESPONDER, NOW + 9),
    )
    assert store.staff.withdraw(ann.id, EVERY, Role.AUDITOR, **BY).grants == (
        Grant(EVERY, Role.RESPONDER, NOW + 9),
    )


# Each leaves the installation without an owner who can sign in.
LAST: dict[str, Any] = {
    "remove": lambda s, id: s.staff.remove(id, **BY),
    "disable": lambda s, id: s.staff.update(id, enabled=False, **BY),
    "withdraw": lambda s, id: s.staff.withdraw(id, EVERY, Role.OWNER, **BY),
    "an end": lambda s, id: s.staff.grant(id, Grant(EVERY, Role.OWNER, NOW + 9), **BY),
    "the passkey": lambda s, id: s.staff.remove_passkey(id, s.staff.passkeys(id)[0].id, keep_one=False, **BY),
}


@pytest.mark.parametrize("how", LAST)
def test_the_last_owner_stays(store: Store, how: str) -> None:
    ann = owner(store)
    store.staff.create("Has no passkey", grants=[OWNER], **BY)
    auditor = store.staff.create("No owner", grants=[Grant(EVERY, Role.AUDITOR)], **BY)
    key(store, auditor.id, 2)
    before, counted = store.staff.get(ann), store.change_counter()
    with pytest.raises(Conflict, match="last owner"):
        LAST[how](store, ann)
    assert store.staff.get(ann) == before
    assert store.staff.owners() == 1
    assert store.change_counter() == counted
    owner(store, "Second", 3)
    assert store.staff.owners() == 2
    LAST[how](store, ann)
    assert store.staff.owners() == 1


@pytest.mark.parametrize("how", ["remove", "disable", "withdraw"])
def test_before_there_was_one_nothing_is_held(store: Store, how: str) -> None:
    ann = store.staff.create("Ann", grants=[OWNER], **BY)
    assert store.staff.owners() == 0
    LAST[how](store, ann.id)


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_who_is_shut_out_has_nothing_left(store: Store, how: str) -> None:
    owner(store, "Stays", 9)
    ann = store.staff.create("Ann", **BY).id
    passkey = key(store, ann)
    store.staff.open_session(ann, secret=b"s" * 32, how="passkey", ends=NOW + 60, **BY)
    store.staff.make_link("recover", ann, b"l" * 32, expires_at=NOW + 60, **BY)
    token = store.tokens.create(
        "t", organisations=[EVERY], verbs=[Verb.READ], verifier=bytes(32), public_id="p", staff=ann, **BY
    )
    if how == "removed":
        store.staff.remove(ann, **BY)
        assert store.staff.passkey((1).to_bytes(16)) is None
    else:
        store.staff.update(ann, enabled=False, **BY)
        with pytest.raises(Conflict):
            store.staff.use_passkey(passkey, sign_count=1, backed_up=False, **BY)
        with pytest.raises(Conflict):
            store.staff.open_session(ann, secret=b"t" * 32, how="passkey", ends=NOW + 60, **BY)
        with pytest.raises(Conflict):
            store.staff.make_link("recover", ann, b"m" * 32, expires_at=NOW + 60, **BY)
    assert store.staff.session(b"s" * 32, NOW + 1) is None
    assert store.staff.sessions(ann, NOW + 1) == []
    assert store.staff.link(b"l" * 32, NOW + 1) is None
    assert store.tokens.find("p") is None
    assert store.tokens.get(token.id).revoked_at == NOW
    if how == "disabled":
        store.staff.update(ann, enabled=True, **BY)
        assert store.staff.session(b"s" * 32, NOW + 1) is None  # ended is ended


def test_findings_are_assigned_and_are_nobodys_after(store: Store) -> None:
    org = store.create_organisation("Acme", id="org-a", **BY)
    ann, ben = store.staff.create("Ann", **BY).id, store.staff.create("Ben", **BY).id
    findings = [
        org.findings.open(Finding("", "", "Server", "m", f"r{n}", "t", Severity.LOW, "r"), **BY).id
        for n in range(3)
    ]
    assert org.findings.assign(findings[0], ann, **BY).assignee == ann
    org.findings.assign(findings[1], ben, **BY)
    assert [f.id for f in org.findings.list(assignee=ann)] == [findings[0]]
    assert [f.id for f in org.findings.list(assignee="")] == [findings[2]]
    assert [f.id for f in org.findings.list(limit=2, offset=1)] == sorted(findings)[1:]
    assert org.findings.counts() == {Severity.LOW: 3}
    seen = org.findings.open(Finding("", "", "Server", "m", "r0", "t", Severity.LOW, "r"), **BY)
    assert seen.assignee == ann  # seeing it again changes nothing of that
    with pytest.raises(NotFound):
        org.findings.assign(findings[0], "nobody", **BY)
    store.staff.remove(ann, **BY)
    assert org.findings.get(findings[0]).assignee == ""
    assert org.findings.assign(findings[1], "", **BY).assignee == ""
    assert org.audit()[0].action == "finding.assigned"


def test_a_removed_organisation_takes_its_grants_along(store: Store) -> None:
    for id in ("org-a", "org-b"):
        store.create_organisation(id, id=id, **BY)
    grants = [Grant(id, Role.TECHNICIAN) for id in ("org-a", "org-b", EVERY)]
    ann = store.staff.create("Ann", grants=grants, **BY)
    made = {
        "both": store.tokens.create("1", organisations=["org-a", "org-b"], public_id="1", **_token()).id,
        "one": store.tokens.create("2", organisations=["org-a"], public_id="2", **_token()).id,
        "every": store.tokens.create("3", organisations=[EVERY], public_id="3", **_token()).id,
    }
    store.delete_organisation("org-a", **BY)
    assert {g.organisation for g in store.staff.get(ann.id).grants} == {"org-b", EVERY}
    assert store.tokens.get(made["both"]).organisations == ("org-b",)
    assert store.tokens.get(made["one"]).organisations == ()
    assert not store.tokens.get(made["one"]).alive(NOW)
    assert store.tokens.get(made["every"]).alive(NOW)


def _token() -> dict[str, Any]:
    return {"verbs": [Verb.READ], "verifier": bytes(32), **BY}


def test_the_installations_scope_reaches_nothing_of_an_organisation(store: Store, sample: Any) -> None:
    sample(store, "a")
    with store.control.read("*") as conn:
        scope = Whole(conn, "")
        for table in schema.control_metadata.tables.values():
            if table in OF_NOBODY:
                scope.rows(table)
            else:
                with pytest.raises(RuntimeError):
                    scope.rows(table)


def test_snapshots_know_nothing_of_staff(store: Store) -> None:
    before = store.load_snapshot_parts(NOW)
    owner(store)
    after = store.load_snapshot_parts(NOW)
    assert {n: getattr(before, n) for n in before.__slots__ if n != "change_counter"} == {
        n: getattr(after, n) for n in after.__slots__ if n != "change_counter"
    }
