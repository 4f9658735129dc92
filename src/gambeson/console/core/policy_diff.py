"""What differs between two texts of a policy, line by line, for the eye and for the ear: each line says what it is.

Lines that both have at the beginning and at the end are set aside first, so that a change of one rule in a long policy
costs little. What is far from any change is left out, and how much was left out is said.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

CONTEXT = 3
MAX_LINES = 4_000  # that are shown
MAX_COMPARED = 20_000  # lines between the common beginning and end; more is one change as a whole


class Line(StrEnum):
    """What a line of a difference is."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"  # lines that are the same and left out


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line. ``old`` and ``new`` are its numbers in both texts, from 1 (0: it is not in that one).
    Of a gap ``count`` is how many lines were left out."""

    kind: Line
    old: int
    new: int
    text: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """The same side by side: what a line was and what it is; None where there was or is none."""

    kind: Line | None  # None: changed
    before: DiffLine | None
    after: DiffLine | None


@dataclass(frozen=True, slots=True)
class Difference:
    """``added`` and ``removed`` count lines. ``cut``: there are more lines than are shown."""

    lines: tuple[DiffLine, ...]
    added: int
    removed: int
    cut: bool = False

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.added and not self.removed

    @property
    def unified(self) -> str:
        """As programs write it: a mark before each line."""
        marks = {Line.SAME: " ", Line.ADDED: "+", Line.REMOVED: "-"}
        return "".join(
            f"@@ {line.count} lines @@\n" if line.kind is Line.GAP else f"{marks[line.kind]}{line.text}\n"
            for line in self.lines
        )

    @property
    def pairs(self) -> Sequence[Pair]:
        """Side by side: what was removed beside what was added in its place."""
        found: list[Pair] = []
        before: list[DiffLine] = []
        after: list[DiffLine] = []
        for line in self.lines:
            if line.kind is Line.REMOVED:
                before.append(line)
            elif line.kind is Line.ADDED:
                after.append(line)
            else:
                found += _beside(before, after)
                before, after = [], []
                found.append(Pair(line.kind, line, line))
        return [*found, *_beside(before, after)]


def difference(older: str, newer: str, context: int = CONTEXT) -> Difference:
    """What differs, in the order of the texts."""
    old, new = older.splitlines(), newer.splitlines()
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    lines: list[DiffLine] = []
    added = removed = 0
    for kind, i, j in _blocks(old, new, head, tail):
        if kind is Line.REMOVED:
            removed += len(i)
            lines += [DiffLine(kind, n + 1, 0, old[n]) for n in i]
        elif kind is Line.ADDED:
            added += len(j)
            lines += [DiffLine(kind, 0, n + 1, new[n]) for n in j]
        else:
            after = (
                context if i.start or j.start else 0
            )  # lines that are shown after a change, and before the next
            before = context if i.stop < len(old) or j.stop < len(new) else 0
            lines += _same(i, j, new, after, before)
    if not added and not removed:
        return Difference((), 0, 0)
    return Difference(tuple(lines[:MAX_LINES]), added, removed, len(lines) > MAX_LINES)


def _blocks(old: list[str], new: list[str], head: int, tail: int) -> Iterator[tuple[Line, range, range]]:
    """Stretches that are the same, were removed, were added, in order, as ranges of both texts. Stretches that are the
    same and touch are one."""
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(a), len(b)) > MAX_COMPARED:
        inner = [("replace", 0, len(a), 0, len(b))]
    else:
        inner = list(difflib.SequenceMatcher(None, a, b).get_opcodes())
    same = head
    for tag, i1, i2, j1, j2 in inner:
        if tag == "equal":
            same += i2 - i1
            continue
        if same:
            yield Line.SAME, range(head + i1 - same, head + i1), range(head + j1 - same, head + j1)
            same = 0
        if i2 > i1:
            yield Line.REMOVED, range(head + i1, head + i2), range(head + j1, head + j1)
        if j2 > j1:
            yield Line.ADDED, range(head + i2, head + i2), range(head + j1, head + j2)
    same += tail
    if same:
        yield Line.SAME, range(len(old) - same, len(old)), range(len(new) - same, len(new))


def _same(i: range, j: range, new: list[str], first: int, last: int) -> list[DiffLine]:
    """Lines that are the same: the first and last of them, and how many lie between."""
    both = [DiffLine(Line.SAME, a + 1, b + 1, new[b]) for a, b in zip(i, j, strict=True)]
    left = len(both) - first - last
    if left <= 0:
        return both
    gap = DiffLine(Line.GAP, both[first].old, both[first].new, count=left)
    return [*both[:first], gap, *both[len(both) - last :]]


def _common(a: list[str], b: list[str]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _beside(before: list[DiffLine], after: list[DiffLine]) -> list[Pair]:
    pairs = []
    for n in range(max(len(before), len(after))):
        old = before[n] if n < len(before) else None
        new = after[n] if n < len(after) else None
        kind = None if old and new else Line.REMOVED if old else Line.ADDED
        pairs.append(Pair(kind, old, new))
    return pairs


__all__ = ["DiffLine", "Difference", "Line", "Pair", "difference"]
