"""Checks docs/standards.toml against the code, both ways.

Every ``RFC n`` in src/ must be listed there, and every file listed as a place (``where``) must cite that RFC. An RFC
with the status "no" needs a reason and no place; one with "yes" or "partial" needs a place; "partial" also says
what is missing.

    python scripts/standards.py            prints what is wrong, one line each; exit 1 where there is any
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CITATION = re.compile(r"\bRFC[ -]?(\d{3,5})\b")
_FIELDS = {"title", "status", "where", "missing"}


def citations(root: Path) -> dict[str, set[str]]:
    """RFC number -> the files below ``root``/src that cite it (paths relative to ``root``)."""
    found: dict[str, set[str]] = {}
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in (".py", ".toml", ".html", ".sql") and path.is_file():
            for number in _CITATION.findall(path.read_text(encoding="utf-8")):
                found.setdefault(number, set()).add(path.relative_to(root).as_posix())
    return found


def problems(root: Path) -> Iterator[str]:
    """One sentence for each thing that does not fit."""
    listed: dict[str, dict[str, Any]] = tomllib.loads(
        (root / "docs/standards.toml").read_text(encoding="utf-8")
    )["rfc"]
    cited = citations(root)
    for number in sorted(cited.keys() - listed.keys(), key=int):
        places = ", ".join(sorted(cited[number]))
        yield f"RFC {number} is cited in {places} but not listed in docs/standards.toml; add [rfc.{number}]"
    for number, entry in listed.items():
        for problem in _entry(entry, cited.get(number, set())):
            yield f"docs/standards.toml: [rfc.{number}] {problem}"


def _entry(entry: dict[str, Any], cited: set[str]) -> Iterator[str]:
    for name in sorted(entry.keys() - _FIELDS):
        yield f"has the unknown field {name}"
    if not entry.get("title"):
        yield "has no title"
    status, where = entry.get("status"), entry.get("where", [])
    if status not in ("yes", "partial", "no"):
        yield f"has the status {status!r}; it must be yes, partial or no"
    if status in ("yes", "partial") and not where:
        yield f"is {status} but has no place (where)"
    if status in ("partial", "no") and not entry.get("missing"):
        yield f"is {status} but does not say what is missing"
    for place in where:
        if place not in cited:
            yield f"lists {place}, which does not cite it"


def main() -> int:
    """Prints the problems; 1 where there are any."""
    found = list(problems(Path(__file__).resolve().parent.parent))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
