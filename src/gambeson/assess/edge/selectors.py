"""Reads the list of DKIM selectors that a look tries."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def usual_selectors() -> tuple[str, ...]:
    """The names of ``data/dkim_selectors.toml``, in its order, each once."""
    path = files("gambeson.assess") / "data" / "dkim_selectors.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(dict.fromkeys(name for group in data["group"] for name in group["names"]))
