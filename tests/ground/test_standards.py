"""scripts/standards.py finds a citation that is not listed, and a listed place that does not cite."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def standards() -> ModuleType:
    found = importlib.util.spec_from_file_location("standards", ROOT / "scripts/standards.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


GOOD = '[rfc.9051]\ntitle = "IMAP4rev2"\nstatus = "partial"\nwhere = ["src/a.py"]\nmissing = "most of it"\n'


@pytest.mark.parametrize(
    ("source", "listed", "problem"),
    [
        ("# RFC 9051 section 5", GOOD, ""),
        ("# RFC 9051, RFC 2971", GOOD, "RFC 2971 is cited in src/a.py but not listed"),
        ("# RFC2971, RFC 9051", GOOD, "RFC 2971"),
        ("# nothing", GOOD, "[rfc.9051] lists src/a.py, which does not cite it"),
        ("# RFC 9051", GOOD.replace('"partial"', '"perhaps"'), "has the status 'perhaps'"),
        ("# RFC 9051", GOOD.replace('missing = "most of it"', ""), "does not say what is missing"),
        ("# RFC 9051", GOOD.replace('where = ["src/a.py"]', ""), "has no place"),
        ("# RFC 9051", GOOD.replace("title", "titel"), "has no title"),
        ("# RFC 9051", GOOD.replace("src/a.py", "src/b.py"), "lists src/b.py"),
    ],
)
def test_both_ways(tmp_path: Path, standards: ModuleType, source: str, listed: str, problem: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "src/a.py").write_text(source)
    (tmp_path / "docs/standards.toml").write_text(listed)
    found = list(standards.problems(tmp_path))
    if problem:
        assert any(problem in each for each in found), found
    else:
        assert found == []
