"""What a hijacked worker could do with the data directory: it owns the databases, the supervisor is root.

The exploits really ran, while the directory itself was the worker's: links planted where the next start makes, opens or
gives away a file as root. They are still refused, for whoever comes from such a version.
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest

from gambeson.app import setup
from gambeson.app.place import Place
from gambeson.cli.common import CommandError, config
from gambeson.process.run_directory import RunDirectory, RunError
from gambeson.process.supervisor import Plan, Supervisor
from gambeson.store.control import Store
from gambeson.store.errors import StoreUnreachable

WORKER = "64112"
USERS = {"worker": WORKER, "doors": "64110", "keeper": "64111", "portal": "64113", "console": WORKER}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A data directory as the first start leaves it, and a file that is root's alone."""
    (tmp_path / "shadow").write_text("root:secret")
    (tmp_path / "shadow").chmod(0o600)
    place = Place(tmp_path / "data")
    setup.prepare_data(place, WORKER)
    place.control.write_text("")
    setup.hand_over(place, USERS)
    return place


def of_root(path: Path) -> bool:
    return path.lstat().st_uid == 0


def test_the_worker_gets_its_databases_and_can_write_beside_them(place: Place) -> None:
    assert place.control.stat().st_uid == place.store.stat().st_uid == int(WORKER)
    assert of_root(place.data)


def test_a_link_named_like_a_database_gives_nothing_away(place: Place) -> None:
    shadow = place.data.parent / "shadow"
    (place.store / "control.db-x").symlink_to(shadow)
    os.link(shadow, place.store / "control.db-y")
    setup.hand_over(place, USERS)
    assert of_root(shadow), "the worker owns a file of root's after a restart"


def test_a_link_in_place_of_a_database_is_not_closed_by_root(place: Place) -> None:
    """Every command of root's opens the store: /etc/passwd would have become 0600."""
    victim = place.data.parent / "passwd"
    victim.write_text("root:x:0:0")
    victim.chmod(0o644)
    place.control.unlink()
    place.control.symlink_to(victim)
    for migrate in (True, False):
        with pytest.raises(StoreUnreachable, match="cannot be opened"):
            Store.open(f"sqlite:///{place.control}", migrate=migrate)
    assert victim.stat().st_mode & 0o777 == 0o644


def test_folders_that_are_links_are_not_given_away(place: Place) -> None:
    victim = place.data.parent / "etc"
    victim.mkdir(mode=0o755)
    for name in ("snapshots", "spool"):
        (place.data / name).symlink_to(victim)
    supervisor = Supervisor(Plan(place.data, lambda _: [], users=USERS))
    supervisor._run = RunDirectory(place.data)
    try:
        with pytest.raises(RunError, match="snapshots"):
            supervisor._prepare()
    finally:
        supervisor._run.close()
    assert of_root(victim)


def test_a_lock_file_that_is_a_link_overwrites_nothing(place: Place) -> None:
    shadow = place.data.parent / "shadow"
    (place.data / "run").mkdir(mode=0o700)
    (place.data / "run" / "up.lock").symlink_to(shadow)
    with pytest.raises(RunError):
        RunDirectory(place.data)
    assert shadow.read_text() == "root:secret"


def test_a_run_directory_that_somebody_else_made_is_refused(place: Place) -> None:
    """In it the worker could open the keeper's command socket and have certificates issued."""
    (place.data / "run").mkdir(mode=0o700)
    os.chown(place.data / "run", int(WORKER), -1)
    with pytest.raises(RunError, match="belongs to somebody else"):
        RunDirectory(place.data)


@pytest.mark.parametrize("name", ["tls", "backups"])
def test_folders_with_keys_that_somebody_else_made_are_refused(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path / "data")
    place.data.mkdir()
    (place.data / name).mkdir()
    os.chown(place.data / name, int(WORKER), -1)
    with pytest.raises(RunError, match="belongs to somebody else"):
        setup.prepare_data(place, WORKER)


