"""A chore in words, by the catalogue of a language: the same sentence on the page and in the weekly mail.

The texts' keys are the chores' titles. Beside one there may be ``TITLE-one`` for a single thing and ``TITLE-never``
where the time that it tells of is not known. Times are written by whoever knows the time zone; doors, rungs and
severities by the catalogue's own words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .chores import Chore


class Texts(Protocol):
    """A catalogue: see ``console.web.texts``."""

    def __call__(self, key: str, **values: object) -> str: ...  # noqa: D102
    def __contains__(self, key: str) -> bool: ...
    def word(self, table: str, value: str) -> str: ...  # noqa: D102


_TABLES = {"door": "door", "rung": "rung", "severity": "severity"}


def sentence(texts: Texts, chore: Chore, moment: Callable[[float], str]) -> str:
    """What is to be done. Raises KeyError where the catalogue has no such text."""
    values: dict[str, object] = dict(chore.values)
    key = chore.title
    if values.get("count") == 1 and f"{key}-one" in texts:
        key = f"{key}-one"
    for name, value in chore.values.items():
        if name.endswith("_at") and isinstance(value, int | float):
            if not value and f"{chore.title}-never" in texts:
                key = f"{chore.title}-never"
            values[name] = moment(float(value))
        elif name == "doors":
            values[name] = ", ".join(texts.word("door", each) for each in str(value).split(", "))
        elif name in _TABLES:
            values[name] = texts.word(_TABLES[name], str(value))
    return texts(key, **values)


def counted(texts: Texts, key: str, count: int, **values: object) -> str:
    """A text with a number in it, ``KEY-one`` for one where there is such a text."""
    single = f"{key}-one"
    return texts(single if count == 1 and single in texts else key, count=count, **values)


def percent(share: float) -> str:
    """A fraction as people read it, without a line break in it. What is short of everything is never shown as
    everything, nor something as nothing."""
    if share >= 1:
        return "100\u00a0%"
    if share <= 0:
        return "0\u00a0%"
    return f"{min(99.99, max(0.01, 100 * share)):.2f}\u00a0%"
