"""Backups are whole while everything goes on writing, and restoring is all or nothing."""

from __future__ import annotations

import json
import stat
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gambeson.model.event import Event
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.archive import checked_name, open_archive
from gambeson.store.backup import backup
from gambeson.store.control import Store
from gambeson.store.errors import (
    BadValue,
    Conflict,
    NotFound,
    SchemaNewer,
    StoreDamaged,
    StoreError,
    StoreUnreachable,
)
from gambeson.store.portal import Whose
from gambeson.store.restore import restore, restore_postgresql

NOW = 1_700_000_000.0


@pytest.fixture
def again(request: pytest.FixtureRequest, place: Any, tmp_path: Path) -> Callable[[Path], Store]:
    """Restores a backup to somewhere new and opens it."""

    def to_somewhere_new(source: Path) -> Store:
        if place.kind == "sqlite":
            restore(source, tmp_path / "restored")
            return Store.open(f"sqlite:///{tmp_path}/restored/store/control.db", migrate=False)
        url, _ = request.getfixturevalue("postgresql_databases")()
        restore_postgresql(source, url)
        return Store.open(url, migrate=False)

    return to_somewhere_new


def test_what_was_backed_up_comes_back(store: Store, sample: Any, tmp_path: Path, again: Any) -> None:
    made = sample(store, "a")
    sample(store, "b")
    awkward = "back\\slash \t tab and \u00fc\u2028\nline"
    made.org.policies.add("# " + awkward, by="root", at=NOW)
    store.audit.seal(lambda payload: b"sig" + payload[:1], NOW)
    secret = Whose(store.control, store.event_database).secret()
    target = tmp_path / "backup.zip"
    manifest = backup(store, target, at=NOW)
    made.org.accounts.delete(made.account, by="root", at=NOW)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert manifest.audit_count == 41
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    with again(target) as copy:
        assert copy.organisation("Org a").accounts.get(made.account).sealed_password == b"box of a"
        active = copy.organisation("org-a").policies.active()
        assert active is not None
        assert active.source == "# " + awkward
        assert [e.id for e in copy.organisation("org-b").events.query()] == ["ev-b"]
        assert copy.audit.head() == (manifest.audit_count, manifest.audit_hash)
        assert copy.audit.verify(lambda p, s: s == b"sig" + p[:1]) == []
        assert copy.installation() == store.installation()
        assert Whose(copy.control, copy.event_database).secret() == secret
        assert [a.sealed for a in copy.organisation("org-a").authenticators.list(made.account)] == [
            b"totp of a"
        ]
        with pytest.raises(NotFound):  # it may have been ended since: everybody signs in again
            copy.organisation("org-a").web_sessions.seen(made.web_session, NOW)
        assert made.web_session in copy.load_snapshot_parts(time.time()).ended_sessions
        copy.organisation("org-a").update(name="Goes on", by="root", at=NOW)
        assert copy.row_security() == store.row_security()
        parts = copy.load_snapshot_parts(NOW)
        assert (len(parts.devices), len(parts.credentials)) == (2, 2)


def test_staff_come_back_and_sign_in_again(store: Store, sample: Any, tmp_path: Path, again: Any) -> None:
    made = sample(store, "a")
    by: dict[str, Any] = {"by": "root", "at": NOW}
    ann = store.staff.create("Ann", grants=[Grant(EVERY, Role.OWNER), Grant("org-a", Role.AUDITOR)], **by)
    key = store.staff.add_passkey(ann.id, name="Key", public_id=b"\x00\\n\xff", public_key=b"\x00k", **by)
    store.staff.open_session(
        ann.id, secret=b"s" * 32, how="passkey", ends=time.time() + 3600, by="Ann", at=time.time()
    )
    store.staff.make_link("invite", ann.id, b"l" * 32, expires_at=NOW + 60, **by)
    store.staff.set_codes([b"c" * 32], **by)
    token = store.tokens.create(
        "t", organisations=["org-a"], verbs=[Verb.READ], verifier=bytes(32), public_id="p", staff=ann.id, **by
    )
    store.tokens.remember(token.id, "key", "digest", 200, b"{}", NOW)
    made.org.findings.assign(made.finding, ann.id, **by)
    made.org.set_hours(4, **by)
    backup(store, tmp_path / "b.zip", at=NOW)
    assert store.staff.session(b"s" * 32, time.time()) is not None
    with again(tmp_path / "b.zip") as copy:
        assert copy.staff.list() == [ann]
        assert copy.staff.passkeys(ann.id) == [key]
        assert copy.tokens.find("p") == token
        org = copy.organisation("org-a")
        assert org.actions.list() == made.org.actions.list()
        assert org.actions.journal(made.action) == made.org.actions.journal(made.action)
        assert (org.findings.get(made.finding).assignee, org.hours()) == (ann.id, 4)
        # What may have been ended or used since is over.
        assert copy.staff.session(b"s" * 32, time.time()) is None
        assert copy.staff.link(b"l" * 32, NOW) is None
        assert copy.staff.codes() == (0, NOW)
        assert copy.tokens.remembered(token.id, "key", NOW) is None


