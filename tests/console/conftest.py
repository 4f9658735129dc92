from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        yield made
