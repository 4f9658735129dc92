"""Reads the settings file into a :class:`~gambeson.settings.config.Config`.

Everything unknown, of a wrong type, out of range or impossible together is refused with one sentence: file,
line, what, and what to do. Nothing is guessed and nothing is half taken.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .config import Config
from .declare import Declared, SettingsError, declared, nested, toml_name
from .kinds import quoted
from .lines import line_of

MAX_FILE = 1 << 20  # octets
MAX_TABLES = 1000  # of one kind
T = TypeVar("T")


def load(path: Path | None) -> Config:
    """The settings in the file ``path``; without one the defaults. Raises SettingsError."""
    if path is None:
        return Config()
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        text = f"The settings file {path} cannot be read: {error.strerror}; name another with --config."
        raise SettingsError(text, unreadable=True) from None
    if len(raw) > MAX_FILE:
        raise SettingsError(
            f"{path} is larger than {MAX_FILE} octets, which no settings file is; name the right file."
        )
    try:
        return loads(raw.decode(), str(path), path.absolute().parent)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path} line {line}: this is not UTF-8; save the file as UTF-8.") from None


def loads(text: str, file: str, base: Path) -> Config:
    """The settings in ``text``, named ``file`` in errors; relative paths start at ``base``. Raises SettingsError."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise SettingsError(f"{file}: this is not TOML: {error}; correct it there.") from None
    return _Reader(text, file, base).table(Config, data, ())


class _Reader:
    def __init__(self, text: str, file: str, base: Path) -> None:
        self._text = text
        self._file = file
        self._base = base

    def error(self, path: tuple[str | int, ...], problem: str) -> SettingsError:
        line = line_of(self._text, path)
        where = f"{self._file} line {line}" if line else self._file
        return SettingsError(f"{where}: {dotted(path)} {problem}.")

    def table(self, of: type[T], data: Mapping[str, Any], path: tuple[str | int, ...]) -> T:
        values: dict[str, Any] = {}
        known: list[str] = []
        for field, declaration in declared(of):
            name = toml_name(field.name)
            known.append(name)
            if name in data:
                values[field.name] = self.value(declaration, data[name], (*path, name))
            elif declaration.required:
                raise self.error((*path, name), "is missing; add it")
        for field, inner, many in nested(of):
            name = toml_name(field.name)
            known.append(name)
            if name in data:
                read = self.tables if many else self.section
                values[field.name] = read(inner, data[name], (*path, name))
        for name in data:
            if name not in known:
                raise self.error((*path, name), unknown(name, known, path))
        made = of(**values)
        for problem in getattr(made, "check", tuple)():
            raise self.error((*path, *_split(problem.setting)), problem.text)
        return made

    def section(self, of: type[T], data: Any, path: tuple[str | int, ...]) -> T:
        if not isinstance(data, dict):
            raise self.error(path, f"is a section; write [{dotted(path)}] and its settings below")
        return self.table(of, data, path)

    def tables(self, of: type[T], data: Any, path: tuple[str | int, ...]) -> tuple[T, ...]:
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            raise self.error(path, f"may be there several times; write [[{dotted(path)}]] with two brackets")
        if len(data) > MAX_TABLES:
            raise self.error(path, f"is there more than {MAX_TABLES} times; remove some")
        return tuple(self.table(of, each, (*path, number)) for number, each in enumerate(data))

    def value(self, declaration: Declared, value: Any, path: tuple[str | int, ...]) -> Any:
        try:
            return declaration.kind.read(value, self._base)
        except ValueError as error:
            raise self.error(
                path, str(error) or f"must be {declaration.kind.words}, not {_shown(value)}"
            ) from None


def _split(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))


def dotted(path: tuple[str | int, ...]) -> str:
    """A setting's name for people: ``server[2].imap`` is the second server's."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def unknown(name: str, known: list[str], path: tuple[str | int, ...]) -> str:
    """The rest of the sentence about an unknown name, with the nearest known one."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"is no setting; did you mean {dotted((*path, near[0]))}?".removesuffix("?")
    return f"is no setting; known here are {', '.join(known)}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)[:60]
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else "a date or time"
