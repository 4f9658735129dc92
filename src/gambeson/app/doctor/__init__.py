"""``gambeson doctor``: is this installation in order, one line a measurement, and what to do about it.

One file in this package is one check: a function ``look(patient) -> Iterator[Check]`` and a number ``TURN`` for its
place in the report. It is found by listing; nothing else has to be changed. Files without ``look`` are shared.
A check changes nothing and never signs in anywhere. What it could not look at it says, as a warning.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

from .result import Check, Patient, State, failed, ok, warning

__all__ = ["Check", "Patient", "State", "checks", "examine", "failed", "ok", "warning"]

Look = Callable[[Patient], Iterator[Check]]


def checks() -> list[tuple[str, Look]]:
    """Name and function of every check, in the order of the report."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        if hasattr(loaded, "look"):
            found.append((int(loaded.TURN), module.name, loaded.look))
    return [(name, look) for _, name, look in sorted(found, key=lambda each: each[:2])]


def examine(patient: Patient) -> Iterator[Check]:
    """Every check, as they are done. A check that breaks is a failed line and stops no other."""
    for name, look in checks():
        try:
            yield from look(patient)
        except (
            Exception
        ) as error:  # the doctor is asked when things are broken: one of them must not silence the rest
            yield failed(
                name.replace("_", " "),
                f"This could not be looked at: {type(error).__name__}: {' '.join(str(error).split())[:200]}.",
                "Report this; the other lines hold.",
            )
