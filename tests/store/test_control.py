"""Opening, the organisations, and what each kind of thing takes and refuses."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import CredentialKind, DeviceKind, DeviceState
from gambeson.model.finding import Evidence, Finding, FindingState, Severity
from gambeson.model.rule import ModeEntry
from gambeson.store import schema
from gambeson.store.control import Store
from gambeson.store.errors import (
    BadValue,
    Conflict,
    NotFound,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreUnreachable,
)

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}


def test_an_account_is_found_by_any_spelling_of_any_of_its_addresses(store: Store) -> None:
    org = store.create_organisation("Acme", domains=["ACME.example", "b\u00fccher.example"], **BY)
    made = org.accounts.create(
        "Ann@Acme.Example", aliases=["ann@B\u00dcCHER.example"], groups=["staff"], **BY
    )
    assert made.address == "ann@acme.example"
    assert made.aliases == ("ann@xn--bcher-kva.example",)
    for spelling in ("ANN@acme.example", "ann@b\u00fccher.example", "ann@xn--bcher-kva.example"):
        assert org.accounts.find(spelling) == made
    assert store.organisation("acme").get().domains == ("acme.example", "xn--bcher-kva.example")
    changed = org.accounts.update(made.id, address="anna@acme.example", aliases=["ann@acme.example"], **BY)
    assert org.accounts.find("ann@acme.example") == changed
    with pytest.raises(NotFound):
        org.accounts.find("ann@b\u00fccher.example")


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda o: o.accounts.create("x@other.example", **BY), BadValue, "add other.example to it first"),
        (lambda o: o.accounts.create("nonsense", **BY), BadValue, "name@domain"),
        (lambda o: o.accounts.create("ann@acme.example", **BY), Conflict, "in use by another account"),
        (
            lambda o: o.accounts.create("x@acme.example", aliases=["ann@acme.example"], **BY),
            Conflict,
            "in use",
        ),
        (lambda o: o.accounts.set_password("acc-1", "plaintext", **BY), BadValue, "argon2id"),
        (lambda o: o.accounts.create("y@acme.example", by="", at=NOW), BadValue, "empty"),
        (lambda o: o.accounts.create("y@acme.example", by="x", at=float("nan")), BadValue, "not a time"),
        (
            lambda o: o.accounts.create("y@acme.example", groups=["a\x00b"], **BY),
            BadValue,
            "control character",
        ),
        (lambda o: o.devices.create("acc-1", "phone", doors=[], **BY), Conflict, "choose another name"),
        (lambda o: o.devices.create("acc-1", "x", doors=["teapot"], **BY), BadValue, "teapot"),
        (
            lambda o: o.devices.create("acc-1", "x", doors=[], networks=["10.0.0/33"], **BY),
            BadValue,
            "written as",
        ),
        (lambda o: o.devices.update("dev-1", account="acc-2", **BY), BadValue, "no account"),
        (
            lambda o: o.credentials.add("dev-1", CredentialKind.CERTIFICATE, "AB:CD", **BY),
            BadValue,
            "lower-case hex",
        ),
        (lambda o: o.modes.set(DoorKind.IMAP, Mode.OBSERVE, **BY), BadValue, "needs an end"),
        (lambda o: o.bypass.open(NOW + 2e5, "why", **BY), BadValue, "within 24 hours"),
        (lambda o: o.bypass.open(NOW + 60, " ", **BY), BadValue, "reason is empty"),
        (lambda o: o.remove_domain("acme.example", **BY), Conflict, "still in acme.example"),
        (lambda o: o.add_domain("acme.example", **BY), Conflict, "belongs to an organisation already"),
        (lambda o: o.update(enrolment_url="javascript:x", **BY), BadValue, "https://"),
        (lambda o: o.policies.activate(7, **BY), NotFound, "no policy version 7"),
        (lambda o: o.findings.close("x", FindingState.WAIVED, reason="r", **BY), BadValue, "waiver"),
    ],
)
def test_bad_input_gets_one_sentence_and_changes_nothing(
    store: Store, call: Any, error: type[StoreError], sentence: str
) -> None:
    org = store.create_organisation("Acme", domains=["acme.example"], **BY)
    org.accounts.create("ann@acme.example", id="acc-1", **BY)
    org.devices.create("acc-1", "phone", doors=[DoorKind.IMAP], id="dev-1", **BY)
    before = (store.change_counter(), store.audit.head(), org.accounts.list(), org.devices.list())
    with pytest.raises(error, match=sentence) as caught:
        call(org)
    assert "\n" not in str(caught.value)
    assert caught.value.usage
    assert (store.change_counter(), store.audit.head(), org.accounts.list(), org.devices.list()) == before


def test_organisation_names_are_unique_in_any_case(store: Store) -> None:
    store.create_organisation("Acme", **BY)
    with pytest.raises(Conflict, match="choose another name"):
        store.create_organisation("ACME", **BY)
    with pytest.raises(NotFound, match="gambeson org list"):
        store.organisation("nobody")


def test_a_revoked_device_loses_everything_it_proves_itself_with(store: Store, sample: Any) -> None:
    made = sample(store, "a")
    org = made.org
    org.credentials.add(made.device, CredentialKind.CERTIFICATE, made.serial * 2, **BY)
    assert org.devices.revoke(made.device, reason="lost", by="root", at=NOW + 5).state is DeviceState.BLOCKED
    assert {c.revoked_at for c in org.credentials.list(device=made.device)} == {NOW + 5}
    assert [c.revocation_reason for c in store.revoked_certificates(NOW)] == ["lost"]
    assert store.revoked_certificates(NOW + 2e6) == []  # expired by then: the list forgets it
    org.devices.delete(made.device, **BY)
    assert [c.serial for c in store.revoked_certificates(NOW)] == [made.serial]
    assert store.load_snapshot_parts(NOW).revoked == ((made.serial, NOW + 5),)
    assert store.load_snapshot_parts(NOW + 2e6).revoked == ()
    assert org.audit(limit=1)[0].action == "device.deleted"


def test_the_revocation_list_remembers_the_certificates_of_removed_organisations(
    store: Store, sample: Any
) -> None:
    made, other = sample(store, "a"), sample(store, "b")
    made.org.certificates.record("a1", "a1" * 2, made.device, not_after=NOW + 1e6, **BY)
    made.org.certificates.record("a2", "a2" * 2, made.device, not_after=NOW + 1, **BY)
    made.org.certificates.revoke(made.serial, reason="stolen", by="root", at=NOW + 5)
    store.delete_organisation(made.org.id, by="root", at=NOW + 10)
    found = [(c.serial, c.revoked_at, c.revocation_reason) for c in store.revoked_certificates(NOW + 10)]
    # Revoked with it where it was good until then; the one that has expired is in no list.
    assert found == [(made.serial, NOW + 5, "stolen"), ("a1", NOW + 10, "organisation removed")]
    assert store.load_snapshot_parts(NOW + 10).revoked == tuple((s, at) for s, at, _ in found)
    with pytest.raises(Conflict, match="recorded already"):  # and another organisation does not take it over
        other.org.certificates.record("a1", "a1" * 2, other.device, not_after=NOW + 1e6, **BY)
    assert store.prune_certificates(NOW + 10) == 0
    assert store.prune_certificates(NOW + 2e6) == 2
    assert store.revoked_certificates(NOW + 10) == []


def test_no_version_of_the_policy_holds_after_a_reset(store: Store, sample: Any) -> None:
    org = sample(store, "a").org
    org.policies.reset(by="root", at=NOW + 1)
    assert org.policies.active() is None
    assert store.load_snapshot_parts(NOW).policies == ()
    assert (org.audit(limit=1)[0].action, org.audit(limit=1)[0].at) == ("policy.reset", NOW + 1)
    assert org.policies.activate(1, by="root", at=NOW + 2).version == 1  # they stay


def test_a_machine_is_bound(store: Store, sample: Any) -> None:
    made = sample(store, "a")
    machine = made.org.devices.create(
        made.account,
        "scanner",
        doors=[DoorKind.SUBMISSION],
        kind=DeviceKind.MACHINE,
        networks=["192.0.2.77/24", "2001:DB8::/32"],
        senders=["Scanner@A.example"],
        hourly_limit=20,
        owner="ann@a.example",
        review_at=NOW + 9,
        **BY,
    )
    assert machine.networks == ("192.0.2.0/24", "2001:db8::/32")
    assert machine.senders == ("scanner@a.example",)
    assert made.org.devices.list(kind=DeviceKind.MACHINE) == [machine]


def test_policy_versions(store: Store) -> None:
    org = store.create_organisation("Acme", **BY)
    assert org.policies.active() is None
    first = org.policies.add("[[rule]]\nname = 'one'\n", note="first", **BY)
    org.policies.add("# second", **BY)
    org.policies.add("# draft", activate=False, **BY)
    assert [p.version for p in org.policies.list()] == [3, 2, 1]
    assert org.policies.activate(1, **BY) == first == org.policies.active()


def test_findings_live(store: Store) -> None:
    org = store.create_organisation("Acme", **BY)
    seen = Finding(
        "", "", "Server", "mail", "r", "t", Severity.HIGH, "why", evidence=(Evidence("log", "line 3"),)
    )
    first = org.findings.open(seen, by="worker", at=NOW)
    count = store.audit.head()[0]
    again = org.findings.open(seen, by="worker", at=NOW + 10)
    assert (again.id, again.first_seen, again.last_seen) == (first.id, NOW, NOW + 10)
    assert store.audit.head()[0] == count  # seen again is no act
    org.findings.close(first.id, FindingState.VERIFIED, reason="measured: patched", **BY)
    assert org.findings.list() == []
    assert org.findings.open(seen, by="worker", at=NOW + 20).state is FindingState.OPEN
    org.findings.waive(first.id, until=NOW + 50, reason="replaced in May", **BY)
    assert org.findings.open(seen, by="worker", at=NOW + 30).state is FindingState.WAIVED
    assert org.findings.open(seen, by="worker", at=NOW + 60).state is FindingState.OPEN
    assert org.findings.list(at_least=Severity.HIGH)[0].evidence == seen.evidence


def test_every_act_is_audited_and_counted(store: Store, sample: Any) -> None:
    made = sample(store, "a")
    actions = [e.action for e in reversed(made.org.audit())]
    assert actions == [
        "organisation.created",
        "domain.added",
        "account.created",
        "account.password-set",
        "account.sealed-password-set",
        "device.created",
        "credential.added",
        "certificate.issued",
        "policy.added",
        "mode.set",
        "bypass.opened",
        "sealed.put",
        "finding.opened",
        "job.added",
        "authenticator.added",
        "binding-code.made",
        "web-session.opened",
        "eas-device.decided",
        "eas-device.came-first",
        "action.planned",
    ]
    assert store.change_counter() == len(actions) - 1  # organisation and domain are one change


def test_snapshot_parts(store: Store, sample: Any) -> None:
    from gambeson.model.event import Event
    from gambeson.store.events import Failure

    sample(store, "a"), sample(store, "b")
    store.organisation("org-b").bypass.close(**BY)
    store.events.append(
        [Event("f1", NOW - 7200, "door.login.refused"), Event("f2", NOW - 9e4 - 3600, "door.login.refused")],
        failures=[
            Failure("f1", "", "x@y.example", NOW - 7200),
            Failure("f2", "", "x@y.example", NOW - 93600),
        ],
    )
    parts = store.load_snapshot_parts(NOW)
    assert [o.domains for o in parts.organisations] == [("a.example",), ("b.example",)]
    assert [a.sealed_password for a in parts.accounts] == [b"box of a", b"box of b"]
    assert parts.accounts[0].aliases == ("a.n@a.example",)
    assert all(a.password_hash.startswith("$argon2id$") for a in parts.accounts)
    assert store.organisation("org-a").accounts.get("acc-a").password_hash == ""  # only a snapshot carries it
    assert [c.public_id for c in parts.credentials] == ["puba", "pubb"]
    assert [(p.organisation, p.source) for p in parts.policies] == [
        ("org-a", "# policy of a\n"),
        ("org-b", "# policy of b\n"),
    ]
    assert ("org-a", ModeEntry(DoorKind.IMAP, Mode.OBSERVE, NOW + 100, "", "acc-a")) in parts.modes
    assert parts.bypass_until == (("org-a", NOW + 60),)
    assert parts.failures == (("x@y.example", 1),)
    assert parts.change_counter == store.change_counter()
    assert store.load_snapshot_parts(NOW + 61).bypass_until == ()


def test_ten_thousand_accounts_load_within_a_second(store: Store) -> None:
    org = store.create_organisation("Big", domains=["big.example"], id="org-big", **BY)
    base = {"organisation": org.id}
    accounts, addresses, devices, credentials = [], [], [], []
    for n in range(10_000):
        account = base | {
            "id": f"a{n}",
            "address": f"u{n}@big.example",
            "groups": '["staff"]',
            "enabled": True,
        }
        accounts.append(
            account | {"source": "local", "upstream_login": "", "server": "", "sealed_password": b""}
        )
        for alias in range(2):
            name = f"{'ux'[alias]}{n}@big.example"
            row = {"address": name, "account": f"a{n}", "alias": alias > 0, "position": alias}
            addresses.append(base | row)
    for n in range(20_000):
        device = base | {"id": f"d{n}", "account": f"a{n // 2}", "name": f"n{n}", "kind": "personal"}
        device |= {
            "state": "registered",
            "doors": '["imap","submission"]',
            "created_at": NOW,
            "expires_at": 0,
        }
        device |= {"networks": "[]", "senders": "[]", "hourly_limit": 0, "owner": "", "review_at": 0}
        devices.append(device)
        secret = base | {"id": f"c{n}", "device": f"d{n}", "kind": "device-secret", "public_id": f"p{n}"}
        times = {"created_at": NOW, "expires_at": 0, "revoked_at": 0}
        credentials.append(secret | times | {"verifier": bytes(32)})
    with store.control.write(org.id) as conn:
        for table, rows in (
            (schema.accounts, accounts),
            (schema.addresses, addresses),
            (schema.devices, devices),
            (schema.credentials, credentials),
        ):
            conn.execute(table.insert(), rows)
    store.load_snapshot_parts(NOW)
    begin = time.process_time()
    parts = store.load_snapshot_parts(NOW)
    used = time.process_time() - begin
    assert (len(parts.accounts), len(parts.devices), len(parts.credentials)) == (10_000, 20_000, 20_000)
    assert parts.accounts[0].aliases == ("x0@big.example",)
    assert used < 1.0


# --- what goes wrong below -------------------------------------------------------------------------


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    os.umask(0o022)
    control = tmp_path / "control.db"
    with Store.open(f"sqlite:///{control}") as store:
        store.create_organisation("Acme", **BY)
        assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o600}
        assert len(list(tmp_path.iterdir())) >= 4  # with -wal and -shm
    control.chmod(0o644)
    Store.open(f"sqlite:///{control}").close()
    assert stat.S_IMODE(control.stat().st_mode) == 0o600


def test_a_locked_store_says_so_after_the_timeout(place: Any, store: Store) -> None:
    with Store.open(place.url, timeout=0.3) as impatient, store.control.write("*") as conn:
        conn.execute(schema.installation.select().with_for_update())
        begin = time.monotonic()
        with pytest.raises(StoreLocked, match="locked by another process") as caught:
            impatient.create_organisation("Acme", **BY)
        assert 0.2 < time.monotonic() - begin < 5
        assert "\n" not in str(caught.value)
        assert impatient.organisations() == []  # readers go on
    assert store.organisations() == []


def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        org = store.create_organisation("Acme", domains=["acme.example"], **BY)
        with store.control.read("*") as conn:
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFull, match="full: make room"):
            org.policies.add("# " + "x" * 400_000, **BY)
        assert org.policies.list() == []
        assert store.audit.head()[0] == 2


@pytest.mark.parametrize(
    ("url", "error", "sentence"),
    [
        ("sqlite://", BadValue, "needs a file"),
        ("mysql://x/y", BadValue, "mysql"),
        ("just text", BadValue, "not a URL"),
        ("sqlite:////nowhere/at/all/control.db", StoreUnreachable, "cannot be opened|no store at"),
        ("postgresql://gambeson:hunter2@127.0.0.1:1/x", StoreUnreachable, "cannot be reached"),
    ],
)
def test_a_store_that_cannot_be_opened(url: str, error: type[StoreError], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        Store.open(url, timeout=2)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"\x7fELF" * 5000)
    with pytest.raises(StoreDamaged, match="gambeson restore"):
        Store.open(f"sqlite:///{tmp_path}/control.db")


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "control.db").symlink_to(victim)
    with pytest.raises(StoreUnreachable):
        Store.open(f"sqlite:///{tmp_path}/control.db")
    assert victim.read_bytes() == b""


def test_a_store_is_not_used_across_a_fork(store: Store) -> None:
    if (pid := os.fork()) == 0:
        try:
            store.organisations()
        except StoreError as error:
            os._exit(7 if "after the fork" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
