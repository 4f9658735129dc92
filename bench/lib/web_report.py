"""The table of the web doors: figures, ratios within the run, goals, the machine."""

from __future__ import annotations

import os

from .measure import Row
from .report import machine
from .web_stage import NGINX, OURS, PLAIN


class WebReport:
    """Gathers sections; ``missed`` are the goals that were not reached."""

    def __init__(self, versions: dict[str, str], absent: dict[str, str], quick: bool = False) -> None:
        self.missed: list[str] = []
        self._versions, self._absent, self._quick = versions, absent, quick
        self._load = os.getloadavg()[0]
        self._goals: list[str] = []
        self._sections: list[str] = []

    def _goal(self, what: str, value: float, limit: float, unit: str, at_least: bool = False) -> None:
        good = value >= limit if at_least else value <= limit
        if not good:
            self.missed.append(what)
        sign = ">=" if at_least else "<="
        reached = "yes" if good else "no"
        self._goals.append(f"| {what} | {sign} {limit:g}{unit} | {value:.3g}{unit} | {reached} |")

    def requests(self, tables: dict[str, list[Row]]) -> None:
        """Small answers."""
        for name, rows in tables.items():
            nginx, ours = (next(r for r in rows if r.name == n) for n in (NGINX, OURS))
            lines = [
                "| | CPU us/request | to nginx + auth_request | of which | req/s | to it | p50 ms | p99 ms | to it |",
                "|---|---|---|---|---|---|---|---|---|",
            ]
            for row in rows:
                parts = ", ".join(
                    f"{part} {value:.1f}" for part, value in row.parts().items() if value >= 0.05
                )
                lines.append(
                    f"| {row.name} | {row['cpu']:.1f} | {row['cpu'] / nginx['cpu']:.2f} | {parts} | {row['rate']:.0f} "
                    f"| {row['rate'] / nginx['rate']:.2f} | {row['p50']:.2f} | {row['p99']:.1f} "
                    f"| {row['p99'] / nginx['p99']:.2f} |"
                )
            lines += self._missing("||||||||")
            title = f"## Answers of 1 KB: {name}"
            self._sections.append(title + "\n\n" + "\n".join(lines))
            self._goal(f"CPU per request, {name}", ours["cpu"] / nginx["cpu"], 1.0, "x")
            self._goal(f"Requests a second, {name}", ours["rate"] / nginx["rate"], 0.8, "x", at_least=True)
            self._goal(f"p99, {name}", ours["p99"] / nginx["p99"], 2.0, "x")

    def bulk(self, what: str, rows: list[Row]) -> None:
        """Large bodies."""
        nginx, ours = (next(r for r in rows if r.name == n) for n in (NGINX, OURS))
        plain = next(r for r in rows if r.name == PLAIN)
        lines = [
            "| | MB/s | to nginx + auth_request | best round | CPU ms/MB | to it |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            lines.append(
                f"| {row.name} | {row['rate']:.0f} | {row['rate'] / nginx['rate']:.2f} | {max(row.values['rate']):.0f} "
                f"| {row['cpu']:.2f} | {row['cpu'] / nginx['cpu']:.2f} |"
            )
        lines += self._missing("|||||")
        self._sections.append(f"## 100 MB {what}\n\n" + "\n".join(lines))
        best = max(nginx["rate"], plain["rate"])
        self._goal(
            f"MB/s of a 100 MB {what}, to nginx (the better of its two)", ours["rate"] / best, 1.0, "x", True
        )

    def idle(self, rows: list[Row], count: int) -> None:
        """Memory of idle connections."""
        lines = ["| | MiB before | MiB after | KiB a connection |", "|---|---|---|---|"]
        lines += [f"| {r.name} | {r['before']:.0f} | {r['after']:.0f} | {r['each']:.1f} |" for r in rows]
        lines += self._missing("|||")
        title = f"## Memory: {count} idle TLS connections, each after one request, clients spread over 127/8 (PSS)"
        self._sections.append(title + "\n\n" + "\n".join(lines))
        self._goal("Memory per idle connection", next(r for r in rows if r.name == OURS)["each"], 64, " KiB")

    def _missing(self, cells: str) -> list[str]:
        return [f"| {name} | {why} {cells}" for name, why in self._absent.items()]

    def text(self) -> str:
        """The whole document."""
        programs = ", ".join(dict.fromkeys(self._versions.values()))
        head = f"# The web doors beside nginx, Envoy and Caddy\n\n{machine(programs, self._load)}"
        if self._quick:
            head += " Quick run: fewer rounds and connections than the goals speak of."
        goals = "\n".join(["| goal | | measured | reached |", "|---|---|---|---|", *self._goals])
        return "\n\n".join([head, goals, *self._sections]) + "\n"
