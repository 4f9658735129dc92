"""How a setting is declared: once, with its type, default, the reason for the default, and what it does.

A section of the settings file is a frozen dataclass whose fields come from :func:`setting`,
:func:`section` and :func:`tables`. The loader, the reference page, the sample file and ``gambeson settings``
all read these declarations; nothing else lists settings. A section may have
``check() -> Iterator[Problem]`` for what a single value cannot tell; it runs after its values were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class SettingsError(Exception):
    """The settings cannot be used. ``str()`` is one sentence: file and line, what, what to do.

    ``unreadable`` is True where the file itself could not be read.
    """

    def __init__(self, text: str, *, unreadable: bool = False) -> None:
        super().__init__(text)
        self.unreadable = unreadable


@dataclass(frozen=True, slots=True)
class Problem:
    """What :meth:`check` found: the setting's name within its section and the rest of the sentence."""

    setting: str
    text: str


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A type of value. ``words`` completes "must be ..."; ``read(value, base)`` raises ValueError (its text, when
    there is one, replaces "must be ..."); relative paths are seen from ``base``; ``write`` gives TOML."""

    words: str
    read: Callable[[Any, Path], T]
    write: Callable[[T], str]


@dataclass(frozen=True, slots=True)
class Declared:
    """The metadata of one setting. ``example`` is TOML shown in the sample file in the default's place;
    ``required`` means that a table without it is an error."""

    kind: Kind[Any]
    doc: str
    reason: str
    example: str
    required: bool


def setting(
    default: T, kind: Kind[T], doc: str, reason: str = "", *, example: str = "", required: bool = False
) -> T:
    """One setting: a dataclass field. ``doc`` and ``reason`` are sentences."""
    metadata = {"declared": Declared(kind, doc, reason, example, required)}
    return field(default=default, metadata=metadata)


def section(of: type[T]) -> T:
    """A ``[section]`` with the fields of ``of``; absent, it has their defaults."""
    return field(default_factory=of, metadata={"section": of})


def tables(of: type[T]) -> tuple[T, ...]:
    """Any number of ``[[section]]`` tables with the fields of ``of``."""
    return cast("tuple[T, ...]", field(default=(), metadata={"tables": of}))


def toml_name(attribute: str) -> str:
    """The name in the file of a dataclass attribute (``from_`` and the like end in a line)."""
    return attribute.rstrip("_")


def declared(of: type[Any]) -> Iterator[tuple[Field[Any], Declared]]:
    """The settings of a section, in the order of their declaration."""
    for each in fields(of):
        if "declared" in each.metadata:
            yield each, each.metadata["declared"]


def nested(of: type[Any]) -> Iterator[tuple[Field[Any], type[Any], bool]]:
    """The sections inside: field, its dataclass, and whether it is an array of tables."""
    for each in fields(of):
        if "section" in each.metadata:
            yield each, each.metadata["section"], False
        elif "tables" in each.metadata:
            yield each, each.metadata["tables"], True
