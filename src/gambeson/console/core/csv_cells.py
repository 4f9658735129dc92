"""Cells of a table that a spreadsheet will open: none of them is taken for a formula (OWASP, "CSV injection").

A cell that begins with = + - @, a tab or a carriage return gets an apostrophe before it; so does one that begins with
apostrophes and then with such a character, so that taking one off always gives back what was there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = frozenset("=+-@\t\r")


def safe_cell(value: str) -> str:
    """``value`` as a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{value}" if _starts_formula(value) else value


def plain_cell(cell: str) -> str:
    """What :func:`safe_cell` was given."""
    return cell[1:] if cell.startswith("'") and _starts_formula(cell) else cell


def write(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """A table as CSV text, every cell safe, lines ended as RFC 4180 section 2 has it."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    for row in (header, *rows):
        writer.writerow([safe_cell(cell) for cell in row])
    return out.getvalue()


def _starts_formula(value: str) -> bool:
    return value.lstrip("'")[:1] in _FORMULA
