"""What a page of the console costs: ten thousand accounts, a million events, a hundred organisations.

Run: ``./dev run bench/console.py [--quick] [--write]``. What is measured how, and how to read it: bench/README.md.
``--write`` puts the table into bench/results/console.md. 1 where a goal is missed, 3 where wrk is missing.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "src")]

from lib.console_stage import ConsoleStage  # noqa: E402 - the path is made above
from lib.meter import cpu, pss  # noqa: E402
from lib.report import machine  # noqa: E402

from gambeson.console.admin.sessions import SESSION  # noqa: E402

PAGE_GOAL, RATE_GOAL = 50.0, 340.0  # CPU ms; requests a second of one worker
PAGES = (
    "today",
    "doors",
    "doors/why?q=person00042@playground.example",
    "people",
    "people?q=person0004",
    "people/acc-b42",
    "people/quarantine",
    "findings",
    "actions",
    "servers",
    "policy",
    "reports",
    "audit",
)
WHOLE = ("/organisations", "/staff", "/settings", "/me")
CALLS = ("accounts", "devices", "decisions", "findings", "audit")
DATABASE_PAGE = "people"


@dataclass
class Cost:
    """One page: CPU and wall milliseconds (median), octets, and the status of the last answer."""

    path: str
    cpu: float
    wall: float
    size: int
    status: int


def cost(stage: ConsoleStage, path: str, rounds: int, *, api: bool = False) -> Cost:
    """Ask ``rounds`` times in groups of five, because the kernel counts CPU in hundredths of a second."""
    status, size = stage.ask(path, api=api)
    for _ in range(2):
        stage.ask(path, api=api)
    spent, walls = [], []
    for _ in range(rounds):
        before, began = cpu([stage.pid]), time.monotonic()
        for _ in range(5):
            stage.ask(path, api=api)
        walls.append((time.monotonic() - began) / 5 * 1000)
        spent.append((cpu([stage.pid]) - before) / 5 * 1000)
    return Cost(path, sum(spent) / len(spent), median(walls), size, status)


def rate(url: str, seconds: int, cookie: str = "") -> float:
    """Requests a second by wrk, eight connections."""
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-H", f"Cookie: {SESSION}={cookie}", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    if failed := re.search(r"Non-2xx or 3xx responses: (\d+)", told):
        raise RuntimeError(f"{url}: {failed[0]}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


class Peer:
    """The surveyed stack's page, on the same database."""

    def __init__(self, stage: ConsoleStage) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        tls = stage.gambeson.data / "tls"
        certificate, key = tls / "certificate.pem", tls / "key.pem"
        command = [sys.executable, str(HERE / "lib" / "console_peer.py"), str(stage.database)]
        self._process = subprocess.Popen([*command, str(certificate), str(key), str(self.port)])
        self.url = f"https://localhost:{self.port}/devices?org={stage.org}"

    def __enter__(self) -> Peer:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise RuntimeError("the peer did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def table(costs: list[Cost]) -> list[str]:
    """Rows for people."""
    lines = ["| | CPU ms | wall ms | KiB |", "|---|---|---|---|"]
    return [*lines, *(f"| `{c.path}` | {c.cpu:.1f} | {c.wall:.1f} | {c.size / 1024:.0f} |" for c in costs)]


def main() -> int:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description="The console's pages and API.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, fewer rounds")
    parser.add_argument("--write", action="store_true", help="into bench/results/console.md")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        print("bench: wrk is missing; install Debian's package wrk.", file=sys.stderr)
        return 3
    accounts, events = (1_000, 100_000) if args.quick else (10_000, 1_000_000)
    rounds, seconds = (3, 2) if args.quick else (10, 4)
    with (
        tempfile.TemporaryDirectory(prefix="gambeson-bench-") as name,
        ConsoleStage(Path(name), accounts, events, 100) as stage,
    ):
        idle = pss([stage.pid])
        base = f"/o/{stage.org}/"
        pages = [cost(stage, base + path, rounds) for path in PAGES] + [cost(stage, p, rounds) for p in WHOLE]
        calls = [cost(stage, f"/api/v1/organisations/{stage.org}/{c}", rounds, api=True) for c in CALLS]
        broken = [c for c in (*pages, *calls) if c.status != 200]
        if broken:
            print(f"bench: {[(c.path, c.status) for c in broken]}", file=sys.stderr)
            return 1
        url = f"https://localhost:{stage.port}{base}{DATABASE_PAGE}"
        ours, theirs = [], []
        with Peer(stage) as peer:
            for _ in range(3):
                ours.append(rate(url, seconds, stage.cookie))
                theirs.append(rate(peer.url, seconds))
        busy = pss([stage.pid])
        for each in (*pages, *calls):
            each.path = each.path.replace(stage.org, "ORG")
    dearest = max(pages, key=lambda c: c.cpu)
    own, other = median(ours), median(theirs)
    goals = [
        (f"dearest page (`{dearest.path}`), CPU", f"<= {PAGE_GOAL:g} ms", f"{dearest.cpu:.1f} ms",
         dearest.cpu <= PAGE_GOAL),
        ("a database page (people), requests a second of one worker", f">= {RATE_GOAL:g}",
         f"{own:.0f}", own >= RATE_GOAL),
    ]  # fmt: skip
    lines = [
        "# The console",
        "",
        f"{machine('wrk')}",
        "",
        f"{accounts:,} accounts with a device each, {events:,} events of 30 days, 100 organisations; SQLite.",
        "",
        "| goal | | measured | reached |",
        "|---|---|---|---|",
        *(f"| {what} | {goal} | {value} | {'yes' if good else 'no'} |" for what, goal, value, good in goals),
        "",
        "## Pages, one after the other",
        "",
        *table(pages),
        "",
        "## API calls",
        "",
        *table(calls),
        "",
        "## Eight connections at once",
        "",
        "| | requests/s | to the bare stack |",
        "|---|---|---|",
        f"| people page of the console | {own:.0f} | {own / other:.2f} |",
        f"| bare page of the same stack (two queries, fifty rows, no sign-in) | {other:.0f} | 1.00 |",
        "",
        f"The installation stands {stage.start_seconds:.1f} s after its start with this store; the console's process "
        f"has {idle / 1024:.0f} MiB then and {busy / 1024:.0f} MiB after the load.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if args.write:
        (HERE / "results" / "console.md").write_text(text)
    return 0 if all(good for *_, good in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
