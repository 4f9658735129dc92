"""The same small organisation that the decisions are tested with, and pictures of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_there = Path(__file__).parents[2] / "guard" / "core" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_organisation", _there)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture
def world():
    return _module.World()


@pytest.fixture(scope="session")
def make_world():
    return _module.World
