"""Reads over several organisations give what is theirs and never a row of another."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.model.access import DoorKind, Mode
from gambeson.model.event import Event
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.store.across import Across
from gambeson.store.control import Store
from gambeson.store.engine import EVERYWHERE, Database
from gambeson.store.errors import BadValue, StoreError

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}
TAGS = ("a", "b", "c", "d")


def fill(store: Store, sample: Callable[[Store, str], Any]) -> None:
    for tag in TAGS:
        sample(store, tag)


# Of each method the organisations that its answer names.
SWEEP: dict[str, Callable[[Across], set[str]]] = {
    "organisations": lambda x: {o.id for o in x.organisations()},
    "hours": lambda x: set(x.hours()),
    "finding_counts": lambda x: {o for o, counts in x.finding_counts().items() if counts},
    "rule_counts": lambda x: {o for by in x.rule_counts().values() for o in by},
    "account_counts": lambda x: {o for o, counts in x.account_counts().items() if counts},
    "device_counts": lambda x: {o for o, counts in x.device_counts().items() if counts},
    "policy_versions": lambda x: {o for o, version in x.policy_versions().items() if version},
    "modes": lambda x: {o for o, modes in x.modes().items() if modes},
    "bypasses": lambda x: set(x.bypasses(NOW)),
    "findings": lambda x: {f.organisation for f in x.findings()},
    "decision_counts": lambda x: {key[0] for key in x.decision_counts(NOW)},
    "recent": lambda x: {e.organisation for e in x.recent()},
}


def test_the_sweep_names_every_public_method() -> None:
    methods = {n for n, _ in inspect.getmembers(Across, inspect.isfunction) if not n.startswith("_")}
    assert methods == set(SWEEP)


@pytest.mark.parametrize("tags", [("a",), ("b", "d"), ("d", "c", "b", "a", "a"), ("a", "nobody")])
def test_each_answer_is_of_those_asked_for(store: Store, sample: Any, tags: tuple[str, ...]) -> None:
    fill(store, sample)
    across = store.across([f"org-{tag}" for tag in tags])
    for name, whose in SWEEP.items():
        assert whose(across) == {f"org-{tag}" for tag in tags if tag in TAGS}, name


@pytest.fixture(scope="module")
def filled(sample: Any) -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(f"sqlite:///{folder}/control.db") as opened,
    ):
        fill(opened, sample)
        yield opened


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.sampled_from([f"org-{t}" for t in TAGS]) | st.text(max_size=12), max_size=6))
def test_no_set_of_ids_shows_another_organisation(filled: Store, ids: list[str]) -> None:
    try:
        across = filled.across(ids)
    except BadValue:
        assert any(id in ("", "*") or "," in id or not id.isprintable() for id in ids)
        return
    for whose in SWEEP.values():
        assert whose(across) <= set(ids)


def test_no_organisations_ask_no_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(Database, "read", asked)
    for name, whose in SWEEP.items():
        assert whose(store.across([])) == set(), name


@pytest.mark.parametrize("ids", [["*"], ["org-a,org-b"], [""], ["org-a", "*"], ["x" * 65], ["a\nb"], [","]])
def test_what_is_no_id_is_refused(store: Store, ids: list[str]) -> None:
    with pytest.raises(BadValue):
        store.across(ids)


@pytest.mark.parametrize("id", ["*", "a,b", "x" * 65, "a\0"])
def test_no_organisation_gets_an_id_that_could_name_others(store: Store, id: str) -> None:
    with pytest.raises(BadValue):
        store.create_organisation("New", id=id, **BY)


def test_postgresql_holds_the_transaction_to_its_organisations(store: Store, sample: Any, place: Any) -> None:
    if place.kind != "postgresql":
        pytest.skip("SQLite has no row-level security: the statements' own condition holds alone")
    fill(store, sample)
    tables = [
        row[0] for row in place.raw("SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'")
    ]
    seen: dict[str, set[str]] = {}
    with store.control.read("org-a,org-c") as conn:
        for table in tables:
            column = "id" if table == "organisations" else "organisation"
            rows = conn.exec_driver_sql(f"SELECT DISTINCT {column} FROM {table}")
            seen[table] = {row[0] for row in rows}
    assert (
        seen["accounts"] == seen["events"] == seen["actions"] == seen["organisations"] == {"org-a", "org-c"}
    )
    assert all(found <= {"org-a", "org-c"} for found in seen.values())
    # It sees them and writes for none.
    for organisation in ("org-a", "org-b"):
        with pytest.raises(StoreError), store.control.write("org-a,org-c") as conn:
            conn.exec_driver_sql(
                "INSERT INTO audit (seq, at, by, organisation, action, subject, details, prev_hash, hash)"
                f" VALUES (9999, 1, '', '{organisation}', '', '', '', '', '')"
            )


def test_what_is_counted(store: Store, sample: Any) -> None:
    fill(store, sample)
    a = store.organisation("org-a")
    ben = a.accounts.create("ben@a.example", **BY)
    a.accounts.update(ben.id, enabled=False, **BY)
    low = a.findings.open(Finding("", "", "Server", "mail", "rule.two", "t", Severity.LOW, "r"), **BY)
    a.findings.acknowledge(low.id, **BY)
    gone = a.findings.open(Finding("", "", "Server", "mail", "rule.three", "t", Severity.LOW, "r"), **BY)
    a.findings.close(gone.id, FindingState.FIXED, reason="measured", **BY)
    a.set_hours(2.5, **BY)
    across = store.across(["org-a", "org-b", "org-new"])
    assert across.finding_counts() == {
        "org-a": {Severity.HIGH: 1, Severity.LOW: 1},
        "org-b": {Severity.HIGH: 1},
        "org-new": {},
    }
    assert across.rule_counts() == {"rule.one": {"org-a": 1, "org-b": 1}, "rule.two": {"org-a": 1}}
    assert across.account_counts()["org-a"] == {"enabled": 1, "disabled": 1}
    assert across.account_counts()["org-new"] == {}
    assert across.device_counts()["org-b"] == {"registered": 1}
    assert across.hours() == {"org-a": 2.5, "org-b": 1.0}
    assert across.policy_versions() == {"org-a": 1, "org-b": 1}
    (entry,) = across.modes()["org-a"]
    assert (entry.door, entry.mode, entry.account) == (DoorKind.IMAP, Mode.OBSERVE, "acc-a")
    assert across.bypasses(NOW)["org-a"].reason == "drill"
    assert across.bypasses(NOW + 61) == {}
    assert [(o.id, o.domains) for o in across.organisations()] == [
        ("org-a", ("a.example",)),
        ("org-b", ("b.example",)),
    ]


def test_the_worst_findings_come_first_and_page_by_page(store: Store, sample: Any) -> None:
    fill(store, sample)
    for tag, severity, at in (("a", Severity.LOW, 1), ("b", Severity.CRITICAL, 2), ("a", Severity.HIGH, 3)):
        finding = Finding("", "", "Server", "mail", f"rule.{at}", "t", severity, "r")
        store.organisation(f"org-{tag}").findings.open(finding, by="root", at=NOW + at)
    across = store.across(["org-a", "org-b"])
    found = [(f.rule, f.organisation) for f in across.findings()]
    assert found == [
        ("rule.2", "org-b"),
        ("rule.3", "org-a"),
        ("rule.one", "org-a"),
        ("rule.one", "org-b"),
        ("rule.1", "org-a"),
    ]
    pages = [across.findings(limit=2, offset=at) for at in (0, 2, 4, 6)]
    assert [(f.rule, f.organisation) for page in pages for f in page] == found
    assert [f.rule for f in across.findings(at_least=Severity.CRITICAL)] == ["rule.2"]
    assert across.findings((FindingState.FIXED,)) == []


def test_decisions_and_what_is_new(store: Store) -> None:
    def event(number: int, org: str, kind: str, at: float, door: str = "imap") -> Event:
        return Event(f"e{number}", at, kind, org, "", "", door, "192.0.2.1")

    store.events.append(
        [
            event(1, "org-a", "door.login.allowed", NOW),
            event(2, "org-a", "door.login.allowed", NOW + 1),
            event(3, "org-a", "door.login.refused", NOW + 2, "smtp"),
            event(4, "org-b", "door.login.refused", NOW + 3),
            event(5, "org-c", "door.login.refused", NOW + 4),
            event(6, "", "door.server.unusable", NOW + 5),
            event(7, "org-a", "door.session.closed", NOW + 6),
            event(8, "org-a", "door.login.allowed", NOW - 1),
        ]
    )
    across = store.across(["org-a", "org-b"])
    assert across.decision_counts(NOW) == {
        ("org-a", "imap", "door.login.allowed"): 2,
        ("org-a", "smtp", "door.login.refused"): 1,
        ("org-b", "imap", "door.login.refused"): 1,
    }
    assert across.decision_counts(NOW, NOW + 1) == {("org-a", "imap", "door.login.allowed"): 1}
    assert across.decision_counts(NOW, kinds=("door.session.closed",)) == {
        ("org-a", "imap", "door.session.closed"): 1
    }
    assert [e.id for e in across.recent()] == ["e7", "e4", "e3", "e2", "e1", "e8"]
    assert [e.id for e in across.recent(("door.login.refused", "door.login.allowed"), NOW + 1, 2)] == [
        "e4",
        "e3",
    ]


def test_the_hour_of_a_million_events_is_found_by_an_index(store: Store, place: Any) -> None:
    if place.kind != "sqlite":
        pytest.skip("the plan that SQLite makes is the same for few rows as for many")
    plan = place.raw(
        "EXPLAIN QUERY PLAN SELECT organisation, door, kind, count(*) FROM events WHERE at >= 1 AND kind IN"
        " ('door.login.allowed') AND organisation IN ('a', 'b') GROUP BY organisation, door, kind",
        "events",
    )
    assert any("events_by_time (organisation=? AND at>?)" in row[3] for row in plan), plan


def test_a_transaction_for_all_is_no_set(store: Store, sample: Any) -> None:
    fill(store, sample)
    with store.control.read(EVERYWHERE) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM accounts").scalar() == len(TAGS)
