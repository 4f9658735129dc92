"""The catalogue of checks: their data files as values. Which checks there are is the listing of ``data/checks``."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gambeson.model.finding import Severity

from .check import Check, Light, Outcome, Text
from .facts import Facts

AREAS = ("access", "patching", "transport", "sender", "resilience")
_FIELDS = {"id", "title", "question", "area", "points", "gate", "references", "outcome"}
_NEEDED = {"id", "title", "question", "area", "outcome"}
_SEVERITIES = {severity.word: severity for severity in Severity}
_TEXT = {"light", "severity", "sentence", "step", "several"}


class CatalogueError(Exception):
    """A data file of a check is wrong; the sentence names the file and what."""


def check(name: str, data: Mapping[str, Any], run: Callable[[Facts], Iterable[Outcome]]) -> Check:
    """The check that ``data`` (a TOML document) declares. Raises CatalogueError."""
    _fields(name, data, _FIELDS, _NEEDED)
    if data["area"] not in AREAS:
        raise CatalogueError(f"{name}: area must be one of {', '.join(AREAS)}.")
    for field, kind in (("outcome", dict), ("references", list), ("points", int), ("gate", int)):
        if not isinstance(data.get(field, kind()), kind):
            raise CatalogueError(f"{name}: {field} is written wrongly.")
    return Check(
        id=data["id"],
        name=name,
        title=data["title"],
        question=data["question"],
        area=data["area"],
        outcomes={code: _text(f"{name}: outcome {code}", text) for code, text in data["outcome"].items()},
        points=data.get("points", 3),
        gate=data.get("gate", 0),
        references=tuple(data.get("references", ())),
        run=run,
    )


def _text(where: str, data: Mapping[str, Any]) -> Text:
    _fields(where, data, _TEXT, {"light", "sentence"})
    light, severity = data["light"], data.get("severity", "info")
    if light not in set(Light):
        raise CatalogueError(f"{where}: light must be one of {', '.join(Light)}.")
    if severity not in _SEVERITIES:
        raise CatalogueError(f"{where}: severity must be one of {', '.join(_SEVERITIES)}.")
    text = Text(
        Light(light), _SEVERITIES[severity], data["sentence"], data.get("step", ""), data.get("several", "")
    )
    if text.light in (Light.RED, Light.AMBER) and not text.step:
        raise CatalogueError(f"{where} says that something is wrong and has no next step.")
    if (text.light is Light.RED and text.severity < Severity.HIGH) or (
        text.light is Light.AMBER and text.severity not in (Severity.LOW, Severity.MEDIUM)
    ):
        raise CatalogueError(f"{where}: red is high or critical, amber is low or medium.")
    for sentence in (text.sentence, text.step, text.several):
        try:
            places(sentence)
        except ValueError:
            raise CatalogueError(f"{where}: a brace is not closed in {sentence!r}.") from None
    return text


def _fields(where: str, data: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise CatalogueError(f"{where} is no table.")
    if extra := data.keys() - known:
        raise CatalogueError(f"{where} has an unknown field {', '.join(sorted(extra))}.")
    if missing := needed - data.keys():
        raise CatalogueError(f"{where}: {', '.join(sorted(missing))} is missing.")
    for field in known - {"outcome", "references", "points", "gate"}:
        if not isinstance(data.get(field, ""), str):
            raise CatalogueError(f"{where}: {field} must be text.")


def places(sentence: str) -> set[str]:
    """The names of a sentence's places. Raises ValueError where a brace is not closed."""
    return {field for _, field, _, _ in string.Formatter().parse(sentence) if field}
