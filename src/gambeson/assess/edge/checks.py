"""Reads the catalogue: each file of ``data/checks`` with the module of the same name."""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from importlib.resources import files

from gambeson.assess.core.catalogue import CatalogueError, check
from gambeson.assess.core.check import Check


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of their names. Raises CatalogueError where a file or its module is wrong."""
    folder = files("gambeson.assess") / "data" / "checks"
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".toml"):
            continue
        name = path.name.removesuffix(".toml")
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise CatalogueError(f"{name}: {error}.") from None
        module = importlib.import_module(f"gambeson.assess.core.checks.{name}")
        found.append(check(name, data, module.run))
    return tuple(found)
