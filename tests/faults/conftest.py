"""Installations for the fault tests: one that a module's tests share, and a maker for tests that break theirs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.upstream import Upstream
from peers.gambeson import Gambeson


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that the users which root's processes drop to can pass through (pytest's own is closed to them)."""
    path = Path(tempfile.mkdtemp(prefix="gambeson-faults-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def configured(settings: str) -> Iterator[Gambeson]:
    """With a settings file, one account (anna@example.org) and an IMAP server that lets in whoever the keeper vouches
    for. As root the processes become users that every Debian has."""
    server = Upstream("imap")
    config = f"""{settings}
[users]
doors = "daemon"
keeper = "games"
worker = "news"
console = "nobody"
[[server]]
name = "mail"
imap = "imap+plain://127.0.0.1:{server.port}"
submission = "smtp+plain://127.0.0.1:{server.port}"
pop3 = "pop3+plain://127.0.0.1:{server.port}"
sieve = "sieve+plain://127.0.0.1:{server.port}"
"""
    with folder() as path, Gambeson(path / "data", config=config) as g:
        g.run("org", "add", "Example", "--domain", "example.org")
        g.run("account", "add", "anna@example.org")
        yield g
    server.close()


@pytest.fixture(scope="module")
def playground() -> Iterator[Gambeson]:
    """The playground, shared by a module's tests: they leave it well."""
    with folder() as path, Gambeson(path / "data") as g:
        yield g


@pytest.fixture
def place() -> Iterator[Path]:
    """A test's own folder."""
    with folder() as path:
        yield path


@pytest.fixture
def make(place: Path) -> Iterator[Callable[..., Gambeson]]:
    """Starts an installation of a test's own; stopped at its end."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, config: str = "", env: dict[str, str] | None = None) -> Gambeson:
            return stack.enter_context(Gambeson(place / "data", *args, config=config, env=env))

        yield start
