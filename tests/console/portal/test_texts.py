"""The catalogue and the pages: no text outside of it, none missing, none unused; and pages that everybody can use."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

from console.portal.browser import Browser, World, enrol_totp
from console.portal.test_things import phone
from gambeson.console import portal, web
from gambeson.console.portal.pages import sources
from gambeson.console.portal.texts import load_texts

FOLDER, SHARED = Path(portal.__file__).parent, Path(web.__file__).parent
TEXTS = load_texts()
SOURCES = sources()
SPOKEN = ("alt", "title", "placeholder", "aria-label", "aria-description", "label", "content")
VISIBLE_CONTENT = {"width=device-width, initial-scale=1", "light dark"}


class Words(HTMLParser):
    """Letters that a person would read, outside of expressions."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if re.search(r"[^\W\d_]", data):
            self.found.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in SPOKEN and value and value not in VISIBLE_CONTENT and re.search(r"[^\W\d_]", value):
                self.found.append(f"{name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_template_speaks_by_itself(name: str) -> None:
    plain = re.sub(r"{%.*?%}|{#.*?#}", "", SOURCES[name], flags=re.S)
    plain = re.sub(r"{{.*?}}", "", plain, flags=re.S)
    words = Words()
    words.feed(plain)
    assert words.found == []


def keys_in_templates() -> tuple[set[str], set[str]]:
    """Whole keys, and the beginnings of those that are put together."""
    whole, begun = set(), set()
    environment = jinja2.Environment()
    for source in SOURCES.values():
        for call in environment.parse(source).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "word":
                assert isinstance(call.args[0], nodes.Const)
                begun.add(f"{call.args[0].value}.")
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                match call.args[0]:
                    case nodes.Const(value=value):
                        whole.add(value)
                    case nodes.Concat(nodes=parts):
                        assert isinstance(parts[0], nodes.Const)
                        begun.add(parts[0].value)
                    case nodes.Name(name="error"):
                        pass
                    case other:
                        raise AssertionError(f"a key that cannot be checked: {other}")
    return whole, begun


def test_every_key_is_in_the_catalogue_and_every_text_is_used() -> None:
    whole, begun = keys_in_templates()
    assert whole - set(TEXTS.texts) == set()
    code = "\n".join(f.read_text() for folder in (FOLDER, SHARED) for f in folder.glob("*.py"))
    in_code = set(re.findall(r'"([a-z-]+\.[a-z0-9-]+)"', code)) & set(TEXTS.texts)
    started = begun | set(re.findall(r'f"([a-z]+\.(?:[a-z-]+-)?){', code))
    unused = {
        key for key in TEXTS.texts
        if key not in whole | in_code and not any(key.startswith(b) for b in started)
    }  # fmt: skip
    assert unused == set()


def test_every_status_and_error_of_the_pages_has_a_text() -> None:
    code = "\n".join(f.read_text() for f in FOLDER.glob("*.py"))
    for status in [
        *re.findall(r"ProblemError\((\d+)\)", code),
        "500",
        "503",
        "405",
        "404",
        "413",
        "414",
        "421",
        "403",
    ]:
        assert f"problem.{status}" in TEXTS
    for key in re.findall(r'ProblemError\(\d+, "([^"]+)"', code):
        assert key in TEXTS


def test_texts_are_plain() -> None:
    for key, text in TEXTS.texts.items():
        assert not re.search(r"[<>]|&[a-z]+;", text), key
        assert text == text.strip(), key


def test_the_script_says_nothing_and_runs_no_text() -> None:
    script = (SHARED / "static/passkey.js").read_text()
    for never in (
        "innerHTML",
        "eval",
        "document.write",
        "alert(",
        "textContent",
        "Function(",
        "http:",
        "https:",
    ):
        assert never not in script


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_templates_have_no_inline_script_style_or_way_around_escaping(name: str) -> None:
    source = SOURCES[name]
    assert not re.search(
        r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|autoescape", source
    )


# -- pages for everybody ---------------------------------------------------------------------------


class Checked(HTMLParser):
    """What a checker such as axe looks at: language, title, one main heading, order of headings, labels, names of
    controls, ids once, references that lead somewhere, table headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.problems: list[str] = []
        self.headings: list[int] = []
        self.labelled: set[str] = set()
        self.inputs: list[dict[str, str]] = []
        self.references: set[str] = set()
        self.lang = self.title = ""
        self.mains = 0
        self._open: list[tuple[str, dict[str, str], str]] = []
        self.feed(text)
        self.close()
        self._judge()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "html":
            self.lang = given.get("lang", "")
        if tag == "main":
            self.mains += 1
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "label":
            self.labelled.add(given.get("for", ""))
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.inputs.append(given)
        if tag == "th" and "scope" not in given:
            self.problems.append("a table heading has no scope")
        if tag == "img" and "alt" not in given:
            self.problems.append("a picture has no text")
        for name in ("aria-labelledby", "aria-describedby", "for"):
            self.references |= set(given.get(name, "").split())
        if given.get("href", "").startswith("#"):
            self.references.add(given["href"][1:])
        if tag in ("a", "button", "caption", "legend", "h1", "h2", "title", "label", "th", "summary"):
            self._open.append((tag, given, ""))

    def handle_data(self, data: str) -> None:
        self._open = [(t, g, text + data) for t, g, text in self._open]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            return
        _, given, text = self._open.pop()
        if not (text.strip() or given.get("aria-label")):
            self.problems.append(f"<{tag}> says nothing")
        if tag == "title":
            self.title = text.strip()

    def _judge(self) -> None:
        if not self.lang or not self.title or self.mains != 1 or self.headings.count(1) != 1:
            self.problems.append("language, title, main or first heading")
        for before, after in zip([0, *self.headings], self.headings, strict=False):
            if after > before + 1:
                self.problems.append("a heading is left out")
        if len(self.ids) != len(set(self.ids)):
            self.problems.append("an id twice")
        for field in self.inputs:
            if field.get("id") not in self.labelled and not field.get("aria-label"):
                self.problems.append(f"{field} has no label")
        if lost := self.references - set(self.ids):
            self.problems.append(f"leads nowhere: {lost}")


def walk_pages() -> dict[str, str]:
    world = World(certificate_host="device.example.org", eas_host="mail.example.org")
    anna = world.person()
    fresh, browser = world.browser(), world.browser()
    pages = {"sign-in": fresh.get(f"/sign-in?host=owa.example.org&state={'ab' * 32}&to=/")}
    pages["sign-in wrong"] = fresh.post("/sign-in", address="x", password="y")
    pages["enrol"] = fresh.get("/enrol")
    pages["enrol wrong"] = fresh.post("/enrol", address="x", password="y", code="z")
    pages["problem"] = fresh.get("/nothing")
    code = world.backend.binding_code(anna)
    enrolling = world.browser()
    pages["factor first"] = enrolling.follow(
        enrolling.post("/enrol", address=anna.address, password=anna.password, code=code)
    )
    enrol_totp(world, anna, browser)
    phone(anna)
    pages["home"] = browser.get("/?said=alarm")
    pages["factors"] = browser.get("/factors")
    pages["factor new"] = browser.get("/factors/new")
    pages["recovery"] = browser.post("/factors/recovery")
    pages["remove"] = browser.get(f"/factors/{anna.factors[0].id}/remove")
    pages["step-up"] = browser.follow(browser.get("/step-up"))
    pages["second wrong"] = browser.post("/second/code", kind="totp", code="000000")
    pages["device new"] = browser.get("/devices/new")
    pages["device added"] = browser.post("/devices/new", name="Laptop", program="other")
    pages["device end"] = browser.get(f"/devices/{anna.devices[0].id}/end?alarm=1")
    pages["not me"] = browser.get("/not-me")
    link = re.findall(r"/d/[A-Za-z0-9_-]{43}", pages["device added"].text)[0]
    pages["link"] = fresh.get(link)
    pages["table"] = fresh.post(f"{link}/show")
    del browser.cookies["__Host-gambeson-box"]
    pages["password"] = browser.get(f"/enter?host=mail.example.org:8443&state={'ab' * 32}&to=/")
    pages["signed out"] = Browser(world.app, cookies=browser.cookies).post("/sign-out")
    return {name: answer.text for name, answer in pages.items()}


PAGES = walk_pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_can_be_used_by_everybody(name: str) -> None:
    assert Checked(PAGES[name]).problems == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_works_without_javascript_or_says_that_it_is_a_passkey(name: str) -> None:
    page = PAGES[name]
    for form in re.findall(r"<form[^>]*>", page):
        assert 'method="post"' in form
        assert ("hidden" in form) == ('class="passkey"' in form)
    assert page.count('class="passkey"') == page.count("<noscript>")


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    lit = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * lit[0] + 0.7152 * lit[1] + 0.0722 * lit[2]


def test_contrasts_are_4_5_to_1_in_light_and_dark() -> None:
    style = (FOLDER / "static/portal.css").read_text()
    palettes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root {(.*?)}", style, re.S)
    ]
    assert len(palettes) == 2
    for colours in palettes:
        for text, ground in [
            ("text", "ground"), ("quiet", "ground"), ("accent", "ground"), ("danger", "ground"), ("error", "ground"),
            ("on-accent", "accent"), ("ground", "danger"), ("text", "notice"), ("accent", "notice"),
        ]:  # fmt: skip
            one, other = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
            assert (one + 0.05) / (other + 0.05) >= 4.5, (text, ground)
        one, other = sorted((_luminance(colours["line"]), _luminance(colours["ground"])), reverse=True)
        assert (one + 0.05) / (other + 0.05) >= 3
