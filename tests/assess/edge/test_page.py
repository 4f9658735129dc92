"""The HTML file: it needs nothing, runs nothing, escapes everything, and people can read it on screen and paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from assess.weak_domain import NAMES, judged, weak
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.report import Report
from gambeson.assess.edge.page import page
from peers.chromium import Chromium, accessibility, too_wide

HOSTILE = "</style><script>alert(1)</script>\x1b[2J\u202e{{ 7 * 7 }}{count}&"
VOID = {"meta", "link", "br", "img", "hr"}


@pytest.fixture(scope="module")
def typical() -> Report:
    return weak()


class Parsed(HTMLParser):
    """Every element closes, in order; ``found`` are names and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_it_needs_nothing_and_runs_nothing(typical: Report) -> None:
    for tag, attributes in Parsed(page(typical)).found:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "form", "a", "base", "svg"}
        assert not attributes.keys() & {"src", "href", "style", "action"}
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page(typical)
    assert "@import" not in page(typical)
    assert "default-src 'none'" in page(typical)


def test_everything_of_the_answer_is_in_it(typical: Report) -> None:
    text = re.sub(r"\s+", " ", page(typical))
    for said in (
        *typical.sentences,
        *(line.check.title for line in typical.lines),
        "192.88.99.7",
        "15.1.2507.35",
    ):
        assert said.replace("'", "&#39;") in text
    assert text.count("Next step:") == sum(bool(line.step) for line in typical.lines)
    assert "2026-11-27" in text  # until when the certificate is good
    assert "2026-08-11" in text  # how old the table of builds is


def test_a_wrong_template_would_be_said(typical: Report) -> None:
    assert "{{" not in page(typical)
    assert "{%" not in page(typical)


def hostile(typical: Report) -> Report:
    door = replace(typical.facts.doors[0], host=HOSTILE, address=HOSTILE)
    facts = replace(
        typical.facts,
        doors=(door, *typical.facts.doors),
        hosts=(replace(typical.facts.hosts[0], name=HOSTILE, roles=(HOSTILE,)),),
        resolver=HOSTILE,
        domain=HOSTILE,
    )
    lines = tuple(replace(line, sentence=HOSTILE, step=HOSTILE) for line in typical.lines)
    return replace(
        typical, facts=facts, lines=lines, sentences=(HOSTILE, HOSTILE, HOSTILE), missing=(HOSTILE,)
    )


def test_hostile_words_are_words(typical: Report) -> None:
    text = page(hostile(typical))
    Parsed(text)
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text  # as it was said, never computed
    assert "\x1b" not in text
    assert "\u202e" not in text  # it would turn what follows round


def test_dates_of_no_calendar_are_said(typical: Report) -> None:
    door = typical.facts.doors[0]
    assert door.tls is not None
    odd = replace(door.tls, chain=(replace(door.tls.chain[0], not_after=1e20),))
    facts = replace(typical.facts, doors=(replace(door, tls=odd),))
    assert "no date of any calendar" in page(replace(typical, facts=facts))


def test_nothing_found_is_a_page_too() -> None:
    found = judged({"example.org TXT": ["x"]}, Facts("example.org", 0.0))
    assert "No host with an address" in page(found)
    assert "1 January 1970" in page(found)


@pytest.fixture(scope="module")
def shown(typical: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("page")
    found = {}
    names = judged(NAMES, Facts("example.org", 1.795e9))
    for name, text in (("weak", page(typical)), ("names", page(names)), ("hostile", page(hostile(typical)))):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
        found[name] = (folder / f"{name}.html").as_uri()
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium([]) as running:
        yield running


@pytest.mark.peer("chromium")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["weak", "names", "hostile"])
def test_axe_finds_nothing(chromium: Chromium, shown: dict[str, str], name: str) -> None:
    found = []
    for dark in (False, True):
        for size in ((1280, 900), (320, 640)):
            with chromium.visitor(dark=dark, size=size) as visitor:
                visitor.goto(shown[name])
                for opened in (False, True):
                    visitor.evaluate(
                        "(open) => document.querySelectorAll('details').forEach(d => d.open = open)", opened
                    )
                    found += [f"{dark} {size} {opened}: {each}" for each in accessibility(visitor)]
                    assert not too_wide(visitor), (name, size, opened)
    assert found == []


@pytest.mark.peer("chromium")
@pytest.mark.slow
def test_paper_has_what_is_folded_away(chromium: Chromium, shown: dict[str, str]) -> None:
    with chromium.visitor() as visitor:
        visitor.goto(shown["weak"])
        folded = len(visitor.pdf(format="A4"))
        visitor.emulate_media(media="print")
        for each in visitor.locator("details").all():
            assert each.locator("ul").first.bounding_box()
        visitor.add_style_tag(content="@media print { details { display: none } }")
        assert len(visitor.pdf(format="A4")) < folded * 0.9
        visitor.emulate_media(media="print", color_scheme="dark")
        assert visitor.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
