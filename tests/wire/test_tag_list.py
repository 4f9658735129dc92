"""Lists of tags: what the five kinds of records share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire import tag_list
from gambeson.wire.tag_list import TagListError


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        (" a = 1 ; B=2; ", [("a", "1"), ("B", "2")]),
        ("a=1=2;b=", [("a", "1=2"), ("b", "")]),
    ],
)
def test_lists(text: str, pairs: list[tuple[str, str]]) -> None:
    assert tag_list.parse(text) == pairs


@pytest.mark.parametrize("text", ["a", "=1", "a=1;;b=2", "a=1;A=2", "1a=2", "a b=1", ";a=1"])
def test_no_lists(text: str) -> None:
    with pytest.raises(TagListError):
        tag_list.parse(text)


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("v=X1", True),
        ("V = X1 ;a=b", True),
        (" v=X1", False),
        ("v=x1", False),
        ("v=X12", False),
        ("a=X1", False),
    ],
)
def test_version(text: str, is_it: bool) -> None:
    assert tag_list.version(text, "X1") is is_it


@given(st.text(max_size=300))
def test_any_text_is_a_list_or_one_error(text: str) -> None:
    try:
        pairs = tag_list.parse(text)
    except TagListError:
        return
    else:
        assert len({name.lower() for name, _ in pairs}) == len(pairs) <= tag_list.MAX_TAGS
