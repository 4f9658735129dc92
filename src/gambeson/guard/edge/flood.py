"""Refusals that come from a closed throttle: one a round is recorded of each source, the others are counted.

Whoever knocks on at a closed throttle would otherwise write as many events as the line carries, until the disk
is full; and a door that cannot record admits nobody.
"""

from __future__ import annotations

MAX_SOURCES = 200  # told apart in one round; all further ones are counted together
OTHERS = "others"


class Flood:
    """Counts between two rounds, in bounded memory."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def counted(self, source: str) -> bool:
        """Count one refusal; True where it is not to be recorded by itself."""
        if source not in self._counts and len(self._counts) >= MAX_SOURCES:
            source = OTHERS
        before = self._counts.get(source, 0)
        self._counts[source] = before + 1
        return before > 0 or source == OTHERS

    def take(self) -> dict[str, int]:
        """How many of each source were counted and not recorded; a new round begins."""
        counts = {s: n if s == OTHERS else n - 1 for s, n in self._counts.items() if n > 1 or s == OTHERS}
        self._counts.clear()
        return counts
