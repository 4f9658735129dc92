"""Coverage-guided fuzzing of one protocol with atheris, outside CI.

    pip install -r tests/fuzz/requirements.txt
    python tests/fuzz/run.py imap-server -runs=1000000

Findings are written beside; a finding belongs into ``tests/fuzz/seeds/NAME`` together with the mend.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE.parent)]

with atheris.instrument_imports(include=["gambeson", "fuzz"]):
    from fuzz.targets import TARGETS


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"run.py: name one of {', '.join(TARGETS)}")
    name = sys.argv.pop(1)
    seeds = HERE / "seeds" / name
    seeds.mkdir(parents=True, exist_ok=True)
    corpus = Path("/tmp") / f"gambeson-fuzz-{name}"
    corpus.mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus), str(seeds)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