def test_the_data_directory_is_closed_to_others_even_where_it_was_not(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    place.data.mkdir(mode=0o755)
    (place.data / "instance").write_text("")
    setup.prepare_data(place, "")
    assert not place.data.stat().st_mode & 0o077
    setup.prepare_data(place, WORKER)
    about = place.data.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (0, int(WORKER), 0o710)


def test_a_folder_full_of_other_things_is_not_closed(tmp_path: Path) -> None:
    """``--data /tmp`` is a slip, not an order to close /tmp to everybody."""
    (tmp_path / "other").write_text("")
    tmp_path.chmod(0o755)
    setup.prepare_data(Place(tmp_path), "")
    assert tmp_path.stat().st_mode & 0o077 == 0o055


def test_a_folder_full_of_other_things_is_not_given_away(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    tmp_path.chmod(0o700)
    with pytest.raises(RunError, match="closed to 64112"):
        setup.prepare_data(Place(tmp_path), WORKER)
    os.chown(tmp_path, 64110, 64110)
    with pytest.raises(RunError, match="belongs to somebody else"):
        setup.prepare_data(Place(tmp_path), WORKER)
    assert tmp_path.stat().st_uid == 64110


@pytest.fixture
def earlier(tmp_path: Path) -> Place:
    """A data directory as an earlier version left it: the worker's, with the databases in it."""
    place = Place(tmp_path / "data")
    for folder in (place.data, place.keeper, place.tls, place.backups, place.run, place.playground):
        folder.mkdir(mode=0o700)
    with Store.open(f"sqlite:///{place.earlier_control}") as store:
        store.create_organisation("Acme", by="root", at=1.0)
    for path in (place.data, place.playground, *place.data.glob("*.db*")):
        os.chown(path, int(WORKER), int(WORKER))
    return place


def test_an_earlier_data_directory_is_taken_back_from_the_worker(earlier: Place) -> None:
    for _ in range(2):
        setup.prepare_data(earlier, WORKER)
    assert of_root(earlier.data)
    assert of_root(earlier.playground)
    assert not [path for path in earlier.data.iterdir() if path.suffix == ".db"]
    assert {path.stat().st_uid for path in (earlier.store, earlier.control, earlier.events)} == {int(WORKER)}
    with Store.open(f"sqlite:///{earlier.control}", migrate=False) as store:
        assert [each.name for each in store.organisations()] == ["Acme"]


def test_a_move_that_was_cut_short_goes_on(earlier: Place) -> None:
    earlier.store.mkdir(mode=0o700)
    os.chown(earlier.store, int(WORKER), int(WORKER))
    (earlier.data / "events.db").rename(earlier.events)
    setup.prepare_data(earlier, WORKER)
    assert earlier.control.is_file()
    assert earlier.events.is_file()


@pytest.mark.parametrize("what", ["it runs", "a link", "another name", "both"])
def test_an_earlier_data_directory_is_refused_in_one_sentence(earlier: Place, what: str) -> None:
    running = RunDirectory(earlier.data) if what == "it runs" else None
    if what == "a link":
        (earlier.data / "events.db").unlink()
        (earlier.data / "events.db").symlink_to(earlier.data.parent / "elsewhere")
    if what == "another name":
        os.link(earlier.earlier_control, earlier.data.parent / "elsewhere")
    if what == "both":
        earlier.store.mkdir()
        earlier.control.write_text("")
    match = {"it runs": "already runs", "both": "both there"}.get(what, "is a link or no file")
    with pytest.raises(RunError, match=match):
        setup.prepare_data(earlier, WORKER)
    assert earlier.earlier_control.is_file()
    if running is not None:
        running.close()


def test_root_takes_no_settings_from_somebody_else(place: Place) -> None:
    """The worker owns the folder, so it could put a settings file there for the next start."""
    (place.data / "gambeson.toml").write_text("")
    args = Namespace(config=None, data=str(place.data))
    assert config(args)
    os.chown(place.data / "gambeson.toml", int(WORKER), -1)
    with pytest.raises(CommandError, match="not root's own"):
        config(args)
