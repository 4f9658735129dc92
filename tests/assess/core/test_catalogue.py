"""Each data file of a check: what is wrong in one gets its sentence, and file and module know the same outcomes."""

from __future__ import annotations

import ast
import re
import tomllib
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gambeson.assess.core.catalogue import CatalogueError, check, places
from gambeson.assess.core.check import Check, Light
from gambeson.assess.edge.checks import all_checks

GOOD: dict[str, Any] = {
    "id": "X-1",
    "title": "A title",
    "question": "Is it?",
    "area": "access",
    "outcome": {
        "bad": {"light": "red", "severity": "high", "sentence": "{asset} is bad.", "step": "Mend it."}
    },
}
CORE = Path(str(files("gambeson.assess") / "core"))
CHECKS = all_checks()
NAMES = [each.name for each in CHECKS]


def without(field: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != field}


def text(**changed: Any) -> dict[str, Any]:
    data = deepcopy(GOOD)
    data["outcome"]["bad"].update(changed)
    data["outcome"]["bad"] = {
        key: value for key, value in data["outcome"]["bad"].items() if value is not None
    }
    return data


def test_a_good_file_is_a_check() -> None:
    made = check("one", GOOD, lambda facts: ())
    assert (made.id, made.points, made.gate) == ("X-1", 3, 0)
    assert made.outcomes["bad"].light is Light.RED


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD | {"extra": 1}, "one has an unknown field extra."),
        *[(without(field), f"one: {field} is missing.") for field in GOOD],
        (
            GOOD | {"area": "weather"},
            "one: area must be one of access, patching, transport, sender, resilience.",
        ),
        (GOOD | {"title": 3}, "one: title must be text."),
        (GOOD | {"points": "many"}, "one: points is written wrongly."),
        (GOOD | {"references": "RFC 1"}, "one: references is written wrongly."),
        (GOOD | {"outcome": []}, "one: outcome is written wrongly."),
        (GOOD | {"outcome": {"bad": "text"}}, "one: outcome bad is no table."),
        (text(colour="red"), "one: outcome bad has an unknown field colour."),
        (text(light=None), "one: outcome bad: light is missing."),
        (text(sentence=None), "one: outcome bad: sentence is missing."),
        (
            text(light="blue"),
            "one: outcome bad: light must be one of red, amber, green, unknown, not-applicable.",
        ),
        (
            text(severity="huge"),
            "one: outcome bad: severity must be one of info, low, medium, high, critical.",
        ),
        (text(step=None), "one: outcome bad says that something is wrong and has no next step."),
        (text(light="amber", severity="low", step=""), "one: outcome bad says that something is wrong and"),
        (text(severity="medium"), "one: outcome bad: red is high or critical, amber is low or medium."),
        (text(light="amber"), "one: outcome bad: red is high or critical, amber is low or medium."),
        (
            text(light="amber", severity="info"),
            "one: outcome bad: red is high or critical, amber is low or medium.",
        ),
        (text(sentence="{asset is bad."), "one: outcome bad: a brace is not closed in '{asset is bad.'."),
        (text(sentence=["a"]), "one: outcome bad: sentence must be text."),
    ],
)
def test_what_is_wrong_gets_its_sentence(data: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogueError) as raised:
        check("one", data, lambda facts: ())
    assert str(raised.value).startswith(says)


def test_places_are_found() -> None:
    assert places("{asset} and {count}, {asset}") == {"asset", "count"}
    assert places("nothing") == set()


def module(name: str) -> ast.Module:
    return ast.parse((CORE / "checks" / f"{name}.py").read_text(encoding="utf-8"))


def words(tree: ast.AST) -> set[str]:
    return {
        each.value
        for each in ast.walk(tree)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def yielded(name: str) -> set[str]:
    """The codes that stand in ``Outcome(...)`` itself, both halves of a condition among them."""
    calls = [each for each in ast.walk(module(name)) if isinstance(each, ast.Call)]
    first = [c.args[0] for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Outcome" and c.args]
    found: set[str] = set()
    for code in first:
        halves = [code.body, code.orelse] if isinstance(code, ast.IfExp) else [code]
        found |= {half.value for half in halves if isinstance(half, ast.Constant)}
    return found


def test_file_and_module_stand_beside_each_other() -> None:
    modules = {path.stem for path in (CORE / "checks").glob("*.py")} - {"__init__"}
    assert modules == set(NAMES)
    assert sum(len(yielded(name)) for name in NAMES) > 60  # it does find them


@pytest.mark.parametrize("name", NAMES)
def test_every_code_that_a_module_yields_is_in_its_file(name: str) -> None:
    (found,) = (each for each in CHECKS if each.name == name)
    assert yielded(name) - {"unknown"} <= found.outcomes.keys()


@pytest.mark.parametrize("name", NAMES)
def test_no_outcome_is_left_of_codes_that_are_gone(name: str) -> None:
    (found,) = (each for each in CHECKS if each.name == name)
    everywhere = words(module(name)) | {
        word
        for path in CORE.rglob("*.py")
        if path.parent.name != "checks"
        for word in words(ast.parse(path.read_text()))
    }
    prefixes = tuple(word for word in words(module(name)) if re.fullmatch(r"[a-z]+-", word))  # f"ok-{policy}"
    gone = {
        code for code in found.outcomes.keys() - everywhere if not (prefixes and code.startswith(prefixes))
    }
    assert gone == set()


@pytest.mark.parametrize("found", CHECKS, ids=NAMES)
def test_the_words_are_for_people(found: Check) -> None:
    assert found.question.endswith("?")
    assert not found.title.endswith(".")
    for code, said in found.outcomes.items():
        for sentence in filter(None, (said.sentence, said.several)):
            where = f"{found.name} {code}: {sentence}"
            assert sentence.endswith((".", ": {record}", ": {text}")), where
            assert len(sentence) <= 160, where
            assert not re.search(r"\. [A-Z]|  |\?$|!$", sentence), where  # one sentence, and calm
            assert not re.search(r"\b(?:please|stupid|careless|fail to|forgot)\b", sentence, re.IGNORECASE), (
                where
            )
        assert len(said.step) <= 140, f"{found.name} {code}: {said.step}"
        assert (said.light is Light.GREEN) <= (not said.step), (
            f"{found.name} {code}: what is good needs no step"
        )


def test_ids_are_the_catalogues() -> None:
    for each in CHECKS:
        assert re.fullmatch(r"[A-Z]{3}-\d{3}", each.id), each.name
    ids = [each.id for each in CHECKS]
    assert len(ids) == len(set(ids))


def test_files_are_toml_without_surprises() -> None:
    for name in NAMES:
        data = tomllib.loads((CORE.parent / "data/checks" / f"{name}.toml").read_text(encoding="utf-8"))
        assert set(data) <= {"id", "title", "question", "area", "points", "gate", "references", "outcome"}
