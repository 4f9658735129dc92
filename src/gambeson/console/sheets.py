"""The sheets of paper that invited people get: one for each, in one PDF, with a square to scan and a code to type.

Typst sets them, in this process and out of memory: no file is read or written, no font of the machine is used, no
package is fetched. What comes from the directory goes in as data, so that no name can be a command.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import segno
import typst

MEDIA_TYPE = "application/pdf"
STEPS = ("step-open", "step-type", "step-factor", "step-keep")
WORDS = ("title", "for", "intro", "code", "until", "qr", "address", "alone", "keep", "help", *STEPS)
_TURNING = {ord(c): None for c in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
_SOURCE = (files(__package__) / "sheet.typ").read_bytes()


class SheetError(Exception):
    """The sheets could not be set. The text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Whom one is for, and the code on it."""

    address: str
    code: str = field(repr=False)


def render(
    sheets: Sequence[Sheet], *, organisation: str, portal: str, language: str, texts: Mapping[str, str]
) -> bytes:
    """The PDF, a page for each. ``portal`` is the address of the page where the code is typed, ``texts`` has the
    ``WORDS`` in ``language``. Raises SheetError."""
    data = {
        "organisation": _plain(organisation),
        "portal": portal,
        "qr": _square(portal),
        "language": language,
        "texts": {word: texts[word] for word in WORDS},
        "steps": [texts[word] for word in STEPS],
        "people": [{"address": _plain(each.address), "code": each.code} for each in sheets],
    }
    try:
        made: object = typst.compile(
            _SOURCE,
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise SheetError(str(error)[:500]) from error
    if not isinstance(made, bytes):
        raise SheetError("typst gave no document")
    return made


def rehearse() -> None:
    """Set one sheet, while everything may still be read and imported."""
    render(
        [Sheet("a@b.example", "0")],
        organisation="A",
        portal="https://a.example/",
        language="en",
        texts=_NO_TEXTS,
    )


_NO_TEXTS = dict.fromkeys(WORDS, "a")


def _plain(name: str) -> str:
    """Without the signs that turn the direction of what follows them: they are for the eye alone."""
    return name.translate(_TURNING)


def _square(text: str) -> str:
    """A QR code (ISO/IEC 18004) as an SVG document."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", border=4, xmldecl=False, svgclass=None)
    return out.getvalue().decode()
