"""Writes the tables of Exchange's builds and fixes from tables of the same columns, for maintainers.

    python scripts/exchange_tables.py BUILDS.csv FIXES.csv

BUILDS.csv has the columns product, cu, su, kind, build, date, kb; FIXES.csv has cve, product, cu, fixed_build, rule.
What comes out are facts only: build numbers, dates, articles, and in which build a flaw is mended. The flaws that are
known to be exploited have dates and sources of their own in ``exploited.toml``, which is kept by hand.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

DATA = Path(__file__).parent.parent / "src/gambeson/assess/data/exchange"
_BUILDS = """\
# Every build of Exchange Server, oldest first: build, name, kind (RTM, CU, RU, SU or HU), date, article.
# Made by scripts/exchange_tables.py. Do not edit.
source = "Exchange Server build numbers and release dates, Microsoft; as of {date}"
builds = [
{rows}
]
"""
_FIXES = """\
# Flaws of Exchange Server: the builds that mend them, one for each cumulative update that got a mend.
# Made by scripts/exchange_tables.py. Do not edit. `setting`: the build alone does not mend it.
source = "Microsoft's security updates for Exchange Server, {first} to {last}"
"""


def main(builds: str, fixes: str) -> None:
    """Writes both tables."""
    rows = sorted(_read(builds), key=lambda row: _key(row["build"]))
    newest = max(row["date"] for row in rows)
    lines = [
        '  ["{}", "{}", "{}", "{}", "{}"],'.format(
            row["build"], _name(row), row["kind"].split("/")[0], row["date"], row["kb"]
        )
        for row in rows
    ]
    (DATA / "builds.toml").write_text(_BUILDS.format(date=newest, rows="\n".join(lines)), encoding="utf-8")

    found: dict[str, list[dict[str, str]]] = {}
    for row in _read(fixes):
        found.setdefault(row["cve"], []).append(row)
    names = sorted(found)
    text = [_FIXES.format(first=names[1][4:8], last=names[-1][4:8])]
    for cve in names:
        mends = sorted({row["fixed_build"] for row in found[cve]}, key=_key)
        text.append(
            f'\n[[fix]]\ncve = "{cve}"\nbuilds = [{", ".join(f"{chr(34)}{b}{chr(34)}" for b in mends)}]\n'
        )
        if any(row["rule"] != "build-only" for row in found[cve]):
            text.append('setting = "no setting override may switch the mend off"\n')
    (DATA / "fixes.toml").write_text("".join(text), encoding="utf-8")


def _read(path: str) -> Iterable[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(build: str) -> tuple[int, ...]:
    return tuple(int(part) for part in build.split("."))


def _name(row: dict[str, str]) -> str:
    return " ".join(part for part in (row["product"], row["cu"], row["su"]) if part)


if __name__ == "__main__":
    main(*sys.argv[1:])
