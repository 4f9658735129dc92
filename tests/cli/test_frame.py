"""The command line's frame: options anywhere, exit codes, one sentence for every trouble."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gambeson import __version__, cli
from gambeson.cli import CommandError, Exit, config, data_dir, frame

SOURCE = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}


@pytest.mark.parametrize("argv", [["version", "--json"], ["--json", "version"], ["--json", "--version"]])
def test_options_stand_before_or_after_the_command(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__


def test_the_last_of_two_equal_options_counts() -> None:
    args = frame.parser().parse_args(["--data", "/a", "--org", "x", "version", "--data", "/b"])
    assert (args.data, args.org, args.json, args.config) == ("/b", "x", False, None)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "a command is missing"),
        (["no-such"], "invalid choice"),
        (["version", "--no-such"], "unrecognized arguments"),
        (["settings"], "gambeson settings: a command is missing"),
        (["version", "--js"], "unrecognized arguments"),
        (["version", "--data"], "expected one argument"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert "--help" in err


def test_help_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (CommandError("The file x is gone; name another.", 3), 3, "The file x is gone; name another.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (ValueError("two\nlines"), 70, "ValueError: two lines"),
    ],
)
def test_every_end_has_a_code_and_a_sentence(
    raised: BaseException,
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(argv: list[str]) -> int:
        raise raised

    monkeypatch.setattr(frame, "_run", fail)
    assert cli.main([]) == code
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_trouble() -> None:
    program = "import sys; from gambeson.cli import main; sys.exit(main(['settings', 'reference']))"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=SOURCE
    )
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(10) == 141
    child.stderr.close()


def test_starting_imports_nothing_heavy() -> None:
    program = (
        "import sys; from gambeson.cli import main; main(['--help']); "
        "heavy = {'asyncio', 'ssl', 'sqlalchemy', 'cryptography', 'msgspec', 'uvloop', 'tomllib', 'json.tool', "
        "'gambeson.settings', 'gambeson.store', 'gambeson.model', 'gambeson.wire', 'gambeson.process'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=SOURCE
    )
    assert done.stderr == "[]\n"


def args(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"data": None, "config": None, "json": False, "org": None, **given})


@pytest.mark.parametrize(
    ("given", "environ", "configured", "expected"),
    [
        ("/a", {"GAMBESON_DATA": "/b", "HOME": "/h"}, "/c", "/a"),
        (None, {"GAMBESON_DATA": "/b", "HOME": "/h"}, "/c", "/b"),
        (None, {"HOME": "/h"}, "/c", "/c"),
        (None, {"XDG_STATE_HOME": "/s", "HOME": "/h"}, "", "/s/gambeson"),
        (None, {"XDG_STATE_HOME": "relative", "HOME": "/h"}, "", "/h/.local/state/gambeson"),
        (None, {"HOME": "/h"}, "", "/h/.local/state/gambeson"),
    ],
)
def test_where_the_data_are(
    given: str | None, environ: dict[str, str], configured: str, expected: str
) -> None:
    assert data_dir(args(data=given), environ, configured) == Path(expected)


def test_without_a_home_one_must_be_named() -> None:
    with pytest.raises(CommandError, match="--data"):
        data_dir(args(), {})


def test_settings_come_from_the_named_file_or_the_data_directory(tmp_path: Path) -> None:
    assert config(args(data=str(tmp_path))).doors.processes == 1
    (tmp_path / "gambeson.toml").write_text("[doors]\nprocesses = 3\n")
    assert config(args(data=str(tmp_path))).doors.processes == 3
    with pytest.raises(CommandError, match="cannot be read") as caught:
        config(args(config=str(tmp_path / "none.toml")))
    assert caught.value.exit_code == Exit.UNREACHABLE


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder that is closed to oneself is somebody else's")
@pytest.mark.parametrize("words", [("device", "list"), ("up",), ("doctor",), ("settings", "check")])
def test_somebody_elses_data_directory_is_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    code = (
        "import os, sys; from gambeson import cli; import encodings.idna\n"
        "from gambeson.cli import common, device, up, doctor, settings, shared\n"
        "import gambeson.app.installation, gambeson.app.up, gambeson.settings\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(cli.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--data", str(closed / "data")],
        env=SOURCE,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == Exit.UNREACHABLE, done
    assert "run this as its owner" in done.stderr
    assert "Traceback" not in done.stderr
    assert "fault of the program" not in done.stderr


class TestSettingsCommand:
    def test_sample_is_good_for_check(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["settings", "sample"]) == 0
        path = tmp_path / "g.toml"
        path.write_text(capsys.readouterr().out)
        assert cli.main(["settings", "check", str(path), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["good"] is True
        assert document["listeners"]["imaps"] == ["0.0.0.0:993"]

    def test_a_bad_file_is_exit_2_and_nothing_on_stdout(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "g.toml"
        path.write_text("[doors]\nprocesses = 0\n")
        assert cli.main(["settings", "check", str(path)]) == Exit.USAGE
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"{path} line 2: doors.processes must be")
