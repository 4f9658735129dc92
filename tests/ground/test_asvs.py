"""docs/asvs.toml: every requirement of the three chapters is answered, and every test it names is there."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "docs/asvs.toml").read_text("utf-8"))
# How many requirements each section of ASVS 5.0 has.
SECTIONS = {
    6: (3, 12, 8, 6, 8, 4, 2, 4),
    7: (3, 4, 2, 5, 3, 2),
    8: (4, 4, 3, 2),
}
STATUSES = ("yes", "no", "not-applicable")


def numbers() -> list[str]:
    """Of all requirements, in their order."""
    return [
        f"{chapter}.{section}.{number}"
        for chapter, counts in SECTIONS.items()
        for section, count in enumerate(counts, 1)
        for number in range(1, count + 1)
    ]


def test_each_requirement_is_answered_once_and_in_its_order() -> None:
    assert list(LISTED) == numbers()


@pytest.mark.parametrize("number", LISTED)
def test_an_answer_is_a_status_a_sentence_and_for_a_yes_its_tests(number: str) -> None:
    answer = LISTED[number]
    assert set(answer) <= {"status", "says", "tests"}
    assert answer["status"] in STATUSES
    assert answer["says"].endswith(".")
    assert "\n" not in answer["says"]
    assert bool(answer.get("tests")) or answer["status"] != "yes"


@pytest.mark.parametrize("named", sorted({t for answer in LISTED.values() for t in answer.get("tests", ())}))
def test_each_test_that_is_named_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions, f"{path} has no {name}"


@pytest.mark.parametrize("number", LISTED)
def test_each_document_that_is_named_is_there(number: str) -> None:
    words = LISTED[number]["says"].replace(",", " ").split()
    assert all((ROOT / word).is_file() for word in words if word.startswith("docs/"))
