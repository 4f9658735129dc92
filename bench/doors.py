"""Our doors beside nginx's mail proxy and Dovecot's proxy: the same Dovecot behind, the same machine, the same run.

Run: ``./dev bench [--quick] [--write]`` (with root: nginx and Dovecot start workers of their own users). What is
measured how, and how to read it: bench/README.md. ``--write`` puts the table into bench/results/doors.md.
``--only`` takes some of ``logins fetch idle decide revocation``. 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from lib import measure  # noqa: E402 - the path is made above
from lib.contestants import Stage, missing  # noqa: E402
from lib.report import Report  # noqa: E402

MEASURES = ("logins", "fetch", "idle", "decide", "revocation")


def main() -> int:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description="The doors beside nginx and Dovecot.")
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 500 sessions")
    parser.add_argument("--write", action="store_true", help="into bench/results/doors.md")
    args = parser.parse_args()
    if why := missing():
        print(f"bench: {why}.", file=sys.stderr)
        return 3
    rounds, sessions = (2, 500) if args.quick else (5, 2000)
    report = Report(quick=args.quick)
    with tempfile.TemporaryDirectory(prefix="gambeson-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Stage(folder) as stage:
            if "idle" in args.only:
                # First, while nobody's memory has seen anything yet.
                report.idle(measure.idle(stage, sessions), sessions)
            if "logins" in args.only:
                report.logins(measure.logins(stage, rounds, 300 if args.quick else 600))
            if "fetch" in args.only:
                report.fetch(measure.fetch(stage, rounds, 2 if args.quick else 4))
            if "revocation" in args.only:
                report.revocation(measure.revocation(stage, sessions))
    if "decide" in args.only:
        report.decide(measure.decide(HERE / "decide.py"))
    print(report.text())
    if args.write:
        (HERE / "results" / "doors.md").write_text(report.text())
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
