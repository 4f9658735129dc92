"""Finds the line of a setting in a TOML file, since the standard parser forgets it.

A scan of headers and keys at the beginning of lines that knows multi-line strings and arrays well enough not to
take their inside for keys. It only serves error messages: where it finds nothing, the message has no line.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(.*)$"""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*$')

Path = tuple[str | int, ...]


def line_of(text: str, path: Path) -> int:
    """The line (from 1) where ``path`` stands, such as ``("server", 0, "imap")``; numbers count ``[[tables]]``.
    A setting that is not in the file has the line of its table. 0: not found."""
    places = _places(text)
    while path:
        if path in places:
            return places[path]
        path = path[:-1]
    return 0


def _places(text: str) -> dict[Path, int]:
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    inside = ""  # the end of a multi-line string we are in
    depth = 0  # of brackets in a value that goes on
    for number, line in enumerate(text.splitlines(), 1):
        if inside:
            if inside in line:
                inside = ""
            continue
        if depth:
            depth += _brackets(line)
            continue
        if header := _HEADER.match(line):
            names: Path = tuple(_names(header[2]))
            table = _resolve(names[:-1], counts) + names[-1:]
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            else:
                table = _resolve(names, counts)
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            names = tuple(_names(key[1]))
            for end in range(1, len(names) + 1):
                places.setdefault(table + names[:end], number)
            for quotes in ('"""', "'''"):
                if key[2].count(quotes) == 1:
                    inside = quotes
            depth = 0 if inside else max(0, _brackets(key[2]))
    return places


def _names(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _resolve(names: Path, counts: dict[Path, int]) -> Path:
    """A header inside an array of tables means its last table."""
    resolved: Path = ()
    for name in names:
        resolved = (*resolved, name)
        if resolved in counts:
            resolved = (*resolved, counts[resolved])
    return resolved


def _brackets(line: str) -> int:
    bare = _STRINGS.sub("", line)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
