"""The portal's OpenAPI document: current, whole, and true of what the pages themselves raise."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from gambeson.console import web
from gambeson.console.portal import description as made
from gambeson.console.portal.app import ROUTES

ROOT = Path(__file__).resolve().parents[3]


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts/write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITER = writer()


@pytest.mark.parametrize("name", ["README.md", "docs/clients.md", "docs/schemas/portal-api.json"])
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == WRITER.documents()[ROOT / name], "run ./dev docs"


@pytest.mark.parametrize("text", ["", "{b}", "{e}", "{e}{b}", "{b}{b}{e}"])
def test_a_readme_without_its_markers_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="markers"):
        WRITER.between(text.format(b=WRITER.BEGIN, e=WRITER.END), "x")


def test_every_route_is_described_once() -> None:
    paths = made.description()["paths"]
    found = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(found) == len(set(found)) == len(ROUTES) + 1
    ids = [one["operationId"] for methods in paths.values() for one in methods.values()]
    assert len(ids) == len(set(ids))


def test_a_table_that_names_no_route_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(made.FIELDS, "GET /nowhere", {})
    with pytest.raises(KeyError, match="GET /nowhere"):
        made.description()


def test_every_field_that_a_page_reads_is_described_with_its_limit() -> None:
    """From the pages' own code: ``given("name", limit)`` and the query of the passkey's options."""
    code = "\n".join(
        one.read_text() for folder in (made, web) for one in Path(folder.__file__).parent.glob("*.py")
    )
    read = {name: int(limit or 512) for name, limit in re.findall(r'given\("([a-z]+)"(?:, (\d+))?\)', code)}
    described: dict[str, set[int]] = {}
    for fields in made.FIELDS.values():
        for name, limit in fields.items():
            described.setdefault(name, set()).add(limit)
    assert {*read, "for"} == set(described)
    for name, limit in read.items():
        assert limit in described[name], name


def test_every_status_that_the_pages_name_is_described() -> None:
    code = "\n".join(
        one.read_text() for folder in (made, web) for one in Path(folder.__file__).parent.glob("*.py")
    )
    raised = {int(n) for n in re.findall(r"(?:ProblemError|Reply|_refuse|return) ?\(?(4\d\d|5\d\d)\b", code)}
    assert {403, 404, 413, 415} < raised
    assert raised <= set(made.SENTENCES)
