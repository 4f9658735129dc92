"""The sheets of paper: what is written on them, names that would like to be commands, and a process that may read
nothing any more. Read back with poppler's pdftotext."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gambeson.console import sheets
from gambeson.console.admin.templating import load_catalogues
from gambeson.console.sheets import Sheet
from peers import program

CATALOGUES = load_catalogues()
PORTAL = "https://login.acme.example/enrol"


def texts(language: str) -> dict[str, str]:
    catalogue = CATALOGUES[language]
    found = {word: catalogue(f"sheet.{word}") for word in sheets.WORDS}
    return found | {"until": catalogue("sheet.until", at="2026-10-05 14:13 (UTC)")}


def made(*people: Sheet, organisation: str = "Acme", language: str = "en") -> bytes:
    return sheets.render(
        people, organisation=organisation, portal=PORTAL, language=language, texts=texts(language)
    )


def pages(document: bytes) -> list[str]:
    """The text of each page, blanks and line ends as one blank."""
    out = subprocess.run(
        [program("pdftotext"), "-enc", "UTF-8", "-", "-"], input=document, capture_output=True, check=True
    ).stdout.decode()
    return [re.sub(r"\s+", " ", page).strip() for page in out.split("\f")[:-1]]


@pytest.mark.peer("pdftotext")
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_sheet_for_each_person_with_all_that_they_need(language: str) -> None:
    people = [Sheet(f"u{n}@acme.example", f"0a1b-2c3d-4e5f-00{n:02}") for n in range(3)]
    document = made(*people, language=language)
    assert document.startswith(b"%PDF-")
    found = pages(document)
    assert len(found) == len(people)
    for page, person in zip(found, people, strict=True):
        for wanted in (person.address, person.code, PORTAL, "Acme", "2026-10-05 14:13 (UTC)"):
            assert wanted in page
        for word in ("title", *sheets.STEPS, "alone"):
            assert texts(language)[word] in page, word
    assert "0001" not in found[0]  # nobody's code on another's sheet


HOSTILE = [
    '#panic("no")',
    '#read("/etc/passwd")',
    '#import "@preview/cetz:0.3.0": *',
    "$x^2$ *bold* _it_ `raw` @ref <label> = Head",
    "\"quoted\" 'single' \\u{41} \\ /* no */ // comment",
    "#{while true {}}",
    "{{7*7}} %s {0} </svg>",
]


@pytest.mark.peer("pdftotext")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_a_command(name: str) -> None:
    address = f"{name.replace(' ', '')}@acme.example"
    (page,) = pages(made(Sheet(address, "0a1b-2c3d-4e5f-6g7h"), organisation=name))
    assert re.sub(r"\s+", " ", name) in page
    assert "0a1b-2c3d-4e5f-6g7h" in page
    assert texts("en")["help"] in page  # nothing of the rest was eaten


@pytest.mark.peer("pdftotext")
@pytest.mark.parametrize(
    "name",
    ["עברית", "العربية", "😀🏳️‍🌈", "\u202egnp.exe", "日本語", "é\u0301\u0301", "x" * 5_000, "\ufffd\ufeff"],
)
def test_whatever_a_name_is_made_of_the_code_can_be_read(name: str) -> None:
    found = pages(made(Sheet("x" * 180 + "@acme.example", "0a1b-2c3d-4e5f-6g7h"), organisation=name))
    assert any("0a1b-2c3d-4e5f-6g7h" in page for page in found)
    assert "\u202e" not in "".join(found)


def test_the_fonts_are_in_it_and_nothing_leads_outside() -> None:
    document = made(Sheet("u@acme.example", "0a1b-2c3d-4e5f-6g7h"))
    assert b"/FontFile3" in document
    for outside in (b"/URI", b"/Launch", b"/JavaScript", b"/EmbeddedFile"):
        assert outside not in document
    assert made(Sheet("u@acme.example", "0a1b-2c3d-4e5f-6g7h")) == document  # no date, no machine in it


def test_no_code_is_in_what_a_sheet_looks_like() -> None:
    assert "0a1b" not in repr(Sheet("u@acme.example", "0a1b"))


AFTER_THE_DROP = """
import os, sys
from gambeson.console import sheets
from gambeson.process import seal_imports
sheets.rehearse()
if os.geteuid() == 0:
    os.chroot(sys.argv[1])
    os.chdir("/")
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
refused = []
seal_imports.seal(refused.append)
texts = dict.fromkeys(sheets.WORDS, "word")
made = sheets.render(
    [sheets.Sheet(f"u{n}@acme.example", "0a1b-2c3d-4e5f-6g7h") for n in range(50)],
    organisation="Acme", portal="https://login.acme.example/enrol", language="de", texts=texts,
)
os.write(1, repr((made[:5], len(made) > 50_000, refused)).encode())
"""


def test_it_needs_no_file_after_the_drop_of_privileges(tmp_path: Path) -> None:
    """As root in an empty root directory and as nobody; else only with imports and paths sealed."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AFTER_THE_DROP), str(empty)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"(b'%PDF-', True, [])"
