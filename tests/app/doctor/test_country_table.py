"""What the doctor says of the country table, and of a policy that would need one; and what ``up`` says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gambeson.app.doctor import State
from gambeson.app.doctor.country_table import look
from gambeson.app.doctor.result import Patient
from gambeson.app.place import Place
from gambeson.app.setup import check_country_table
from gambeson.guard.core.policy_toml import parse_policy
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.process.run_directory import RunError
from gambeson.settings import loads
from peers.mmdb import write_mmdb

NOW = 1.8e9
DAY = 86400.0
RULE = '[[rule]]\nname = "{}"\nopinion = "deny"\n{}\n'


def patient(folder: Path, table: str = "", policy: str = "") -> Patient:
    config = loads(f'[doors]\ncountry_table = "{table}"\n', "test", folder)
    index = SnapshotIndex(
        Snapshot(1, NOW, (Organisation("o", "Example"),), policies=(parse_policy(policy, "o"),))
    )
    installation = SimpleNamespace(snapshot=lambda: index)
    return Patient(Place(folder), config, None, NOW, installation)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age", "state"), [(0, State.OK), (90, State.OK), (91, State.WARNING), (-3, State.OK)]
)
def test_its_age_is_its_makers(tmp_path: Path, age: int, state: State) -> None:
    write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"}, built=NOW - age * DAY)
    (check,) = look(patient(tmp_path, "c.mmdb"))
    assert check.state is state
    assert str(tmp_path / "c.mmdb") in check.text


def test_a_broken_one_has_failed(tmp_path: Path) -> None:
    (tmp_path / "c.mmdb").write_bytes(b"<html>")
    (check,) = look(patient(tmp_path, "c.mmdb"))
    assert check.state is State.FAILED
    assert "broken" in check.text


def test_without_one_the_rules_that_never_hold_are_named(tmp_path: Path) -> None:
    policy = (
        RULE.format("here", 'countries = ["DE"]')
        + RULE.format("high", "risk_at_least = 70")
        + RULE.format("some", "risk_at_least = 30")
    )
    (check,) = look(patient(tmp_path, policy=policy))
    assert check.state is State.WARNING
    assert "rules of Example never hold: here, high." in check.text
    assert list(look(patient(tmp_path, policy=RULE.format("some", "risk_at_least = 30")))) == []


def test_with_one_they_are_not(tmp_path: Path) -> None:
    write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"}, built=NOW)
    policy = RULE.format("here", 'countries = ["DE"]')
    assert [c.state for c in look(patient(tmp_path, "c.mmdb", policy))] == [State.OK]


def test_up_does_not_start_with_a_table_that_cannot_be_used(tmp_path: Path) -> None:
    config = loads('[doors]\ncountry_table = "gone.mmdb"\n', "test", tmp_path)
    with pytest.raises(
        RunError, match=r"can't be read \(No such file or directory\); correct doors\.country_table$"
    ) as e:
        check_country_table(config)
    assert e.value.code == 2
    write_mmdb(tmp_path / "gone.mmdb", {"81.2.69.0/24": "GB"})
    check_country_table(config)
    check_country_table(loads("", "test", tmp_path))
