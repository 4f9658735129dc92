"""``gambeson org cloud``: what the organisation says of clouds, where it is kept, and where it shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gambeson import cli
from gambeson.model.event import Event
from gambeson.store.control import Store
from gambeson.store.urls import sqlite_url
from peers.gambeson import Gambeson

OWN = 'name = "Ours"\nsource = "us"\ndated = "2026-01-01"\nnetworks = ["192.0.2.0/24"]\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory that ran once, and an account's address."""
    folder = tmp_path_factory.mktemp("cloud")
    with Gambeson(folder / "data") as gambeson:
        account = gambeson.json("account", "list")["accounts"][0]["address"]
    return folder, account


@pytest.fixture
def stopped(made: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    shutil.copytree(made[0] / "data", tmp_path / "data")
    return tmp_path, made[1]


def asked(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> dict[str, Any]:
    config = ["--config", str(folder / "gambeson.toml")] if (folder / "gambeson.toml").exists() else []
    assert cli.main([*words, "--data", str(folder / "data"), "--json", *config]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_none_may_until_it_is_said_and_it_is_audited(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = stopped
    [cloud] = asked(capsys, folder, "org", "cloud", "list")["clouds"]
    assert (cloud["id"], cloud["allowed"]) == ("microsoft", False)
    assert "52.125.128.0/20" in cloud["networks"]
    for verb, after in (("allow", ["microsoft"]), ("allow", ["microsoft"]), ("refuse", [])):
        assert asked(capsys, folder, "org", "cloud", verb, "microsoft")["clouds"] == after
        assert asked(capsys, folder, "org", "list")["organisations"][0]["clouds"] == after
    entries = asked(capsys, folder, "audit", "show")["entries"]
    told = [e["action"] for e in entries if e["action"].startswith("organisation.cloud")]
    assert sorted(told) == ["organisation.cloud-allowed"] * 2 + ["organisation.cloud-refused"]
    assert cli.main(["org", "cloud", "allow", "micros", "--data", str(folder / "data")]) == 2
    assert "known are microsoft" in capsys.readouterr().err


def test_explain_knows_them_by_name_and_by_network(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, account = stopped
    words = ("guard", "explain", "--door", "imap", "--account", account, "--rung", "device-secret")
    for more, evidence in (
        ((), ""),
        (("--program", "Outlook-iOS/2.0"), "agent"),
        (("--from", "52.125.128.7"), "network"),
        (("--from", "52.125.128.7", "--program", "Outlook-iOS/2.0"), "both"),
    ):
        found = asked(capsys, folder, *words, *more)
        assert found["cloud_evidence"] == evidence
        assert (found["reason"] == "cloud-client") is bool(evidence)
    asked(capsys, folder, "org", "cloud", "allow", "microsoft")
    assert asked(capsys, folder, *words, "--from", "52.125.128.7")["decision"] == "allow"


def test_own_files_replace_and_add_and_a_bad_one_is_said(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, account = stopped
    (folder / "gambeson.toml").write_text('[doors]\nclouds = "clouds.d"\n')
    (folder / "clouds.d").mkdir()
    (folder / "clouds.d" / "microsoft.toml").write_text(OWN)
    (folder / "clouds.d" / "ours.toml").write_text(OWN.replace("192.0.2", "198.51.100"))
    assert [c["id"] for c in asked(capsys, folder, "org", "cloud", "list")["clouds"]] == ["microsoft", "ours"]
    words = ("guard", "explain", "--door", "imap", "--account", account, "--rung", "device-secret")
    for source, cloud in (("52.125.128.7", ""), ("192.0.2.7", "microsoft"), ("198.51.100.7", "ours")):
        assert asked(capsys, folder, *words, "--from", source)["cloud"] == cloud
    (folder / "clouds.d" / "ours.toml").write_text("x")
    config = ["--data", str(folder / "data"), "--config", str(folder / "gambeson.toml")]
    for bad in (["org", "cloud", "list"], [*words, "--from", "192.0.2.7"]):
        assert cli.main([*bad, *config]) == 2
        assert "ours.toml" in capsys.readouterr().err


def test_the_list_of_devices_says_through_which_cloud_each_reads(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, account = stopped
    device = asked(capsys, folder, "device", "enrol", account, "--name", "Cloudy")["device"]
    assert asked(capsys, folder, "device", "list", account)["devices"][0]["last_cloud"] == ""
    with Store.open(sqlite_url(folder / "data")) as store:
        organisation = store.organisations()[0].id
        data = {"cloud": "microsoft", "cloud_evidence": "network"}
        used = Event(
            "t1", 1.0, "door.login.allowed", organisation, device=device, source="52.125.128.7", data=data
        )
        store.events.append([used])
    listed = asked(capsys, folder, "device", "list", account)["devices"]
    assert [d["last_cloud"] for d in listed if d["id"] == device] == ["microsoft"]
    assert cli.main(["device", "list", account, "--data", str(folder / "data")]) == 0
    shown = capsys.readouterr().out
    assert "through" in shown
    assert "microsoft" in shown
