"""How fast ``gambeson look`` is: many domains of the laboratory of the tests, and one as a person runs it.

Run: ``./dev run bench/look.py [--short] [--write]`` (with root: the mail servers change users). What is measured how:
bench/README.md. ``--write`` puts the table into bench/results/look.md. 1 where a goal is missed, 3 where a program is
missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "src")]

from lib.report import machine  # noqa: E402

from assess.lab.fault import CLEAN  # noqa: E402 - the path is made above
from assess.lab.faults import NAMES  # noqa: E402
from assess.lab.world import Domain, World  # noqa: E402
from peers import missing_programs  # noqa: E402

DOMAINS, SHORT = 200, 40
GOAL = 5.0  # seconds for one domain whose hosts answer
# What is measured of many: title, with doors, at once.
RUNS = (
    ("names only, one after the other", False, 1),
    ("names only, 8 at once", False, 8),
    ("names and doors, one after the other", True, 1),
    ("names and doors, 8 at once", True, 8),
)


def variants(count: int) -> list[Domain]:
    """The clean domain and those with faults of names whose servers all answer, over and over, each of its own name."""
    kinds = [CLEAN.domain, *(f.domain for f in NAMES if f.domain.twist is None and f.name != "ns-silent")]
    return [replace(kinds[at % len(kinds)], name=f"d{at}") for at in range(count)]


async def worker(world: World, domains: list[Domain], probe: bool, at_once: int) -> dict[str, Any]:
    """What a process of its own took to look at ``domains``."""
    wanted = {
        "domains": [domain.fqdn for domain in domains],
        "resolver": world.knot.server,
        "anchors": str(world.knot.anchors),
        "ca": str(world.certificates.authority),
        "ports": {protocol.value: port for protocol, port in world.ports.items()},
        "probe": probe,
        "at_once": at_once,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "lib" / "look_worker.py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parent / "src")},
    )
    output, _ = await process.communicate(json.dumps(wanted).encode())
    found: dict[str, Any] = json.loads(output)
    return found


async def command(world: World, domain: Domain) -> tuple[float, float]:
    """Seconds and MiB at the most that the command takes for one domain, as a person starts it."""
    address, port = world.knot.server
    line = [sys.executable, "-m", "gambeson", "look", domain.fqdn, "--yes", "--private", "--json"]
    line += ["--resolver", f"{address}:{port}", "--trust-anchor", str(world.knot.anchors)]
    line += ["--ca", str(world.certificates.authority)]
    for protocol, number in world.ports.items():
        line += ["--port", f"{protocol.value}={number}"]
    began = time.monotonic()
    process = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(HERE.parent / "src")}
    )
    _, status, usage = await asyncio.to_thread(os.wait4, process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"gambeson look ended with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


async def measure(folder: Path, short: bool) -> tuple[str, bool]:
    """The document, and whether a goal is missed."""
    count = SHORT if short else DOMAINS
    domains = [CLEAN.domain, *variants(count)]
    load = os.getloadavg()[0]
    async with World(folder, domains) as world:
        alone = [await command(world, CLEAN.domain) for _ in range(3 if short else 10)]
        rows = []
        for title, probe, at_once in RUNS:
            # One after the other is a matter of the single look; a quarter of the domains shows it.
            some = domains[1:] if at_once > 1 else domains[1 : 1 + count // 4]
            rows.append((title, len(some), await worker(world, some, probe, at_once)))
    seconds = [took for took, _ in alone]
    middle = statistics.median(seconds)
    head = f"# gambeson look\n\n{machine('Knot, Postfix, Dovecot and nginx of Debian', load)}"
    if short:
        head += " Short run: fewer domains than the goals speak of."
    goals = [
        "| goal | | measured | reached |",
        "|---|---|---|---|",
        f"| One domain with answering hosts, the whole command, median of {len(alone)} | <= {GOAL:g} s "
        f"| {middle:.2f} s | {'yes' if middle <= GOAL else 'no'} |",
    ]
    one = (
        f"## One domain\n\nThe clean domain of the laboratory: two mail hosts, a policy host and a web host, all "
        f"of which answer. The command took {min(seconds):.2f} to {max(seconds):.2f} s and at most "
        f"{max(peak for _, peak in alone):.0f} MiB, its start included."
    )
    table = [
        "| | domains | a minute | s a look, median | longest | CPU s a look | questions a look | MiB at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, number, found in rows:
        took = found["took"]
        table.append(
            f"| {title} | {number} | {number * 60 / found['seconds']:.0f} | {statistics.median(took):.2f} "
            f"| {took[-1]:.2f} | {found['cpu'] / number:.2f} "
            f"| {found['questions'] / number:.0f} | {found['peak']:.0f} |"
        )
    many = f"## {count} domains in one process, each with its own faults\n\n" + "\n".join(table)
    return "\n\n".join([head, "\n".join(goals), one, many]) + "\n", middle > GOAL


def main() -> int:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description="How fast gambeson look is.")
    parser.add_argument("--short", action="store_true", help=f"{SHORT} domains, fewer rounds")
    parser.add_argument("--write", action="store_true", help="into bench/results/look.md")
    args = parser.parse_args()
    for name in ("knot", "postfix", "dovecot", "nginx"):
        if why := missing_programs(name):
            print(f"bench: {why}.", file=sys.stderr)
            return 3
    with tempfile.TemporaryDirectory(prefix="gambeson-bench-") as name:
        Path(name).chmod(0o755)
        text, missed = asyncio.run(measure(Path(name), args.short))
    print(text)
    if args.write:
        (HERE / "results" / "look.md").write_text(text)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
