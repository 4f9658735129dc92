"""What goes into the package: every file in the tree that is no module is named in pyproject.toml."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "gambeson"
PATTERNS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]


def _data() -> list[Path]:
    return [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    ]


def test_every_file_that_is_read_beside_the_modules_is_packaged() -> None:
    found = _data()
    assert {"default-policy.toml", "sogo.toml", "texts.toml", "passkey.js", "portal.css", "base.html"} <= {
        path.name for path in found
    }
    assert [str(path) for path in found if not any(fnmatchcase(path.name, each) for each in PATTERNS)] == []


def test_no_pattern_is_left_of_files_that_are_gone() -> None:
    names = [path.name for path in _data()]
    assert [each for each in PATTERNS if not any(fnmatchcase(name, each) for name in names)] == []
