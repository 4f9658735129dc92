"""What a hijacked worker could do with the data directory: it owns the databases, the supervisor is root.

The exploits really ran: links planted where the next start makes, opens or gives away a file as root.
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

WORKER = "64112"
USERS = {"worker": WORKER, "doors": "64110", "keeper": "64111", "console": "64113"}

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
    assert place.control.stat().st_uid == place.data.stat().st_uid == int(WORKER)


def test_a_link_named_like_a_database_gives_nothing_away(place: Place) -> None:
    shadow = place.data.parent / "shadow"
    (place.data / "control.db-x").symlink_to(shadow)
    os.link(shadow, place.data / "control.db-y")
    setup.hand_over(place, USERS)
    assert of_root(shadow), "the worker owns a file of root's after a restart"


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
    assert not place.data.stat().st_mode & 0o007


def test_a_folder_full_of_other_things_is_not_closed(tmp_path: Path) -> None:
    """``--data /tmp`` is a slip, not an order to close /tmp to everybody."""
    (tmp_path / "other").write_text("")
    tmp_path.chmod(0o755)
    setup.prepare_data(Place(tmp_path), "")
    assert tmp_path.stat().st_mode & 0o077 == 0o055


def test_root_takes_no_settings_from_somebody_else(place: Place) -> None:
    """The worker owns the folder, so it could put a settings file there for the next start."""
    (place.data / "gambeson.toml").write_text("")
    args = Namespace(config=None, data=str(place.data))
    assert config(args)
    os.chown(place.data / "gambeson.toml", int(WORKER), -1)
    with pytest.raises(CommandError, match="not root's own"):
        config(args)
