"""``gambeson version``: which Gambeson this is and what it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``version``."""
    commands.add("version", "print the version of Gambeson and of Python", run)


def run(args: Namespace) -> int:
    """Prints ``{"version", "python"}``."""
    import platform

    from gambeson import __version__

    from .common import Exit, emit

    python = platform.python_version()
    emit(args, {"version": __version__, "python": python}, f"gambeson {__version__} (Python {python})")
    return Exit.GOOD
