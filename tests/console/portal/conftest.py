"""The portal in a browser, for those tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from console.portal.served import Served
from peers.chromium import Chromium


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    running.server.should_exit = True
    running.thread.join(10)


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    with Chromium([served.certificate]) as chromium, chromium.visitor() as page:
        yield page
