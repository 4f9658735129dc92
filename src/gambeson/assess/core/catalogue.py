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
_TEXT = {"light", "severity", "sentence", "step", "several"}


class CatalogueError(Exception):
    """A data file of a check is wrong; the sentence names the file and what."""


def check(name: str, data: Mapping[str, Any], run: Callable[[Facts], Iterable[Outcome]]) -> Check:
    """The check that ``data`` (a TOML document) declares. Raises CatalogueError."""
    if extra := data.keys() - _FIELDS:
        raise CatalogueError(f"{name}: unknown field {', '.join(sorted(extra))}.")
    try:
        if data["area"] not in AREAS:
            raise CatalogueError(f"{name}: area must be one of {', '.join(AREAS)}.")
        return Check(
            id=data["id"],
            name=name,
            title=data["title"],
            question=data["question"],
            area=data["area"],
            outcomes={code: _text(name, code, text) for code, text in data["outcome"].items()},
            points=data.get("points", 3),
            gate=data.get("gate", 0),
            references=tuple(data.get("references", ())),
            run=run,
        )
    except KeyError as missing:
        raise CatalogueError(f"{name}: {missing} is missing.") from None


def _text(name: str, code: str, data: Mapping[str, Any]) -> Text:
    if extra := data.keys() - _TEXT:
        raise CatalogueError(f"{name}: outcome {code} has an unknown field {', '.join(sorted(extra))}.")
    light = Light(data["light"])
    severity = Severity[data.get("severity", "info").upper()]
    if light in (Light.RED, Light.AMBER) and not data.get("step"):
        raise CatalogueError(f"{name}: outcome {code} says that something is wrong and has no next step.")
    if (light is Light.RED and severity < Severity.HIGH) or (
        light is Light.AMBER and severity >= Severity.HIGH
    ):
        raise CatalogueError(f"{name}: outcome {code}: red is high or critical, amber is low or medium.")
    return Text(light, severity, data["sentence"], data.get("step", ""), data.get("several", ""))


def places(sentence: str) -> set[str]:
    """The names of a sentence's places."""
    return {field for _, field, _, _ in string.Formatter().parse(sentence) if field}