def test_a_backup_while_writing_is_of_one_moment(store: Store, tmp_path: Path, again: Any) -> None:
    org = store.create_organisation("Acme", domains=["acme.example"], id="org-a", by="root", at=NOW)
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            written += 1
            org.accounts.create(f"u{written}@acme.example", by="root", at=NOW)
            store.events.append([Event(f"e{written}", NOW, "x", "org-a")])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while written < 20 and thread.is_alive():
            pass
        manifest = backup(store, tmp_path / "b.zip", at=NOW)
        seen = written
        while written < seen + 5 and thread.is_alive():
            pass
    finally:
        stop.set()
        thread.join(30)
    assert written > seen
    with again(tmp_path / "b.zip") as copy:
        accounts = len(copy.organisation("org-a").accounts.list())
        assert manifest.audit_count == 2 + accounts == copy.change_counter() + 1 == copy.audit.head()[0]
        assert [f.kind for f in copy.audit.verify(lambda p, s: True)] == [
            "head"
        ]  # never sealed; the chain fits


# --- SQLite archives: files, force, and everything that may be wrong with them ------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "settings.toml").write_text("[doors]\n")
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        store.create_organisation("Acme", by="root", at=NOW)
        backup(store, tmp_path / "b.zip", at=NOW, extra={"etc/settings.toml": tmp_path / "settings.toml"})
    return tmp_path / "b.zip"


def test_files_come_back_and_the_old_state_is_kept_aside(archive: Path, tmp_path: Path) -> None:
    old = tmp_path / "data"
    (old / "keeper").mkdir(parents=True)
    (old / "keeper" / "key").write_text("secret")
    (old / "control.db").write_text("old")
    with pytest.raises(Conflict, match="--force"):
        restore(archive, old)
    assert (old / "control.db").read_text() == "old"
    done = restore(archive, old, force=True, keep=["keeper", "not there"])
    assert (old / "keeper" / "key").read_text() == "secret"
    assert (old / "etc" / "settings.toml").read_text() == "[doors]\n"
    assert done.aside is not None
    assert (done.aside / "control.db").read_text() == "old"
    assert {stat.S_IMODE(p.stat().st_mode) for p in old.rglob("*.db")} == {0o600}
    assert restore(archive, old, force=True).aside != done.aside
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".gambeson")]


