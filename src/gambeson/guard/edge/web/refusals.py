"""Refused requests in the record: one by one, until one source makes a flood of them."""

from __future__ import annotations

MAX_SOURCES = 1000  # told apart in one round; all further ones are counted together
OTHERS = "others"


class Refusals:
    """Counts between two rounds, in bounded memory. ``each`` are recorded one by one of a source in a round."""

    __slots__ = ("_counts", "_each")

    def __init__(self, each: int) -> None:
        self._each = each
        self._counts: dict[str, int] = {}

    def recorded(self, source: str) -> bool:
        """Count one; whether it is recorded by itself."""
        if source not in self._counts and len(self._counts) >= MAX_SOURCES:
            source = OTHERS
        count = self._counts[source] = self._counts.get(source, 0) + 1
        return count <= self._each

    def take(self) -> dict[str, int]:
        """How many of each source were counted and not recorded; a new round begins."""
        over = {source: n - self._each for source, n in self._counts.items() if n > self._each}
        self._counts.clear()
        return over
