"""A whole installation on PostgreSQL, as an ordinary database user: made, backed up and restored, upgraded and back."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gambeson.store.engine import EVERYWHERE, open_databases
from gambeson.store.migrate import HEADS, move, version
from gambeson.store.urls import locate
from peers import missing_programs, program
from peers.gambeson import Gambeson
from peers.postgresql import PostgreSql
from peers.process import free_port
from peers.system_users import open_folder, system_users

ANNA = "anna@example.org"


@dataclass
class Database:
    """A server of our own with the role ``mail``."""

    server: PostgreSql

    def sql(self, *statements: str, database: str = "postgres") -> None:
        at = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "gambeson", database]
        for statement in statements:
            subprocess.run([program("psql"), *at, "-c", statement], check=True, capture_output=True)

    @property
    def settings(self) -> str:
        return f"""
[store]
url = "postgresql://mail@127.0.0.1:{self.server.port}/mail"
[[server]]
name = "main"
imap = "imap+plain://127.0.0.1:{free_port()}"
"""


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    if why := missing_programs("postgresql"):
        pytest.skip(why)
    made = Database(PostgreSql(folder / "postgresql"))
    try:
        made.sql("CREATE ROLE mail LOGIN", "CREATE DATABASE mail OWNER mail")
        yield made
    finally:
        made.server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder, system_users():
        yield folder


@pytest.fixture
def installation(database: Database, folder: Path) -> Iterator[Gambeson]:
    with Gambeson(folder / "data", config=database.settings) as gambeson:
        yield gambeson


@pytest.mark.peer("postgresql")
@pytest.mark.slow
def test_it_is_made_kept_and_found_again(installation: Gambeson) -> None:
    installation.json("org", "add", "Example", "--domain", "example.org")
    installation.json("account", "add", ANNA)
    states = {c["name"]: c["state"] for c in _report(installation)}
    assert (states["store"], states["processes"], states["audit log"]) == ("ok", "ok", "ok")
    assert not list((installation.data / "backups").iterdir())  # nothing was there to be upgraded
    assert installation.stop() == 0
    installation.start()
    assert [a["address"] for a in installation.json("account", "list")["accounts"]] == [ANNA]


@pytest.mark.peer("postgresql")
@pytest.mark.slow
def test_a_backup_brings_everything_back(installation: Gambeson, database: Database, folder: Path) -> None:
    installation.json("org", "add", "Example", "--domain", "example.org")
    installation.json("account", "add", ANNA, "--group", "staff")
    installation.enrol(ANNA, name="Phone", doors="imap")
    shown = ("account", "list"), ("device", "list"), ("org", "list"), ("audit", "show")
    before = [installation.json(*command) for command in shown]
    backup = str(folder / "backup.zip")
    installation.json("backup", backup)
    installation.json("account", "add", "later@example.org")
    assert installation.stop() == 0
    secrets = {path.name: path.read_bytes() for path in (installation.data / "keeper").iterdir()}

    # Elsewhere, with another key in place already: the files come first, so the database is not touched.
    database.sql("DROP DATABASE mail", "CREATE DATABASE mail OWNER mail")
    elsewhere = Gambeson(folder / "elsewhere", config=database.settings)
    (elsewhere.data / "keeper").mkdir(mode=0o700, parents=True)
    (elsewhere.data / "keeper" / "master.key").write_bytes(b"another")
    refused = elsewhere.run("restore", backup, check=False)
    assert (refused.returncode, "is not the master key of this backup" in refused.stderr) == (2, True)
    shutil.rmtree(elsewhere.data)
    # A database with a store in it is not written over; the files that were put there do not hinder another try.
    database.sql("CREATE TABLE schema_control (version_num text)", database="mail")
    database.sql(
        "INSERT INTO schema_control VALUES ('0001'); GRANT ALL ON schema_control TO mail", database="mail"
    )
    refused = elsewhere.run("restore", backup, check=False)
    assert (refused.returncode, "has a store in it" in refused.stderr) == (2, True)
    database.sql("DROP TABLE schema_control", database="mail")

    assert elsewhere.json("restore", backup)["keys"] is True
    assert {path.name: path.read_bytes() for path in (elsewhere.data / "keeper").iterdir()} == secrets
    assert [elsewhere.json(*command) for command in shown] == before  # stopped
    assert elsewhere.json("audit", "verify")["faults"] == []
    with elsewhere:
        assert [elsewhere.json(*command) for command in shown] == before
        (device,) = elsewhere.json("device", "list")["devices"]
        assert device["credentials"][0]["kind"] == "device-secret"
        elsewhere.json("account", "add", "afterwards@example.org")  # and it goes on, the audit log too
        elsewhere.enrol("afterwards@example.org", doors="imap")  # the keeper's keys open
        assert elsewhere.json("audit", "verify")["faults"] == []


@pytest.mark.peer("postgresql")
@pytest.mark.slow
def test_an_upgrade_with_which_nothing_stands_is_taken_back(
    installation: Gambeson, database: Database
) -> None:
    installation.json("org", "add", "Example", "--domain", "example.org")
    installation.json("account", "add", ANNA)
    assert installation.stop() == 0
    url = f"postgresql://mail@127.0.0.1:{database.server.port}/mail"
    assert _schema(url, "0001") == {"control": "0001", "events": "0001"}
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        failed = installation.run("up", "--ports-from", str(busy.getsockname()[1]), check=False)
    assert failed.returncode == 3, failed
    assert "the store is as it was before" in failed.stderr
    assert _schema(url) == {"control": "0001", "events": "0001"}
    installation.start()
    assert _schema(url) == HEADS
    assert [a["address"] for a in installation.json("account", "list")["accounts"]] == [ANNA]
    assert installation.json("audit", "verify")["faults"] == []


def _schema(url: str, target: str = "") -> dict[str, str]:
    """The versions of both lineages, after a move to ``target`` where one is given."""
    found = {}
    opened, _ = open_databases(locate(url), create=False, timeout=5.0)
    for lineage in HEADS:
        if target:
            move(opened, lineage, target)
        with opened.read(EVERYWHERE) as conn:
            found[lineage] = version(conn, lineage)
    opened.close()
    return found


def _report(installation: Gambeson) -> list[dict[str, str]]:
    checks: list[dict[str, str]] = json.loads(installation.run("doctor", "--json", check=False).stdout)[
        "checks"
    ]
    return checks
