"""The portal's catalogue. There is one language so far: English."""

from __future__ import annotations

from importlib.resources import files

from gambeson.console.web.texts import Catalogue, read_catalogue


def load_texts() -> Catalogue:
    """Read ``texts.toml``. Raises OSError, tomllib.TOMLDecodeError."""
    return read_catalogue([files(__package__).joinpath("texts.toml")])
