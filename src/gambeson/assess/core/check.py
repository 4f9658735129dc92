"""A check: a data file with its words, and a pure function that says which of them hold.

``data/checks/NAME.toml`` has the texts, the weight and the outcomes; ``core/checks/NAME.py`` has ``run(facts)``, which
yields an ``Outcome`` for each thing it looked at. A code that the file does not know is a defect of the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gambeson.model.finding import Confidence, Evidence, Severity

from .facts import Facts
from .unknown import Unknown


class Light(StrEnum):
    """What a line shows. ``UNKNOWN`` is neither good nor bad; ``NOTHING``: the check does not apply here."""

    RED = "red"
    AMBER = "amber"
    GREEN = "green"
    UNKNOWN = "unknown"
    NOTHING = "not-applicable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``code`` is a key of the check's outcomes; ``asset`` what it is about (a domain, ``mx1.example.org:25``).
    ``values`` fill the places of the sentence and the step. For what is not known the code is ``unknown`` and
    ``unknown`` has the cause; every check has that outcome without declaring it."""

    code: str
    asset: str
    values: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    confidence: Confidence = Confidence.HIGH
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """What one outcome is worth. ``sentence`` and ``step`` may have places such as ``{host}``."""

    light: Light
    severity: Severity
    sentence: str
    step: str = ""
    several: str = ""  # the sentence when it holds for several assets; {assets} and {count} are there


@dataclass(frozen=True, slots=True)
class Check:
    """``id`` is the catalogue's (``SND-003``), ``name`` the file's. ``area``: access, patching, transport, sender,
    resilience. ``points`` weigh it in the assessment's score, ``gate`` caps that score while it is red (0: no cap)."""

    id: str
    name: str
    title: str
    question: str
    area: str
    outcomes: Mapping[str, Text]
    points: int = 3
    gate: int = 0
    references: tuple[str, ...] = ()
    run: Callable[[Facts], Iterable[Outcome]] = field(repr=False, default=lambda facts: ())
