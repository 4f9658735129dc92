"""``up`` for the tests: a supervisor over :mod:`child_main`. Arguments: a JSON file of the plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gambeson.process.listen import Listen
from gambeson.process.run_directory import RunError
from gambeson.process.supervisor import Plan, Supervisor

HERE = Path(__file__).parent
FILE = Path(sys.argv[1])


def plan() -> Plan:
    told = json.loads(FILE.read_text())
    if told.get("broken"):
        raise ValueError("line 3 of the config is nonsense")
    return Plan(
        data=Path(told["data"]),
        argv_for=lambda role: [sys.executable, told.get("main") or str(HERE / "child_main.py"), role],
        listens=(Listen("plain", "127.0.0.1", told.get("port", 0)),),
        parameters=lambda role: told,
        doors=told.get("doors", 2),
        users=told.get("users", {}),
        drain_seconds=told.get("drain", 60.0),
        birth_seconds=told.get("birth", 20.0),
    )


def ready(addresses, run):
    run.write_ready({"doors": {name: list(address) for name, address in addresses.items()}})


if __name__ == "__main__":
    try:
        sys.exit(Supervisor(plan(), on_ready=ready, reload=plan).run())
    except RunError as error:
        print(f"gambeson: {error}", file=sys.stderr)
        sys.exit(error.code)
