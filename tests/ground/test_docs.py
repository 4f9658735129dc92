"""What the documents and the program itself say: every link leads somewhere, every command that is named is one."""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from gambeson.cli.common import CommandError
from gambeson.cli.frame import parser
from gambeson.settings import Config, loads

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.toml"), *ROOT.glob("scripts/*.py")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```[a-z]*$.*?^```$", re.MULTILINE | re.DOTALL)
# ``gambeson`` as the first word of a command, with or without a path; what follows up to the end of the line.
COMMAND = re.compile(r"(?:^|[\s(\"'`])(?:\./|/opt/gambeson/)?gambeson ((?:--)?[a-z].*)")
PLACEHOLDERS = {"DOOR": "imap", "MODE": "observe", "VERSION": "1", "N": "1", "ID": "an-id", "WHEN": "30d"}


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page, and those that the page gives itself."""
    text = FENCE.sub("", page.read_text())
    heads = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    own = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    return own | {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name}: {target}"
        assert there.is_relative_to(ROOT), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name}: {target}"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    named = {(ROOT / "docs" / target).resolve() for target in LINK.findall(index)}
    missing = [
        name
        for page, name in zip(PAGES, PAGE_NAMES, strict=True)
        if page.parent != ROOT and page not in named
    ]
    assert missing == ["docs/index.md"]


def quoted(page: Path) -> Iterator[str]:
    """The command lines of a page, without what is said about them: indented or fenced lines, and inline code."""
    text = page.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith(("    ", "gambeson ", "./gambeson ")) and not line.startswith("    alias "):
            for part in re.split(r" && |; ", line):
                if found := COMMAND.search(part):
                    # The program's words, then two spaces or more, then what it does.
                    yield re.split(r"\s{2,}", found[1].strip())[0]
    for code in re.findall(r"`([^`]+)`", FENCE.sub("", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))):
        if found := re.match(r"(?:\./)?gambeson\s+(.+)", code, re.DOTALL):
            yield " ".join(found[1].split())


def fault(line: str, whole: bool) -> str:
    """Why this is no command; empty where it is one. ``whole``: with everything it needs; else its name may stand for
    it, as in a sentence."""
    words = shlex.split(line, comments=True)
    if words[-1] == "..." and not words[-2].startswith("--"):
        words.pop()  # and so on
    words = [PLACEHOLDERS.get(word, word) for word in words]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            args = parser().parse_args(words)
        except SystemExit as end:  # --help
            return "" if not end.code else f"exit {end.code}"
        except CommandError as error:
            bare = not whole and not any(word.startswith("-") for word in words)
            if bare and re.search(r"required|a command is missing", error.text):
                return ""
            return error.text
    if args.run is None and not args.version:
        return "no command"
    return ""


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_quoted_command_is_one(name: str) -> None:
    faults = [f"gambeson {line}: {why}" for line in quoted(ROOT / name) if (why := fault(line, whole=False))]
    assert faults == []


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_settings_file_that_is_shown_is_one(name: str) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL):
        sections = set(re.findall(r"^\[\[?([a-z_]+)", block, re.MULTILINE))
        if sections and sections <= {field.name for field in fields(Config)}:
            loads(block, name, ROOT)


def test_commands_are_found_and_told_apart() -> None:
    found = [line for name in ("README.md", "docs/guard.md") for line in quoted(ROOT / name)]
    assert len(found) > 20
    assert fault("guard close", whole=False)
    assert fault("guard open --shut", whole=False)
    assert fault("device enrol", whole=True)
    assert not fault("device enrol", whole=False)
    assert not fault("guard walk --help", whole=True)


def _names() -> set[str]:
    """The commands and groups of the first level."""
    actions = [each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return set(actions[0].choices)


def test_every_command_that_the_program_names_is_one() -> None:
    """In what it says to people: 'gambeson WORD WORD' must be a command, a group, or its name and an argument."""
    first, faults = _names(), []
    for path in SOURCES:
        text = path.read_text()
        for said in _strings(path, text):
            for name in re.findall(
                r"\bgambeson ((?:[a-z][a-z-]*|--[a-z-]+)(?: [a-z][a-z-]*| --[a-z-]+)*)", said
            ):
                words = name.split()
                if words[0] in first and (why := _unknown(words)):
                    faults.append(f"{path.relative_to(ROOT)}: gambeson {name}: {why}")
    assert faults == []


def _strings(path: Path, text: str) -> Iterator[str]:
    if path.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _unknown(words: list[str]) -> str:
    """Walks down the groups; the first word that should be a command and is none."""
    found = parser()
    for word in words:
        groups = [each for each in found._actions if isinstance(each, argparse._SubParsersAction)]
        if word.startswith("--"):
            if not any(word in each.option_strings for each in found._actions):
                return f"{word} is no option of it"
        elif groups and word in groups[0].choices:
            found = groups[0].choices[word]
        elif (
            groups and found.prog.count(" ") and word not in ("and", "or", "to", "for", "on", "there", "once")
        ):
            return f"{word} is no command of it"
        elif groups:
            return ""
    return ""
