"""The builds of Exchange and their flaws: the same-CU rule, intervals, and our tables against another's count."""

from __future__ import annotations

import csv
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from gambeson.assess.core.exchange import Fix, Status, Tables, affected, behind, named, status
from gambeson.assess.core.versions import Interval
from gambeson.assess.edge.reference import reference

COUNTS = Path(__file__).parents[4] / "shared/data/patch/exchange_build_cve_counts.csv"


@pytest.fixture(scope="module")
def tables() -> Tables:
    found = reference().exchange
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("build", "cve", "expected"),
    [
        ("15.1.2176.2", "CVE-2021-26855", Status.AFFECTED),  # CU19 as it came
        ("15.1.2176.9", "CVE-2021-26855", Status.FIXED),  # with the update of March 2021
        ("15.1.2176.9", "CVE-2021-34473", Status.AFFECTED),  # which mended nothing else
        ("15.0.847.64", "CVE-2021-26855", Status.AFFECTED),  # a CU that fixes.toml does not name
        ("15.0.913.22", "CVE-2021-26855", Status.AFFECTED),  # a higher number, and not mended
        ("15.1.1415.8", "CVE-2021-26855", Status.FIXED),  # an old CU with its own mend
        ("15.1.1415.8", "CVE-2021-31207", Status.AFFECTED),
        ("15.1.2507.69", "CVE-2021-26855", Status.FIXED),  # newer than every mend
        ("15.2.2562.46", "CVE-2026-42897", Status.FIXED),
        ("15.2.2562.41", "CVE-2026-42897", Status.AFFECTED),
        ("15.2.1748.43", "CVE-2026-42897", Status.AFFECTED),  # in its own CU
        ("15.2.1748.46", "CVE-2026-42897", Status.FIXED),
        ("15.2.1258.32", "CVE-2026-42897", Status.AFFECTED),  # a CU that got no mend
        ("15.2.1544.4", "CVE-2024-21410", Status.SETTING),  # Extended Protection does not show
        ("14.3.123.4", "CVE-2021-42321", Status.INDETERMINATE),  # nobody says for a product given up
        ("15.2.2562.17", "CVE-2020-17144", Status.NOT_AFFECTED),  # only the product of 2010 had it
    ],
)
def test_a_build_and_a_flaw(tables: Tables, build: str, cve: str, expected: Status) -> None:
    assert affected(build, tables.fixes[cve]) is expected


def test_every_build_counts_as_the_other_table_does(tables: Tables) -> None:
    """HealthChecker's rule over 299 builds; the flaws that also need a setting are not in that count."""
    if not COUNTS.exists():
        pytest.skip("the other table is not here")
    text = (files("gambeson.assess") / "data/exchange/fixes.toml").read_text(encoding="utf-8")
    plain = [tables.fixes[row["cve"]] for row in tomllib.loads(text)["fix"] if "setting" not in row]
    with COUNTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 250
    for row in rows:
        ours = sum(affected(row["build"], fix) is Status.AFFECTED for fix in plain)
        assert ours == int(row["build_rule_cves"]), row["name"]


FIX = Fix("CVE-0", ("15.1.2507.10", "15.1.2375.20"))


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval("15.1.2507", "15.1.2508"), Status.INDETERMINATE),  # the CU shows, the update does not
        (Interval("15.1.2106", "15.1.2107"), Status.AFFECTED),  # a CU that got no mend: any build of it
        (Interval("15.2.1748", "15.2.1749"), Status.NOT_AFFECTED),
        (Interval(), Status.INDETERMINATE),
        (Interval("15.1.2507.55", ""), Status.INDETERMINATE),  # mended in 2016, not affected in 2019
    ],
)
def test_an_interval_is_certain_only_where_all_its_builds_agree(
    tables: Tables, interval: Interval, expected: Status
) -> None:
    assert status(interval, FIX, tables.builds) is expected


def test_builds_have_their_names(tables: Tables) -> None:
    assert named(Interval("15.2.2562.46", "15.2.2562.46"), tables.builds) == "Exchange SE RTM Aug26SU"
    assert named(Interval("15.1.2507", "15.1.2508"), tables.builds) == (
        "Exchange 2016 CU23 with or without security updates"
    )
    assert named(Interval("15.1.2507.99", "15.1.2507.99"), tables.builds) == (
        "Exchange 2016, a build that is not in our table"
    )


def test_what_came_out_after_a_build(tables: Tables) -> None:
    missing = behind(Interval("15.2.1748.43", "15.2.1748.43"), tables.builds)
    assert [build.build for build in missing] == ["15.2.1748.46", "15.2.1748.48", "15.2.1748.49"]


def test_the_tables_fit_together(tables: Tables) -> None:
    builds = {build.build for build in tables.builds}
    for flaw in tables.exploited:
        assert set(flaw.fix.builds) <= builds, flaw.fix.cve
    assert len(tables.builds) > 400
