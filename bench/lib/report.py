"""The table: figures, ratios within the run, goals, the machine."""

from __future__ import annotations

import datetime
import os
import platform
import ssl
import subprocess
from pathlib import Path

from .measure import Row

NGINX, OURS = "nginx mail + auth service", "Gambeson"


class Report:
    """Gathers sections; ``missed`` are the goals that were not reached."""

    def __init__(self, quick: bool = False) -> None:
        self.missed: list[str] = []
        self._goals: list[str] = []
        self._sections: list[str] = []
        self._quick = quick

    def _goal(self, what: str, value: float, limit: float, unit: str, at_least: bool = False) -> None:
        good = value >= limit if at_least else value <= limit
        if not good:
            self.missed.append(what)
        sign = ">=" if at_least else "<="
        self._goals.append(
            f"| {what} | {sign} {limit:g}{unit} | {value:.3g}{unit} | {'yes' if good else 'no'} |"
        )

    def logins(self, rows: list[Row]) -> None:
        """CPU and rate per login."""
        nginx = next(r for r in rows if r.name == NGINX)
        lines = [
            "| | logins/s | p50 ms | p99 ms | CPU ms/login | to nginx | of which |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            parts = ", ".join(f"{name} {value:.2f}" for name, value in row.parts().items())
            ratio = f"{row['cpu'] / nginx['cpu']:.2f}" if row["cpu"] else ""
            own = f"{row['cpu']:.2f}" if row["cpu"] else ""
            lines.append(
                f"| {row.name} | {row['rate']:.0f} | {row['p50']:.0f} | {row['p99']:.0f} | {own} | {ratio} | {parts} |"
            )
        self._sections.append(
            "## Logins: TLS 1.3, a new connection each, 16 at a time\n\n" + "\n".join(lines)
        )
        ours = next(r for r in rows if r.name == OURS)
        parts = ours.parts()
        serving = parts.get("doors", 0.0) + parts.get("keeper", 0.0)
        self._sections.append(
            f"Doors and keeper alone, without the worker that takes three events a login into the indexed database "
            f"(the service beside nginx writes one line to a file): {serving:.2f} ms, {serving / nginx['cpu']:.2f} of "
            "nginx with its service."
        )
        self._goal("CPU per login, to nginx with its auth service", ours["cpu"] / nginx["cpu"], 1.3, "x")

    def fetch(self, rows: list[Row]) -> None:
        """MB/s and CPU per MB."""
        nginx = next(r for r in rows if r.name == NGINX)
        lines = ["| | MB/s | to nginx | best round | CPU ms/MB | to nginx |", "|---|---|---|---|---|---|"]
        for row in rows:
            best = max(row.values["rate"])
            own = f"{row['cpu']:.2f} | {row['cpu'] / nginx['cpu']:.2f}" if row["cpu"] else " | "
            lines.append(
                f"| {row.name} | {row['rate']:.0f} | {row['rate'] / nginx['rate']:.2f} | {best:.0f} | {own} |"
            )
        self._sections.append("## Fetching a message of 50 MB\n\n" + "\n".join(lines))
        ours = next(r for r in rows if r.name == OURS)
        self._goal("Fetch in MB/s, to nginx", ours["rate"] / nginx["rate"], 1.0, "x", at_least=True)

    def idle(self, rows: list[Row], sessions: int) -> None:
        """Memory of idle sessions."""
        lines = ["| | MiB before | MiB after | KiB a session |", "|---|---|---|---|"]
        for row in rows:
            lines.append(f"| {row.name} | {row['before']:.0f} | {row['after']:.0f} | {row['each']:.1f} |")
        title = f"## Memory: {sessions} idle TLS sessions, signed in, clients spread over 127/8 (PSS)"
        self._sections.append(title + "\n\n" + "\n".join(lines))
        ours = next(r for r in rows if r.name == OURS)
        self._goal("Memory per idle session", ours["each"], 32, " KiB")

    def revocation(self, row: Row) -> None:
        """From the command to the last closed session."""
        lines = [
            "| sessions closed | from the store's write: first | last | from the command's begin: last | command |",
            "|---|---|---|---|---|",
            f"| {row['closed']:.0f} | {row['first']:.2f} s | {row['from_write']:.2f} s | {row['from_command']:.2f} s "
            f"| {row['command']:.2f} s |",
        ]
        self._sections.append("## Revocation of one device with all these sessions\n\n" + "\n".join(lines))
        self._goal("Revocation written to last session closed", row["from_write"], 1.0, " s")

    def decide(self, found: dict[str, float]) -> None:
        """The decision alone."""
        line = f"p50 {found['p50']:.1f} us, p99 {found['p99']:.1f} us (10,000 accounts; bench/decide.py)"
        self._sections.append("## decide() alone\n\n" + line)
        self._goal("decide() p50", found["p50"], 20, " us")
        self._goal("decide() p99", found["p99"], 100, " us")

    def text(self) -> str:
        """The whole document."""
        goals = "\n".join(["| goal | | measured | reached |", "|---|---|---|---|", *self._goals])
        head = f"# The doors beside nginx and Dovecot\n\n{machine(_programs())}"
        if self._quick:
            head += " Quick run: fewer rounds and sessions than the goals speak of."
        return "\n\n".join([head, goals, *self._sections]) + "\n"


def machine(programs: str, begin: float | None = None) -> str:
    """One line about the machine. ``programs`` are those that were compared, with versions; ``begin`` is the load
    average at the begin."""
    shared = f"client, proxy and server share them (load average at the end {os.getloadavg()[0]:.1f}"
    shared += ")" if begin is None else f", at the begin {begin:.1f})"
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    python = f"Python {platform.python_version()} with {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}"
    return (
        f"{when}: {os.cpu_count()} CPUs ({model}), {memory:.0f} GiB, Linux {platform.release()}, {python}, {programs}; "
        f"{shared}."
    )


def _programs() -> str:
    versions = []
    for command in (["dovecot", "--version"], ["nginx", "-v"]):
        try:
            environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/bin"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            answer = (done.stdout + done.stderr).strip().partition(" (")[0].removeprefix("nginx version: ")
            versions.append(f"{command[0] + ' ' if '/' not in answer else ''}{answer}")
        except OSError:
            continue
    return ", ".join(versions)
