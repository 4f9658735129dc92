"""Schema versions: up, down and up again; too new and too old are said in a sentence."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gambeson.store import engine, migrate
from gambeson.store.control import Store
from gambeson.store.engine import EVERYWHERE
from gambeson.store.errors import SchemaNewer, SchemaOlder, StoreUnreachable
from gambeson.store.event_schema import events_metadata
from gambeson.store.schema import control_metadata

METADATA = {"control": control_metadata, "events": events_metadata}


def _databases(store: Store) -> dict[str, Any]:
    return {"control": store.control, "events": store.event_database}


def test_up_down_and_up_again(store: Store, sample: Any) -> None:
    for _ in range(2):
        sample(store, "a")
        for lineage, database in _databases(store).items():
            for target in ("0001", migrate.HEADS[lineage], "0002", "0001", "base"):
                migrate.move(database, lineage, target)
                with database.read(EVERYWHERE) as conn:
                    assert migrate.version(conn, lineage) == ("" if target == "base" else target)
            migrate.move(database, lineage, "head")
    assert store.organisations() == []
    assert store.audit.head() == (0, "0" * 64)


def test_the_migrations_make_what_the_schema_says(store: Store) -> None:
    for lineage, database in _databases(store).items():
        others = {t for name, md in METADATA.items() if name != lineage for t in md.tables}
        with database.read(EVERYWHERE) as conn:
            options = {
                "compare_type": True,
                "version_table": f"schema_{lineage}",
                "include_name": lambda name, kind, _parents, others=others: (
                    kind != "table" or (name not in others and not str(name).startswith("schema_"))
                ),
            }
            found = compare_metadata(MigrationContext.configure(conn, opts=options), METADATA[lineage])
        assert found == [], lineage


def test_the_known_heads_are_the_last_migrations() -> None:
    for lineage, head in migrate.HEADS.items():
        config = Config()
        config.set_main_option("script_location", "gambeson.store:migrations")
        config.set_main_option("version_locations", f"gambeson.store.migrations:{lineage}")
        config.set_main_option("path_separator", "newline")
        assert ScriptDirectory.from_config(config).get_heads() == [head]


def test_a_newer_schema_is_refused_and_left_alone(place: Any, store: Store, sample: Any) -> None:
    sample(store, "a")
    place.raw("UPDATE schema_control SET version_num = '0099'")
    with pytest.raises(SchemaNewer, match=r"newer Gambeson .*0099.*install that version"):
        Store.open(place.url)
    assert place.raw("SELECT version_num FROM schema_control") == [("0099",)]


def test_an_older_schema_is_upgraded_only_where_that_is_allowed(
    place: Any, store: Store, sample: Any
) -> None:
    sample(store, "a")
    migrate.move(store.control, "control", "0001")
    with pytest.raises(SchemaOlder, match=rf"0001.*{migrate.HEADS['control']}.*gambeson up"):
        Store.open(place.url, migrate=False)
    with Store.open(place.url) as again:
        assert [o.name for o in again.organisations()] == ["Org a"]


def test_no_store_and_not_allowed_to_make_one(tmp_path: Any) -> None:
    with pytest.raises(StoreUnreachable, match="no store at"):
        Store.open(f"sqlite:///{tmp_path}/control.db", migrate=False)
    assert list(tmp_path.iterdir()) == []


def test_opening_a_current_store_does_not_import_alembic(place: Any, store: Store, child: Any) -> None:
    code = (
        "import sys; from gambeson.store.control import Store; Store.open(sys.argv[1]).organisations();"
        "sys.exit(3 if 'alembic' in sys.modules else 0)"
    )
    assert child(code, place.url).wait(60) == 0


def test_two_that_start_together_make_one_store(place: Any, child: Any) -> None:
    # Both are told to go when both are ready, so that they do meet.
    code = (
        "import sys; from gambeson.store.control import Store; print('ready', flush=True); sys.stdin.readline();"
        "Store.open(sys.argv[1], timeout=120)"
    )
    both = [child(code, place.url) for _ in range(2)]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.stdin.write("go\n")
        each.stdin.flush()
    assert [p.wait(240) for p in both] == [0, 0]
    assert place.raw("SELECT count(*) FROM installation") == [(1,)]


def test_a_new_file_that_another_writes_to_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody writes to a file that is not in WAL yet, SQLite refuses the change of mode at once."""
    path = tmp_path / "control.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waited: list[float] = []

    def done(seconds: float) -> None:
        waited.append(seconds)
        other.execute("ROLLBACK")

    monkeypatch.setattr(engine.time, "sleep", done)
    with Store.open(f"sqlite:///{path}") as store, store.control.read(EVERYWHERE) as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert len(waited) == 1
    other.close()
