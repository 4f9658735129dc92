"""``guard explain`` and ``policy check`` with countries and risks, without anything running."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gambeson import cli
from peers.gambeson import Gambeson
from peers.mmdb import write_mmdb

POLICY = """
[[rule]]
name = "high-risk"
opinion = "deny"
risk_at_least = 70

[[rule]]
name = "here"
opinion = "allow"
countries = ["GB"]
device_states = ["registered"]
"""
ALMA = "alma@"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory whose organisation has this policy, and an account's address."""
    folder = tmp_path_factory.mktemp("country")
    with Gambeson(folder / "data") as gambeson:
        (folder / "policy.toml").write_text(POLICY)
        gambeson.run("policy", "set", str(folder / "policy.toml"))
        account = gambeson.json("account", "list")["accounts"][0]["address"]
    return folder, account


def explained(capsys: pytest.CaptureFixture[str], folder: Path, account: str, *args: str) -> dict[str, Any]:
    words = ["guard", "explain", "--door", "imap", "--account", account, "--rung", "device-secret", *args]
    assert cli.main([*words, "--data", str(folder / "data"), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_explain_supposes_a_country_and_a_risk(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for args, decision, rule, country, risk in (
        ((), "deny", "no rule", "", 0),
        (("--country", "gb"), "allow", "rule:here", "GB", 0),
        (("--country", "SE"), "deny", "no rule", "SE", 0),
        (("--country", "GB", "--risk", "69"), "allow", "rule:here", "GB", 69),
        (("--country", "GB", "--risk", "70"), "deny", "rule:high-risk", "GB", 70),
        (("--from", "81.2.69.1"), "deny", "no rule", "", 0),  # there is no table
    ):
        found = explained(capsys, *stopped, *args)
        assert (found["decision"], found["rule"], found["country"], found["risk"]) == (
            decision,
            rule,
            country,
            risk,
        )


def test_with_a_table_the_country_is_the_addresss(
    stopped: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, account = stopped
    write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"})
    (tmp_path / "gambeson.toml").write_text('[doors]\ncountry_table = "c.mmdb"\n')
    shutil.copytree(folder / "data", tmp_path / "data")
    config = ("--config", str(tmp_path / "gambeson.toml"))
    assert explained(capsys, tmp_path, account, "--from", "81.2.69.1", *config)["rule"] == "rule:here"
    given = explained(capsys, tmp_path, account, "--from", "81.2.69.1", "--country", "SE", *config)
    assert given["country"] == "SE"
    (tmp_path / "c.mmdb").unlink()
    words = ("guard", "explain", "--door", "imap", "--account", account, "--from", "81.2.69.1", *config)
    assert cli.main([*words, "--data", str(tmp_path / "data")]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_policy_check_warns_only_without_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    data = ("--data", str(tmp_path / "data"))
    assert cli.main(["policy", "check", str(tmp_path / "policy.toml"), *data]) == 0
    assert capsys.readouterr().out.count("this rule never holds") == 2
    (tmp_path / "gambeson.toml").write_text('[doors]\ncountry_table = "c.mmdb"\n')
    config = ("--config", str(tmp_path / "gambeson.toml"))
    assert cli.main(["policy", "check", str(tmp_path / "policy.toml"), *data, *config]) == 0
    assert "good policy" in capsys.readouterr().out
