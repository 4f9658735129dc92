"""The catalogue: every text that a person may read, by key. There is one language so far: English.

Rules: texts are plain, never HTML; ``{name}`` stands for a value, which the page escapes; a key that is missing is an
error in the tests, not on the page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files


class Catalogue:
    """The texts of one language."""

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


def load_texts() -> Catalogue:
    """Read ``texts.toml``. Raises OSError, tomllib.TOMLDecodeError."""
    document = tomllib.loads(files(__package__).joinpath("texts.toml").read_text("utf-8"))
    flat = {f"{table}.{key}": text for table, texts in document.items() for key, text in texts.items()}
    return Catalogue(flat)
