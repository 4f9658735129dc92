"""Installations for the fault tests: one that tests share, and a maker for tests that break theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peers.gambeson import Gambeson


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    """The playground, shared by a module's tests: they leave it well."""
    with Gambeson(tmp_path_factory.mktemp("shared") / "data") as g:
        yield g


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Gambeson]]:
    """Starts an installation of a test's own; stopped at its end."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, config: str = "", env: dict[str, str] | None = None) -> Gambeson:
            return stack.enter_context(Gambeson(tmp_path / "data", *args, config=config, env=env))

        yield start
