"""``gambeson doctor`` on real installations: sound, stopped, and with one thing broken at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.gambeson import Gambeson


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("doctor") / "data") as gambeson:
        yield gambeson


def look(gambeson: Gambeson, *args: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Exit code, and the lines by name."""
    import json

    done = gambeson.run("doctor", "--json", *args, check=False)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    lines: dict[str, list[dict[str, str]]] = {}
    for check in document["checks"]:
        assert set(check) == {"name", "state", "text", "remedy"}
        assert check["state"] in ("ok", "warning", "failed")
        assert bool(check["remedy"]) is (check["state"] != "ok"), "a line that is not good says what to do"
        lines.setdefault(check["name"], []).append(check)
    return done.returncode, lines


def states(lines: dict[str, list[dict[str, str]]], name: str) -> set[str]:
    return {check["state"] for check in lines[name]}


def test_a_sound_installation_has_no_failed_line(playground: Gambeson) -> None:
    code, lines = look(playground)
    assert [c for checks in lines.values() for c in checks if c["state"] == "failed"] == []
    assert code == 0
    for name in ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve", "https"):
        assert states(lines, f"door {name}") == {"ok"}
    assert states(lines, "site emulator") == states(lines, "web certificate") == {"ok"}
    (factors,) = lines["second factors"]
    assert "1 of 3 accounts: chiara@" in factors["text"]
    for name in ("data directory", "keeper", "store", "processes", "snapshot", "policy", "audit log"):
        assert states(lines, name) == {"ok"}
    assert states(lines, "certificate") == {"warning"}  # it is Gambeson's own
    assert states(lines, "backups") == {"warning"}
    assert look(playground, "--fail-on", "medium")[0] == 1


def test_for_people_it_is_one_line_a_measurement(playground: Gambeson) -> None:
    text = playground.run("doctor").stdout
    assert "ok       door imaps: 127.0.0.1:" in text
    assert text.splitlines()[-1].endswith("0 failed.")


def _mode(path: str, mode: int) -> Callable[[Gambeson], Callable[[], object]]:
    def break_it(gambeson: Gambeson) -> Callable[[], object]:
        file = gambeson.data / path
        before = file.stat().st_mode
        file.chmod(mode)
        return lambda: file.chmod(before)

    return break_it


def _command(*args: str, undo: tuple[str, ...]) -> Callable[[Gambeson], Callable[[], object]]:
    def break_it(gambeson: Gambeson) -> Callable[[], object]:
        gambeson.run(*args)
        return lambda: gambeson.run(*undo)

    return break_it


def _wrong_public_key(gambeson: Gambeson) -> Callable[[], object]:
    file = gambeson.data / "tls" / "token-key.pem"
    before = file.read_text()
    file.write_text(before.replace("M", "N", 1))
    return lambda: file.write_text(before)


def _from_the_future(gambeson: Gambeson) -> Callable[[], object]:
    file = gambeson.data / "backups" / "x.zip"
    file.write_bytes(b"x")
    os.utime(file, (4e9, 4e9))
    return file.unlink


def _old_backup(gambeson: Gambeson) -> Callable[[], object]:
    file = gambeson.data / "backups" / "x.zip"
    file.write_bytes(b"x")
    os.utime(file, (1e9, 1e9))
    return file.unlink


BREAKAGES: dict[str, tuple[Callable[[Gambeson], Callable[[], object]], str, str, str]] = {
    "others read the data": (_mode(".", 0o755), "data directory", "failed", "chmod 07"),
    "others read the key": (_mode("keeper/master.key", 0o644), "keeper", "failed", "chmod 0600"),
    "another key signs": (_wrong_public_key, "keeper", "failed", "Restart"),
    "the bypass is open": (
        _command(*["guard", "open", "--for", "1h", "--reason", "drill"], undo=("guard", "open", "--close")),
        "bypass",
        "failed",
        "guard open --close",
    ),
    "a door only observes": (
        _command(
            *["guard", "mode", "imap", "observe", "--for", "1d"], undo=("guard", "mode", "imap", "enforce")
        ),
        "mode",
        "warning",
        "guard ready",
    ),
    "the clock went back": (_from_the_future, "clock", "failed", "Set the clock"),
    "the backup is old": (_old_backup, "backups", "warning", "every night"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_is_broken_is_named_with_a_remedy(playground: Gambeson, name: str) -> None:
    break_it, line, state, remedy = BREAKAGES[name]
    mend = break_it(playground)
    try:
        code, lines = look(playground)
    finally:
        mend()
    found = [check for check in lines.get(line, []) if check["state"] == state]
    assert found, lines
    assert any(remedy in check["remedy"] for check in found), found
    assert code == (1 if state == "failed" else 0)


def test_stopped_it_says_so_and_looks_at_what_it_can(tmp_path: Path) -> None:
    with Gambeson(tmp_path / "data") as gambeson:
        pass
    code, lines = look(gambeson)
    assert code == 1
    assert states(lines, "processes") == {"failed"}
    for name in ("keeper", "store"):
        assert states(lines, name) == {"ok"}
    assert states(lines, "audit log") <= {
        "ok",
        "warning",
    }  # stopped so soon, the last entries may not be signed
    assert "snapshot" not in lines


def test_a_store_that_does_not_open_stops_nothing_else(tmp_path: Path) -> None:
    with Gambeson(tmp_path / "data") as gambeson:
        pass
    (gambeson.data / "store" / "control.db").write_bytes(b"no database" * 1000)
    code, lines = look(gambeson)
    assert code == 1
    assert states(lines, "store") == {"failed"}
    assert states(lines, "keeper") == {"ok"}


def test_no_installation_and_bad_settings(tmp_path: Path) -> None:
    nothing = Gambeson(tmp_path / "nothing")
    done = nothing.run("doctor", check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "There is no installation in" in done.stderr
    wrong = Gambeson(tmp_path / "data", config="[doors]\nhostnam = 'x'\n")
    code, lines = look(wrong)
    assert code == 1
    assert list(lines) == ["settings"]
    assert "did you mean doors.hostname" in lines["settings"][0]["text"]
    missing = Gambeson(tmp_path / "data")
    missing.config = tmp_path / "gone.toml"
    assert look(missing)[0] == 3


def test_a_machine_past_its_review_is_named(playground: Gambeson) -> None:
    made: Any = playground.json(
        *[
            "device",
            "enrol",
            "alma@playground.example",
            "--name",
            "Scanner",
            "--doors",
            "submission",
            "--machine",
        ],
        *["--network", "192.0.2.0/24", "--owner", "office", "--review", "1s"],
    )
    import time

    time.sleep(1.1)
    _, lines = look(playground)
    playground.run(
        "device", "revoke", made["device"]["id"] if isinstance(made["device"], dict) else made["device"]
    )
    assert "Scanner was to be looked at by" in lines["machine"][0]["text"]
    assert states(look(playground)[1], "policy") == {"ok"}
