"""Our web doors beside nginx, Envoy and Caddy: the same backend over verified TLS, the same machine, the same run.

Run: ``./dev run bench/web.py [--quick] [--write]`` (with root: nginx and our processes change users). What is measured
how, and how to read it: bench/README.md. ``--write`` puts the table into bench/results/web.md. ``--only`` takes some of
``requests download upload idle``. 1 where a goal is missed, 3 where nginx or wrk is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from lib import web_measure as measure  # noqa: E402 - the path is made above
from lib.web_report import WebReport  # noqa: E402
from lib.web_stage import WebStage, missing  # noqa: E402

MEASURES = ("requests", "download", "upload", "idle")
ASKS = ["browsing_on", "browsing", "syncing"]


def main() -> int:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description="The web doors beside nginx, Envoy and Caddy.")
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 500 connections")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="default 7; 2 with --quick")
    parser.add_argument("--write", action="store_true", help="into bench/results/web.md")
    args = parser.parse_args()
    if why := missing():
        print(f"bench: {why}.", file=sys.stderr)
        return 3
    rounds, count = args.rounds or (2 if args.quick else 7), 500 if args.quick else 2000
    with tempfile.TemporaryDirectory(prefix="gambeson-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with WebStage(folder) as stage:
            report = WebReport(stage.versions, stage.absent, args.quick)
            if "idle" in args.only:
                # First, while nobody's memory has seen anything yet.
                report.idle(measure.idle(stage, count), count)
            if "requests" in args.only:
                report.requests(measure.requests(stage, ASKS, rounds, 2 if args.quick else 3))
            for what in ("download", "upload"):
                if what in args.only:
                    report.bulk(what, measure.bulk(stage, what, rounds, 2))
    print(report.text())
    if args.write:
        (HERE / "results" / "web.md").write_text(report.text())
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
