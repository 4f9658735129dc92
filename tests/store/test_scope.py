"""Nothing crosses between organisations: every public method is tried with another's ids."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import CredentialKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.findings import FindingQuery
from gambeson.store.invitations import Among
from gambeson.store.people import PeopleQuery, Wanted
from gambeson.store.scope import Scoped
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "mallory", "at": NOW + 1}
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"

# For each public method: a call of organisation A's store with B's ids that has to find nothing.
# "own": the method takes no ids of things; that it touches only A is shown by B being unchanged.
SWEEP: dict[str, Callable[[OrganisationStore, Any], object] | str] = {
    "get": "own",
    "update": lambda a, b: a.update(name="Renamed A", **ADMIN),
    "add_domain": lambda a, b: a.add_domain("b.example", **ADMIN),
    "remove_domain": lambda a, b: a.remove_domain("b.example", **ADMIN),
    "set_cloud": lambda a, b: a.set_cloud("microsoft", allowed=True, **ADMIN),
    "hours": "own",
    "set_hours": "own",
    "audit": lambda a, b: [e for e in a.audit() if e.organisation != a.id],
    "accounts.create": lambda a, b: a.accounts.create("x@b.example", **ADMIN),
    "accounts.get": lambda a, b: a.accounts.get(b.account),
    "accounts.find": lambda a, b: a.accounts.find("a.n@b.example"),
    "accounts.list": lambda a, b: [x for x in a.accounts.list() if x.organisation != a.id],
    "accounts.update": lambda a, b: a.accounts.update(b.account, enabled=False, **ADMIN),
    "accounts.delete": lambda a, b: a.accounts.delete(b.account, **ADMIN),
    "accounts.set_password": lambda a, b: a.accounts.set_password(b.account, HASH, **ADMIN),
    "accounts.password_hash": lambda a, b: a.accounts.password_hash(b.account),
    "accounts.seal_password": lambda a, b: a.accounts.seal_password(b.account, b"x", **ADMIN),
    "people.page": lambda a, b: [
        p for p in a.people.page(PeopleQuery(among=[b.account]))[1] if p.account.organisation != a.id
    ],
    "people.counts": lambda a, b: a.people.counts().total != 1,
    "people.groups": "own",
    "people.write": lambda a, b: a.people.write(
        [Wanted("a.n@b.example", b.account, groups=("stolen",))], **ADMIN
    ),
    "devices.create": lambda a, b: a.devices.create(b.account, "x", doors=[], **ADMIN),
    "devices.get": lambda a, b: a.devices.get(b.device),
    "devices.list": lambda a, b: [*a.devices.list(account=b.account)],
    "devices.count": lambda a, b: a.devices.count(account=b.account),
    "devices.update": lambda a, b: a.devices.update(b.device, name="stolen", **ADMIN),
    "devices.set_state": lambda a, b: a.devices.set_state(b.device, DeviceState.LOST, **ADMIN),
    "devices.revoke": lambda a, b: a.devices.revoke(b.device, **ADMIN),
    "devices.delete": lambda a, b: a.devices.delete(b.device, **ADMIN),
    "credentials.add": lambda a, b: a.credentials.add(
        b.device, CredentialKind.DEVICE_SECRET, "other", verifier=bytes(32), **ADMIN
    ),
    "credentials.get": lambda a, b: a.credentials.get(b.credential),
    "credentials.find": lambda a, b: a.credentials.find(CredentialKind.DEVICE_SECRET, "pubb"),
    "credentials.list": lambda a, b: [*a.credentials.list(device=b.device)],
    "credentials.revoke": lambda a, b: a.credentials.revoke(b.credential, **ADMIN),
    "certificates.record": lambda a, b: a.certificates.record("aa", "bb", b.device, not_after=NOW, **ADMIN),
    "certificates.list": lambda a, b: [*a.certificates.list(device=b.device)],
    "certificates.revoke": lambda a, b: a.certificates.revoke(b.serial, **ADMIN),
    "authenticators.list": lambda a, b: [*a.authenticators.list(b.account)],
    "authenticators.holders": lambda a, b: a.authenticators.holders() & {b.account},
    "authenticators.named": lambda a, b: [x for x in a.authenticators.named("") if x.account == b.account],
    "authenticators.add": lambda a, b: a.authenticators.add(
        b.account, AuthenticatorKind.TOTP, sealed=b"x", **ADMIN
    ),
    "authenticators.use": lambda a, b: a.authenticators.use(b.account, b.authenticator, last_step=9, **ADMIN),
    "authenticators.remove": lambda a, b: a.authenticators.remove(b.account, b.authenticator, **ADMIN),
    "authenticators.remove_all": lambda a, b: a.authenticators.remove_all(b.account, **ADMIN),
    "binding_codes.make": lambda a, b: a.binding_codes.make(b.account, bytes(32), **ADMIN),
    "binding_codes.spend": lambda a, b: a.binding_codes.spend(b.account, b"b" * 32, **ADMIN),
    "binding_codes.void": lambda a, b: a.binding_codes.void(b.account, **ADMIN),
    "binding_codes.pending": lambda a, b: a.binding_codes.pending(b.account, NOW + 1),
    "invitations.groups": "own",
    "invitations.choose": lambda a, b: (
        a.invitations.choose(Among.PEOPLE, people=[b.account, "ann@b.example"], replacing=True, at=NOW).people
    ),
    "invitations.search": lambda a, b: [*a.invitations.search("@b.")],
    "invitations.make": lambda a, b: a.invitations.make([(b.account, bytes(32))], good_for=9, **ADMIN),
    "invitations.list": lambda a, b: [x for x in a.invitations.list(at=NOW)[0] if x.account == b.account],
    "invitations.counts": lambda a, b: a.invitations.counts(NOW).invited != 1,
    "web_sessions.open": lambda a, b: a.web_sessions.open(b.account, "device-key", b"x" * 32, **ADMIN),
    "web_sessions.seen": lambda a, b: a.web_sessions.seen(b.web_session, NOW + 70),
    "web_sessions.list": lambda a, b: [s for s in a.web_sessions.list(None, NOW) if s.organisation != a.id],
    "web_sessions.step": lambda a, b: a.web_sessions.step(b.web_session, **ADMIN),
    "web_sessions.end": lambda a, b: a.web_sessions.end(b.account, **ADMIN),
    "eas_devices.decide": lambda a, b: a.eas_devices.decide(b.account, "new", "allowed", **ADMIN),
    "eas_devices.forget": lambda a, b: a.eas_devices.forget(b.account, "phoneb", **ADMIN),
    "eas_devices.list": lambda a, b: [*a.eas_devices.list(account=b.account)],
    "eas_devices.came_first": lambda a, b: a.eas_devices.came_first(b.credential, b.account, "new", **ADMIN),
    "eas_devices.firsts": lambda a, b: a.eas_devices.firsts().keys() & {b.credential},
    "policies.add": "own",
    "policies.get": lambda a, b: [p for p in [a.policies.get(1)] if p.organisation != a.id],
    "policies.active": lambda a, b: [p for p in [a.policies.active()] if p and p.organisation != a.id],
    "policies.list": lambda a, b: [p for p in a.policies.list() if p.organisation != a.id],
    "policies.reset": "own",
    "policies.history": lambda a, b: [] if a.policies.history()[1] == len(a.policies.list()) else [b.id],
    "policies.active_number": "own",
    "policies.activate": lambda a, b: a.policies.activate(1, **ADMIN),
    "modes.set": lambda a, b: a.modes.set(
        DoorKind.IMAP, Mode.OBSERVE, until=NOW + 9, account=b.account, **ADMIN
    ),
    "modes.clear": lambda a, b: a.modes.clear(DoorKind.IMAP, account=b.account, **ADMIN),
    "modes.list": lambda a, b: [m for m in a.modes.list() if m.account == b.account],
    "bypass.open": "own",
    "bypass.close": "own",
    "bypass.get": lambda a, b: [x for x in [a.bypass.get()] if x and x.organisation != a.id],
    "sealed.put": "own",
    "sealed.get": lambda a, b: [x for x in [a.sealed.get("master")] if x == b"sealed b"],
    "sealed.names": lambda a, b: [n for n in a.sealed.names() if n not in ("master", "own")],
    "sealed.delete": lambda a, b: a.sealed.delete("only of b", **ADMIN),
    "findings.open": "own",
    "findings.get": lambda a, b: a.findings.get(b.finding),
    "findings.list": lambda a, b: [f for f in a.findings.list() if f.organisation != a.id],
    "findings.acknowledge": lambda a, b: a.findings.acknowledge(b.finding, **ADMIN),
    "findings.close": lambda a, b: a.findings.close(b.finding, FindingState.FIXED, reason="x", **ADMIN),
    "findings.waive": lambda a, b: a.findings.waive(b.finding, until=NOW + 9, reason="x", **ADMIN),
    "findings.assign": lambda a, b: a.findings.assign(b.finding, "", **ADMIN),
    "findings.search": lambda a, b: [f for f in a.findings.search(FindingQuery()) if f.organisation != a.id],
    "findings.count": lambda a, b: a.findings.count(FindingQuery()) != 1,
    "findings.groups": lambda a, b: a.findings.groups("rule", FindingQuery())[1] != 1,
    "findings.end_waiver": lambda a, b: a.findings.end_waiver(b.finding, **ADMIN),
    "audit_entries.search": lambda a, b: [e for e in a.audit_entries.search() if e.organisation != a.id],
    "audit_entries.forward": lambda a, b: [e for e in a.audit_entries.forward() if e.organisation != a.id],
    "audit_entries.get": lambda a, b: [
        e for n in range(200) if (e := a.audit_entries.get(n)) is not None and e.organisation != a.id
    ],
    "findings.counts": lambda a, b: a.findings.counts() != {Severity.HIGH: 1},
    "actions.plan": lambda a, b: a.actions.plan("x", b.device, {}, id=b.action, **ADMIN),
    "actions.approve": lambda a, b: a.actions.approve(b.action, **ADMIN),
    "actions.running": lambda a, b: a.actions.running(b.action, **ADMIN),
    "actions.note": lambda a, b: a.actions.note(b.action, "x", **ADMIN),
    "actions.done": lambda a, b: a.actions.done(b.action, **ADMIN),
    "actions.failed": lambda a, b: a.actions.failed(b.action, "x", **ADMIN),
    "actions.verified": lambda a, b: a.actions.verified(b.action, **ADMIN),
    "actions.undone": lambda a, b: a.actions.undone(b.action, **ADMIN),
    "actions.cancelled": lambda a, b: a.actions.cancelled(b.action, **ADMIN),
    "actions.get": lambda a, b: a.actions.get(b.action),
    "actions.list": lambda a, b: [x for x in a.actions.list() if x.organisation != a.id],
    "actions.journal": lambda a, b: a.actions.journal(b.action),
    "jobs.add": "own",
    "jobs.get": lambda a, b: a.jobs.get(b.job),
    "jobs.list": lambda a, b: [j for j in a.jobs.list() if j.organisation != a.id],
    "events.query": lambda a, b: [*a.events.query(account=b.account), *a.events.query(device=b.device)],
    "events.newest": lambda a, b: a.events.newest() > NOW,
    "events.last_use": lambda a, b: [d for d in a.events.last_use() if d == b.device],
    "decisions.newest": lambda a, b: [e for e in a.decisions.newest(0.0, 50) if e.organisation != a.id],
    "decisions.counts": lambda a, b: [c for c in a.decisions.counts(NOW + 5).counts if c.door == "other"],
    "decisions.hours": lambda a, b: a.decisions.hours(0.0, "other"),
    "decisions.served": lambda a, b: [key for key in a.decisions.served(0.0) if "other" in key],
    "decisions.of_account": lambda a, b: [
        *a.decisions.of_account(b.account, 0.0, 50, ("door.login.allowed",))
    ],
    "decisions.of_claimed": lambda a, b: [
        *a.decisions.of_claimed(["other"], 0.0, 50, ("door.login.allowed",))
    ],
    "decisions.of_source": lambda a, b: [*a.decisions.of_source("other", 0.0, 50, ("door.login.allowed",))],
    "decisions.of_id": lambda a, b: [*a.decisions.of_id("newer", 50)],
    "decisions.of_session": lambda a, b: [*a.decisions.of_session("other", 0.0, 50)],
}


def _public_methods() -> set[str]:
    def of(kind: type) -> list[str]:
        return [n for n, f in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")]

    names = set(of(OrganisationStore))
    probe = OrganisationStore(None, None, "x")  # type: ignore[arg-type]
    for attribute, value in vars(probe).items():
        if isinstance(value, Scoped):
            names |= {f"{attribute}.{method}" for method in of(type(value))}
    return names


def test_the_sweep_names_every_public_method() -> None:
    assert _public_methods() == set(SWEEP)


def test_no_method_reaches_into_another_organisation(store: Store, sample: Any, place: Any) -> None:
    a, b = sample(store, "a"), sample(store, "b")
    b.org.sealed.put("only of b", b"x", by="root", at=NOW)
    told = {"server": "other", "claimed": "other", "id": "other"}
    others = [
        Event("newer", NOW + 5, "door.login.allowed", "org-b", b.account, b.device, "other", "other", told),
        Event("newest", NOW + 5, "door.login.allowed", "org-b", "", "", "other", "other", told),
    ]
    store.events.append(others)
    before = _everything_of(place, "org-b")
    for name, call in SWEEP.items():
        if callable(call):
            with contextlib.suppress(StoreError):
                found = call(a.org, b)
                assert name in ("update", "set_cloud", "policies.activate") or not found, name
    a.org.policies.add("x = 1", **ADMIN)
    a.org.policies.reset(**ADMIN)
    a.org.bypass.open(NOW + 50, "x", **ADMIN)
    a.org.bypass.close(**ADMIN)
    a.org.sealed.put("own", b"x", **ADMIN)
    a.org.findings.open(Finding("", "org-b", "Server", "mail", "rule.one", "t", Severity.LOW, "r"), **ADMIN)
    a.org.jobs.add("scan", {}, **ADMIN)
    assert a.org.set_hours(3, **ADMIN) == a.org.hours() == 3
    assert _everything_of(place, "org-b") == before


def test_one_cannot_take_ids_domains_or_secrets_of_another(store: Store, sample: Any) -> None:
    a = sample(store, "a")
    sample(store, "b")
    with pytest.raises(StoreError):
        a.org.accounts.create("new@a.example", id="acc-b", **ADMIN)
    with pytest.raises(StoreError):
        a.org.credentials.add(a.device, CredentialKind.DEVICE_SECRET, "pubb", verifier=bytes(32), **ADMIN)
    with pytest.raises(StoreError):
        store.create_organisation("Org C", domains=["B.Example."], **ADMIN)
    assert [o.name for o in store.organisations()] == ["Org a", "Org b"]


def test_deleting_one_organisation_leaves_the_other(store: Store, sample: Any, place: Any) -> None:
    sample(store, "a")
    sample(store, "b")
    before = _everything_of(place, "org-b")
    store.delete_organisation("org-a", **ADMIN)
    assert _everything_of(place, "org-b") == before
    with pytest.raises(NotFound):
        store.organisation("Org a")
    left = _everything_of(place, "org-a")
    assert {table for table, rows in left.items() if rows} == {"audit", "events", "forgotten_certificates"}


def test_postgresql_itself_holds_a_transaction_to_its_organisation(
    store: Store, sample: Any, place: Any
) -> None:
    if place.kind != "postgresql":
        assert store.row_security() is False
        pytest.skip("SQLite has no row-level security: the statements' own condition holds alone")
    sample(store, "a")
    sample(store, "b")
    assert store.row_security() is True
    with store.control.engine.connect() as conn:
        assert (
            conn.exec_driver_sql("SELECT count(*) FROM accounts").scalar() == 0
        )  # says nothing: sees nothing
    with store.control.read("org-a") as conn:
        seen = conn.exec_driver_sql("SELECT organisation FROM accounts").all()
        assert seen == [("org-a",)]
        assert conn.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1
    with pytest.raises(StoreError), store.control.write("org-a") as conn:
        conn.exec_driver_sql("INSERT INTO domains (domain, organisation) VALUES ('x.example', 'org-b')")
    owned = place.raw(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'organisation'"
        " AND table_schema = 'public'"
    )
    forced = place.raw("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    assert {r[0] for r in forced} == {r[0] for r in owned} | {"organisations"}


def _everything_of(place: Any, organisation: str) -> dict[str, list[tuple[Any, ...]]]:
    from gambeson.store.event_schema import events_metadata
    from gambeson.store.schema import control_metadata

    found = {}
    for database, metadata in (("control", control_metadata), ("events", events_metadata)):
        for table in metadata.sorted_tables:
            column = "id" if table.name == "organisations" else "organisation"
            if column == "id" or "organisation" in table.c:
                query = f"SELECT * FROM {table.name} WHERE {column} = :o"
                found[table.name] = sorted(place.raw(query, database, o=organisation), key=str)
    return found
