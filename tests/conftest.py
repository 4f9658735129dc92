"""What all tests share: the markers ``slow`` and ``peer``, and the peers themselves.

``@pytest.mark.peer("dovecot", "postfix")`` says that a test needs programs nobody here wrote. Where one is missing
the test skips and says which package brings it. The fixtures of the same names start them on loopback.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from peers import missing_programs
from peers.fixtures import dovecot, pki, postfix, postgresql, slapd

# No deadline: how long one example takes says more about the machine than about the code.
settings.register_profile("gambeson", deadline=None, print_blob=True)
settings.load_profile("gambeson")

__all__ = ["dovecot", "pki", "postfix", "postgresql", "slapd"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "peer(*names): needs these programs of others, such as dovecot")
    config.addinivalue_line(
        "markers", "slow: takes more than about ten seconds; left out of the run on other Pythons"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a peer's fixture is marked with it, so that ``-m 'not peer'`` leaves it out."""
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if name in ("dovecot", "postfix", "slapd", "postgresql"):
                item.add_marker(pytest.mark.peer(name))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if why := missing_programs(name):
                pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What ``./dev test`` wants to be seen above the last line."""
    if notes := os.environ.get("GAMBESON_DEV_NOTES", "").strip():
        terminalreporter.section("not good besides the tests below")
        terminalreporter.write_line(notes)
