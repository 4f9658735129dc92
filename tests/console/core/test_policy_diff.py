"""What differs between two texts: numbers, words, gaps, both views."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core import policy_diff
from gambeson.console.core.policy_diff import Line, difference

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "[[rule]]"]), max_size=30)


def test_a_change_in_the_middle_of_much() -> None:
    old = [f"line {n}" for n in range(1, 41)]
    new = [*old[:19], "line twenty", "line twenty and a half", *old[20:]]
    found = difference("\n".join(old), "\n".join(new))
    assert (found.added, found.removed, found.same) == (2, 1, False)
    assert [(x.kind.value, x.old, x.new, x.count or x.text) for x in found.lines] == [
        ("gap", 1, 1, 16),
        ("same", 17, 17, "line 17"),
        ("same", 18, 18, "line 18"),
        ("same", 19, 19, "line 19"),
        ("removed", 20, 0, "line 20"),
        ("added", 0, 20, "line twenty"),
        ("added", 0, 21, "line twenty and a half"),
        ("same", 21, 22, "line 21"),
        ("same", 22, 23, "line 22"),
        ("same", 23, 24, "line 23"),
        ("gap", 24, 25, 17),
    ]
    assert found.unified.splitlines()[4:7] == ["-line 20", "+line twenty", "+line twenty and a half"]
    changed = [p for p in found.pairs if p.kind is not Line.SAME and p.kind is not Line.GAP]
    assert [(p.before and p.before.text, p.after and p.after.text) for p in changed] == [
        ("line 20", "line twenty"),
        (None, "line twenty and a half"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "added", "removed"),
    [("", "", 0, 0), ("a\n", "a", 0, 0), ("", "a\nb", 2, 0), ("a\nb", "", 0, 2), ("a\na", "a", 0, 1)],
)
def test_small_ones(old: str, new: str, added: int, removed: int) -> None:
    found = difference(old, new)
    assert (found.added, found.removed) == (added, removed)
    assert found.same is (not added and not removed)


@given(LINES, LINES)
def test_both_texts_can_be_read_out_of_what_differs(old: list[str], new: list[str]) -> None:
    found = difference("\n".join(old), "\n".join(new), context=100)
    a, b = "\n".join(old).splitlines(), "\n".join(new).splitlines()
    if found.same:
        assert a == b
        return
    assert [x.text for x in found.lines if x.kind is not Line.ADDED] == a
    assert [x.text for x in found.lines if x.kind is not Line.REMOVED] == b
    assert all(a[x.old - 1] == x.text for x in found.lines if x.old)
    assert all(b[x.new - 1] == x.text for x in found.lines if x.new)
    assert [x for p in found.pairs for x in (p.before,) if x] == [
        x for x in found.lines if x.kind is not Line.ADDED
    ]
    short = difference("\n".join(old), "\n".join(new))
    assert sum(x.count or 1 for x in short.lines) == len(found.lines)


def test_too_much_is_one_change_and_cut() -> None:
    many = policy_diff.MAX_COMPARED + 5
    found = difference("x\n" * many, "y\n" * many)
    assert (found.added, found.removed, found.cut) == (many, many, True)
    assert len(found.lines) == policy_diff.MAX_LINES
