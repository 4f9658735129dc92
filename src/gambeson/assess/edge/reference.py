"""Reads the tables of ``data/``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from gambeson.assess.core.exchange import tables
from gambeson.assess.core.fingerprints import fingerprint
from gambeson.assess.core.lifecycles import lifecycle
from gambeson.assess.core.pages import NOWHERE, NOWHERE_PATH, Ask, asks
from gambeson.assess.core.reference import Reference


@cache
def reference() -> Reference:
    """All tables. What is wrong in one is a defect of this release, and raises as it comes."""
    data = files("gambeson.assess") / "data"
    exchange = data / "exchange"
    return Reference(
        tables(*(read(exchange / f"{name}.toml") for name in ("builds", "fixes", "exploited"))),
        tuple(lifecycle(name, table) for name, table in read(data / "lifecycles.toml").items()),
        tuple(
            fingerprint(path.name.removesuffix(".toml"), read(path))
            for path in sorted((data / "fingerprints").iterdir(), key=lambda path: path.name)
            if path.name.endswith(".toml")
        ),
        all_asks(),
    )


@cache
def all_asks() -> tuple[Ask, ...]:
    """Every page that is asked for, first the address that nobody has."""
    folder = files("gambeson.assess") / "data/pages"
    found = [asks(read(path)) for path in sorted(folder.iterdir(), key=lambda path: path.name)]
    return (Ask(NOWHERE, NOWHERE_PATH), *(ask for group in found for ask in group))


def read(path: Traversable) -> dict[str, Any]:
    """One data file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))
