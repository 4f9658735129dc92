"""The mains of the processes that the supervisor starts: ``python -m gambeson.app.children ROLE``.

Each takes its inheritance, imports and opens what it needs, gives up its rights, and serves until it is told to stop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from gambeson.process import child
from gambeson.process.child import Birth


def doors(birth: Birth) -> int:
    """The mail doors."""
    from gambeson.guard.edge.main import run_doors

    return run_doors(birth)


def keeper(birth: Birth) -> int:
    """The keeper of secrets and keys."""
    from .keeper_child import run_keeper

    return run_keeper(birth)


def worker(birth: Birth) -> int:
    """Snapshots, events, chores."""
    from .worker_child import run_worker

    return run_worker(birth)


def portal(birth: Birth) -> int:
    """The portal of members."""
    from .portal_child import run_portal

    return run_portal(birth)


def console(birth: Birth) -> int:
    """The console of those who look after organisations."""
    from .console_child import run_console

    return run_console(birth)


def playground(birth: Birth) -> int:
    """The embedded mail server of the playground."""
    from .playground_child import run_playground

    return run_playground(birth)


MAINS: dict[str, Callable[[Birth], int]] = {
    "doors": doors,
    "keeper": keeper,
    "worker": worker,
    "portal": portal,
    "console": console,
    "playground": playground,
}


def main(argv: list[str]) -> int:
    """Run one role."""
    if len(argv) != 1 or argv[0] not in MAINS:
        print("gambeson: the processes are started by 'gambeson up', not by hand", file=sys.stderr)
        return 2
    return child.run(MAINS[argv[0]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
