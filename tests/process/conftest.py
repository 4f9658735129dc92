"""Makes the sample world importable beside the tests (importlib mode adds no path)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    import process_world as sample

    return sample.keys(tmp_path_factory.mktemp("keeper"))
