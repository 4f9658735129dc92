from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.charts import bars, favicon, ladder, sparkline, strip
from gambeson.model.access import Rung

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.none() | st.floats() | st.integers()
words = st.text()  # surrogates and control characters among it
any_words = st.text(st.characters()) | st.text(st.sampled_from("<>&\"'\x00\ud800]]>\ufffe\U0001f600"))
COORDINATES = ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height")


def checked(svg):
    svg.encode()  # text that can be sent
    root = ET.fromstring(svg)
    assert root.tag == SVG + "svg"
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [SVG + "title", SVG + "desc"]
    width, height = int(root.get("width")), int(root.get("height"))
    for each in root.iter():
        assert each.tag != SVG + "script"
        assert not [name for name in each.attrib if name == "style" or name.startswith("on")]
        for name in COORDINATES:
            assert each.get(name) is None or 0 <= int(each.get(name)) <= max(width, height)
        if each.get("points"):
            assert re.fullmatch(r"\d+,\d+( \d+,\d+)+", each.get("points"))
    return root


def classes(root):
    return [name for each in root.iter() for name in each.get("class", "").split()]


@given(st.lists(numbers), any_words, any_words)
def test_any_line_is_well_formed(values, title, description):
    chart = sparkline(values, title, description)
    checked(chart.svg)
    assert len(chart.rows) == len(values)


@given(
    st.lists(any_words, max_size=10),
    st.dictionaries(any_words, st.lists(numbers, max_size=10), max_size=8),
    any_words,
)
def test_any_bars_are_well_formed(categories, series, title):
    chart = bars(categories, series, title, "d")
    checked(chart.svg)
    assert len(chart.rows) == len(categories) * len(series)


@given(
    st.lists(
        st.tuples(st.floats(), st.floats(), st.sampled_from(("up", "down", "degraded", "blind")) | any_words)
    )
)
def test_any_strip_is_well_formed(states):
    checked(strip(states, "t", "d").svg)


@given(st.sampled_from(Rung), st.none() | st.sampled_from(Rung), any_words)
def test_any_ladder_is_well_formed(demanded, reached, title):
    root = checked(ladder(demanded, reached, title, title).svg)
    assert classes(root).count("chart-rung-on") == (0 if reached is None else reached + 1)
    assert classes(root).count("chart-demanded") == 1
    assert ("chart-short" in classes(root)) is (reached is None or reached < demanded)


def test_text_is_escaped_and_kept():
    root = checked(sparkline([1], "<script>&", "a\x00b\ud800").svg)
    assert (root[0].text, root[1].text) == ("<script>&", "ab")


def test_none_and_one_value():
    assert "chart-last" not in classes(checked(sparkline([], "t", "d").svg))
    assert "chart-last" in classes(checked(sparkline([0], "t", "d").svg))
    checked(bars([], {}, "t", "d").svg)
    checked(strip([], "t", "d").svg)


def test_a_line_goes_up_where_the_numbers_do_and_breaks_at_a_gap():
    root = checked(sparkline([0, 5, None, 10], "t", "d", ("a", "b", "c", "d")).svg)
    (line,) = [e.get("points") for e in root.iter(SVG + "polyline")]
    (_, low), (_, high) = (map(int, point.split(",")) for point in line.split())
    assert high < low  # y grows downwards
    assert classes(root).count("chart-dot") == 1
    assert sparkline([0, 5, None, 1.5], "t", "d", ("a", "b", "c", "d")).rows == (
        ("a", "0"),
        ("b", "5"),
        ("c", "-"),
        ("d", "1.5"),
    )


def test_bars_stand_on_one_another_and_little_is_not_nothing():
    root = checked(bars(["mon"], {"allowed": [1_000_000], "refused": [1]}, "t", "d", height=108).svg)
    first, second = list(root.iter(SVG + "rect"))
    assert int(first.get("y")) + int(first.get("height")) == 104
    assert int(second.get("height")) == 1
    assert int(second.get("y")) + 1 == int(first.get("y"))
    assert bars(["mon"], {"a": [2], "b": []}, "t", "d").rows == (("mon, a", "2"), ("mon, b", "-"))


def test_states_differ_in_more_than_colour():
    spans = [(0, 1, "up"), (1, 2, "degraded"), (2, 3, "down"), (3, 4, "blind")]
    chart = strip(spans, "t", "d", moment=lambda at: f"{at:g} h", word=str.upper)
    root = checked(chart.svg)
    heights = [int(e.get("height")) for e in root.iter(SVG + "rect")]
    assert heights[0] < heights[1] < heights[2] == heights[3]
    assert classes(root).count("chart-cross") == 1
    assert chart.rows[3] == ("3 h – 4 h", "BLIND")


@pytest.mark.parametrize("state", ["ok", "attention", "danger", "blind"])
def test_favicons_are_pictures_of_different_shape(state):
    shapes = {}
    for each in ("ok", "attention", "danger", "blind"):
        root = ET.fromstring(favicon(each))
        shapes[each] = [(e.tag, e.get("d"), e.get("r")) for e in root]
        assert "style" not in favicon(each)
    assert [each for each, shape in shapes.items() if shape == shapes[state]] == [state]
    assert favicon("anything") == favicon("blind")


def test_in_a_template_a_chart_is_its_picture():
    chart = sparkline([1], "t", "d")
    assert chart.__html__() == chart.svg
