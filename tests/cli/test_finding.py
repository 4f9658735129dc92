"""``gambeson finding`` on an installation that is stopped: what it lists, how it ends, and what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gambeson.cli import main
from gambeson.model.finding import Evidence, Finding, Severity
from gambeson.store.control import Store
from gambeson.store.urls import sqlite_url

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "finding.json").read_text())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    now = time.time()
    (tmp_path / "store").mkdir()
    with Store.open(sqlite_url(tmp_path)) as store:
        for name, severities in (("Acme", (Severity.HIGH, Severity.LOW)), ("Bakery", (Severity.MEDIUM,))):
            organisation = store.create_organisation(name, by="t", at=now)
            for severity in severities:
                evidence = (Evidence("event", "d/1", excerpt="it \x1b[31m said", at=now),)
                finding = Finding(
                    "", "", "server", f"main {severity.word}", "server.unreachable", "A server is away",
                    severity, "why", evidence=evidence, remedy=("look",),
                )  # fmt: skip
                organisation.findings.open(finding, by="t", at=now)
    return tmp_path


def run(data: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any, str]:
    code = main(["finding", *args, "--json", "--data", str(data)])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_the_worst_comes_first_and_decides_the_exit(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, listed, _ = run(data, capsys, "list")
    assert code == 1
    assert [f["severity"] for f in listed["findings"]] == ["high", "medium", "low"]
    for level, code in (("critical", 0), ("never", 0), ("info", 1)):
        assert run(data, capsys, "list", "--fail-on", level)[0] == code
    assert run(data, capsys, "list", "--org", "Bakery")[0] == 0
    assert run(data, capsys, "list", "--fail-on", "awful")[0] == 2


def test_the_document_is_the_schemas(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, listed, _ = run(data, capsys, "list")
    _, one, _ = run(data, capsys, "show", listed["findings"][0]["id"])
    assert one == listed["findings"][0]
    assert set(one) == set(SCHEMA["properties"])
    assert set(one["asset"]) == set(SCHEMA["properties"]["asset"]["properties"])
    assert set(one["evidence"][0]) == set(SCHEMA["properties"]["evidence"]["items"]["properties"])
    assert one["severity"] in SCHEMA["properties"]["severity"]["enum"]
    assert one["state"] in SCHEMA["properties"]["state"]["enum"]
    assert one["first_seen"].endswith("Z")


def test_a_waiver_has_a_reason_an_owner_and_an_end(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, listed, _ = run(data, capsys, "list")
    name = listed["findings"][0]["id"]
    whole = ["--reason", "moving house", "--owner", "Ann", "--until", "30d"]
    for missing in (0, 2, 4):
        assert run(data, capsys, "waive", name, *whole[:missing], *whole[missing + 2 :])[0] == 2
    for blank in (1, 3):
        assert run(data, capsys, "waive", name, *whole[:blank], " ", *whole[blank + 1 :])[0] == 2
    assert run(data, capsys, "waive", name, *whole[:5], "2020-01-01")[0] == 2
    code, waived, _ = run(data, capsys, "waive", name, *whole)
    assert (code, waived["state"]) == (0, "waived")
    assert "moving house" in waived["closing"]
    assert "Ann" in waived["closing"]
    assert run(data, capsys, "list")[0] == 0
    _, everything, _ = run(data, capsys, "list", "--all")
    assert name in [f["id"] for f in everything["findings"]]


def test_what_is_not_there_is_said_in_a_sentence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(data, capsys, "show", "find-nothing")
    assert code == 2
    assert "no finding" in error


def test_nothing_of_the_data_reaches_the_terminal_as_a_command(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, listed, _ = run(data, capsys, "list")
    assert main(["finding", "show", listed["findings"][0]["id"], "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "to do: look" in said
