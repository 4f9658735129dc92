"""Where things stand in a policy file: line and column of tables and keys.

``tomllib`` gives values without positions. The file is scanned once more for table headers and keys; what
stands inside multi-line strings is skipped. A position that cannot be told is that of the table around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(r"\s*\[{1,2}\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]{1,2}")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*(?:\.[^=]*)?=")
_SYNTAX = re.compile(r"\(at line (\d+), column (\d+)\)")


class PolicyError(Exception):
    """What is wrong in a policy file, and where: ``line`` and ``column`` from 1, ``text`` one sentence."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(f"line {line}, column {column}: {text}")
        self.line, self.column, self.text = line, column, text


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the file, from 1."""

    line: int = 1
    column: int = 1


class Source:
    """The positions of a policy file's tables (by name and count) and of the keys in them."""

    def __init__(self, text: str) -> None:
        self._tables: dict[tuple[str, int], Place] = {}
        self._keys: dict[tuple[str, int, str], Place] = {}
        seen: dict[str, int] = {}
        table, number = "", 0
        quote = ""
        for line, content in enumerate(text.splitlines(), start=1):
            if not quote:
                header, key = _HEADER.match(content), _KEY.match(content)
                if header and not key:
                    table = header.group(1).strip("\"' ")
                    number = seen.get(table, 0)
                    seen[table] = number + 1
                    self._tables[table, number] = Place(line, content.index("[") + 1)
                elif key:
                    name = key.group(1).strip("\"'")
                    self._keys.setdefault((table, number, name), Place(line, key.start(1) + 1))
            quote = _open_quote(content, quote)

    def table(self, table: str, number: int = 0) -> Place:
        """Of the ``number``-th table of this name (from 0)."""
        return self._tables.get((table, number)) or self._keys.get(("", 0, table)) or Place()

    def key(self, table: str, number: int, key: str) -> Place:
        """Of a key in that table."""
        return self._keys.get((table, number, key)) or self.table(table, number)


def syntax_error(text: str, error: Exception) -> PolicyError:
    """A PolicyError from tomllib's own, which names line and column in its text."""
    said = str(error)
    where = _SYNTAX.search(said)
    if where:
        return PolicyError(int(where[1]), int(where[2]), f"this is no TOML: {said[: where.start()].strip()}")
    return PolicyError(max(1, len(text.splitlines())), 1, f"this is no TOML: {said.split(' (at')[0]}")


def _open_quote(line: str, quote: str) -> str:
    """The multi-line quote (three quotation marks) still open at the end of this line."""
    position = 0
    while True:
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return quote
            quote, position = "", end + 3
        starts = [(at, q) for q in ('"""', "'''") if (at := line.find(q, position)) >= 0]
        if not starts:
            return ""
        at, quote = min(starts)
        position = at + 3
