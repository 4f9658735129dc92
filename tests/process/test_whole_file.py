"""A file is there whole or not at all, and no link leads the writing astray."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gambeson.app.connect import ConnectError, _write
from gambeson.process.whole_file import write_whole


def test_it_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "first")
    write_whole(path, b"second")
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_whole(path, "third", replace=False)
    assert path.read_text() == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_link_at_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "file").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "file", "ours")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "file").is_symlink()


def test_a_link_laid_at_the_very_name_beside_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody foresees the name; and somebody who did would gain nothing."""
    (tmp_path / "precious").write_text("mine")
    monkeypatch.setattr("gambeson.process.whole_file.secrets.token_hex", lambda size: "foreseen")
    (tmp_path / "file.foreseen.new").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", "ours")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("force", [False, True])
def test_settings_are_not_written_through_a_link(tmp_path: Path, force: bool) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "gambeson.toml.new").symlink_to(precious)
    _write(tmp_path / "gambeson.toml", "[doors]\n", force)
    assert precious.read_text() == "mine"
    assert (tmp_path / "gambeson.toml").read_text() == "[doors]\n"
    os.unlink(tmp_path / "gambeson.toml")
    (tmp_path / "gambeson.toml").symlink_to(precious)
    if not force:
        with pytest.raises(ConnectError, match="cannot be written"):
            _write(tmp_path / "gambeson.toml", "[doors]\n", force)
    assert precious.read_text() == "mine"