def test_a_backup_does_not_replace_a_file(archive: Path, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        with pytest.raises(BadValue, match="there already"):
            backup(store, archive, at=NOW)
        with pytest.raises(StoreUnreachable):
            backup(store, tmp_path / "no" / "such" / "place.zip", at=NOW)
        with pytest.raises(BadValue, match="cannot be the name"):
            backup(store, tmp_path / "c.zip", at=NOW, extra={"../x": archive})


def _rewrite(source: Path, edit: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    with zipfile.ZipFile(source) as old:
        members = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    edit(members, manifest)
    target = source.with_name("edited.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
        if manifest:
            new.writestr("manifest.json", json.dumps(manifest))
    return target


def _traversal(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["files/../../evil"] = b"x"
    manifest["files"]["files/../../evil"] = {"size": 1, "sha256": "0" * 64}


def _absolute(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["/tmp/evil"] = b"x"
    manifest["files"]["/tmp/evil"] = {"size": 1, "sha256": "0" * 64}


def _disguised_journal(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["files/control.db-wal"] = b"x"
    manifest["files"]["files/control.db-wal"] = {"size": 1, "sha256": "0" * 64}


def _disguised_in_its_folder(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["files/store/control.db-wal"] = b"x"
    manifest["files"]["files/store/control.db-wal"] = {"size": 1, "sha256": "0" * 64}


def _not_named(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["files/more"] = b"x"


def _flipped(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["control.db"] = members["control.db"][:-1] + b"\xff"


def _no_events(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del members["events.db"], manifest["files"]["events.db"]


def _no_manifest(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest.clear()


def _odd_manifest(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"] = [1]


def _other_format(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = 2


def _newer(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["schema"]["control"] = "0077"


def _broken_database(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    from hashlib import sha256

    data = bytearray(members["control.db"])
    data[4096:8192] = b"\x55" * 4096
    members["control.db"] = bytes(data)
    manifest["files"]["control.db"]["sha256"] = sha256(bytes(data)).hexdigest()


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (_traversal, StoreDamaged),
        (_absolute, StoreDamaged),
        (_disguised_journal, StoreDamaged),
        (_disguised_in_its_folder, StoreDamaged),
        (_not_named, StoreDamaged),
        (_flipped, StoreDamaged),
        (_no_events, StoreDamaged),
        (_no_manifest, StoreDamaged),
        (_odd_manifest, StoreDamaged),
        (_other_format, StoreDamaged),
        (_newer, SchemaNewer),
        (_broken_database, StoreDamaged),
    ],
)
def test_a_bad_archive_changes_nothing(
    archive: Path, tmp_path: Path, edit: Any, error: type[StoreError]
) -> None:
    target = tmp_path / "target"
    with pytest.raises(error) as caught:
        restore(_rewrite(archive, edit), target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".gambeson")]


def test_a_bomb_is_refused_before_it_unpacks(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="would unpack to more than"):
        restore(archive, tmp_path / "target", max_bytes=10_000)


def test_a_cut_archive_and_no_archive(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    cut = tmp_path / "cut.zip"
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        cut.write_bytes(whole[:length])
        with pytest.raises(StoreDamaged, match="cut short"):
            restore(cut, tmp_path / "target")
    with pytest.raises(StoreUnreachable):
        restore(tmp_path / "absent.zip", tmp_path / "target")


@pytest.mark.parametrize("position", range(0, 100, 7))
def test_a_flipped_byte_gives_a_store_or_one_declared_error(
    archive: Path, tmp_path: Path, position: int
) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) * position // 100] ^= 0x41
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(bytes(data))
    try:
        restore(damaged, tmp_path / "target")
    except StoreError:
        assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "name", ["manifest.json", "files/", "files/a//b", "files/.", "tables/A.copy", "files/a\nb", ""]
)
def test_names_that_no_backup_has(name: str) -> None:
    with pytest.raises(BadValue):
        checked_name(name)


def test_postgresql_is_restored_only_into_an_empty_database(place: Any, store: Store, tmp_path: Path) -> None:
    if place.kind != "postgresql":
        pytest.skip("of PostgreSQL only")
    backup(store, tmp_path / "b.zip", at=NOW)
    with pytest.raises(Conflict, match="make an empty one"):
        restore_postgresql(tmp_path / "b.zip", place.url)
    with pytest.raises(BadValue, match="of a 'postgresql' store"):
        restore(tmp_path / "b.zip", tmp_path / "target")
    with open_archive(tmp_path / "b.zip") as opened:
        assert set(opened.manifest.tables) >= {"accounts", "events", "installation"}


def test_files_beside_the_databases_come_back_where_there_are_none(tmp_path):
    from gambeson.store.restore import restore_files

    data, new = tmp_path / "data", tmp_path / "new"
    (data / "keeper").mkdir(parents=True)
    (data / "keeper" / "master.key").write_text("key")
    (data / "tls").mkdir()
    (data / "tls" / "ca.pem").write_text("ours")
    extra = {n: data / n for n in ("keeper/master.key", "tls/ca.pem")}
    with Store.open(f"sqlite:///{tmp_path}/control.db") as store:
        backup(store, tmp_path / "b.zip", at=1.0, extra=extra)
    (new / "tls").mkdir(parents=True)
    (new / "tls" / "ca.pem").write_text("theirs")
    assert restore_files(tmp_path / "b.zip", new) == ("keeper/master.key",)
    assert (new / "keeper" / "master.key").read_text() == "key"
    assert (new / "keeper" / "master.key").stat().st_mode & 0o777 == 0o600
    assert (new / "tls" / "ca.pem").read_text() == "theirs"
    assert restore_files(tmp_path / "b.zip", new) == ()
    (new / "keeper" / "master.key").write_text("another")
    with pytest.raises(Conflict, match=r"move .*keeper aside, or restore elsewhere"):
        restore_files(tmp_path / "b.zip", new)
    (new / "keeper" / "master.key").unlink()
    assert restore_files(tmp_path / "b.zip", new) == ("keeper/master.key",)  # an empty folder is none
    with pytest.raises(BadValue, match="not of postgresql"):
        restore_files(tmp_path / "b.zip", tmp_path / "third", kind="postgresql")
    assert not (tmp_path / "third").exists()
