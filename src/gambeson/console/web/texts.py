"""A catalogue: every text that a person may read, by key.

Rules: texts are plain, never HTML; ``{name}`` stands for a value, which the page escapes; a key that is missing is an
error in the tests, not on the page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable


class Catalogue:
    """The texts of one language (its tag, RFC 5646)."""

    def __init__(self, texts: Mapping[str, str], language: str = "en") -> None:
        self.texts, self.language = texts, language

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key``. Raises KeyError."""
        text = self.texts[key]
        return text.format_map(values) if values else text

    def word(self, table: str, value: str) -> str:
        """The text for a word of the record, or the word itself where the catalogue has none."""
        return self.texts.get(f"{table}.{value}", value)

    def __contains__(self, key: str) -> bool:
        return key in self.texts


def read_catalogue(files: Iterable[Traversable], language: str = "en") -> Catalogue:
    """One catalogue out of TOML files of tables of texts. Raises OSError, tomllib.TOMLDecodeError; ValueError where two
    files have one key."""
    flat: dict[str, str] = {}
    for file in files:
        document = tomllib.loads(file.read_text("utf-8"))
        for table, texts in document.items():
            for key, text in texts.items():
                if f"{table}.{key}" in flat:
                    raise ValueError(f"{file.name}: {table}.{key} is there already")
                flat[f"{table}.{key}"] = text
    return Catalogue(flat, language)
