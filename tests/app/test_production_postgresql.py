"""``gambeson up`` on an empty PostgreSQL database, as an ordinary database user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers import missing_programs, program
from peers.gambeson import Gambeson
from peers.postgresql import PostgreSql
from peers.process import free_port
from peers.system_users import open_folder, system_users


@pytest.fixture
def installation() -> Iterator[Gambeson]:
    if why := missing_programs("postgresql"):
        pytest.skip(why)
    import subprocess

    with open_folder() as folder, system_users():
        server = PostgreSql(folder / "postgresql")
        try:
            for statement in ("CREATE ROLE mail LOGIN", "CREATE DATABASE mail OWNER mail"):
                at = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "gambeson", "postgres"]
                subprocess.run([program("psql"), *at, "-c", statement], check=True, capture_output=True)
            settings = f"""
[store]
url = "postgresql://mail@127.0.0.1:{server.port}/mail"
[[server]]
name = "main"
imap = "imap+plain://127.0.0.1:{free_port()}"
"""
            with Gambeson(folder / "data", config=settings) as gambeson:
                yield gambeson
        finally:
            server.stop()


@pytest.mark.peer("postgresql")
@pytest.mark.slow
def test_it_is_made_kept_and_found_again(installation: Gambeson) -> None:
    installation.json("org", "add", "Example", "--domain", "example.org")
    installation.json("account", "add", "anna@example.org")
    states = {c["name"]: c["state"] for c in _report(installation)}
    assert (states["store"], states["processes"], states["audit log"]) == ("ok", "ok", "ok")
    assert not list((installation.data / "backups").iterdir())  # nothing was there to be upgraded
    assert installation.stop() == 0
    installation.start()
    assert [a["address"] for a in installation.json("account", "list")["accounts"]] == ["anna@example.org"]


def _report(installation: Gambeson) -> list[dict[str, str]]:
    import json

    checks: list[dict[str, str]] = json.loads(installation.run("doctor", "--json", check=False).stdout)[
        "checks"
    ]
    return checks
