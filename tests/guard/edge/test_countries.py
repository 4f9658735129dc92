"""The country of an address, by a table written here."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.edge.countries import CountryTable, CountryTableError
from gambeson.guard.edge.networks import prefix
from gambeson.guard.edge.plan import DoorPlan, PlanError
from peers.mmdb import write_mmdb

NETWORKS = {
    "81.2.69.0/24": "GB",
    "81.2.69.160/27": "IE",  # narrower than a /24: the whole address counts
    "89.160.20.0/24": "se",
    "2a02:cf40::/29": "NO",
    "8.8.8.0/24": {"registered_country": {"iso_code": "US"}},
    "9.9.9.0/24": {"country": {"iso_code": "Schweiz"}},
    "9.9.8.0/24": {"country": "CH"},
    "10.0.0.0/8": "DE",
    "127.0.0.0/8": "DE",
    "fe80::/10": "DE",
}
ASKED = [
    ("81.2.69.161", "IE"),
    ("81.2.70.1", ""),
    ("89.160.20.112", "SE"),
    ("2a02:cf40:1:2:3::4", "NO"),
    ("2a02:cf40:1:2::/64", "NO"),
    ("2001:4860::1", ""),
    ("8.8.8.8", ""),  # registered there is not there
    ("9.9.9.9", ""),
    ("9.9.8.8", ""),
    ("10.1.2.3", ""),
    ("127.0.0.1", ""),
    ("::1", ""),
    ("fe80::1", ""),
    ("/run/imap.sock", ""),
    ("", ""),
    ("x" * 5000, ""),
]


def small(networks):
    """The writer takes no network inside another."""
    return {cidr: record for cidr, record in networks.items() if cidr != "81.2.69.0/24"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CountryTable:
    return CountryTable(str(write_mmdb(tmp_path_factory.mktemp("countries") / "c.mmdb", small(NETWORKS))))


@pytest.mark.parametrize(("source", "country"), ASKED)
def test_countries(table: CountryTable, source: str, country: str) -> None:
    assert table.of(source) == country
    assert table.of(prefix(source)) == country
    assert table.of(source) == country  # from what was kept


def test_when_it_was_made(table: CountryTable) -> None:
    assert table.built == 1.8e9


def test_what_is_kept_is_bounded(table: CountryTable) -> None:
    for i in range(20_000):
        table.of(f"81.{i >> 16}.{i >> 8 & 255}.{i & 255}")
    kept = table.of.cache_info()
    assert kept.currsize == kept.maxsize == 16_384


def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone.mmdb"
    text = tmp_path / "text.mmdb"
    text.write_text("country,iso\n")
    empty = tmp_path / "empty.mmdb"
    empty.write_bytes(b"")
    asn = write_mmdb(tmp_path / "asn.mmdb", {"81.2.69.0/24": {"autonomous_system_organization": "X"}})
    none = write_mmdb(tmp_path / "none.mmdb", {})
    short = tmp_path / "short.mmdb"
    short.write_bytes(write_mmdb(tmp_path / "whole.mmdb", small(NETWORKS)).read_bytes()[200:])
    for path, says in (
        (gone, "can't be read (No such file"),
        (tmp_path, "can't be read"),
        (text, "no MaxMind DB file"),
        (empty, "no MaxMind DB file"),
        (asn, "holds no countries"),
        (none, "holds no countries"),
        (short, "is broken"),
    ):
        with pytest.raises(CountryTableError, match=re.escape(str(path))) as caught:
            CountryTable(str(path))
        assert says in str(caught.value)
        assert str(caught.value).endswith(".")


def test_a_table_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.mmdb"
    with path.open("wb") as file:
        file.truncate(300 << 20)  # a hole, no octets
    with pytest.raises(CountryTableError, match="larger than 256 MiB"):
        CountryTable(str(path))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_a_damaged_table_is_refused_or_answers(tmp_path: Path, seed: int, faults: int) -> None:
    damaged = bytearray(write_mmdb(tmp_path / "good.mmdb", small(NETWORKS)).read_bytes())
    dice = random.Random(seed)
    for _ in range(faults):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    path = tmp_path / "damaged.mmdb"
    path.write_bytes(damaged)
    try:
        table = CountryTable(str(path))
    except CountryTableError:
        return  # any other exception fails the test
    for source, _ in ASKED:
        country = table.of(source)
        assert country == "" or (len(country) == 2 and country.isupper())


def test_the_doors_plan_loads_it_or_says_why_not(tmp_path: Path) -> None:
    from gambeson.guard.edge.door_settings import ListenerSettings
    from gambeson.model.access import Listener

    listeners = (ListenerSettings("imap#edge", Listener.IMAP, edge_uid=1),)
    path = write_mmdb(tmp_path / "c.mmdb", {"81.2.69.0/24": "GB"})
    plan = DoorPlan(hostname="mail.example.org", listeners=listeners, country_table=str(path))
    loaded = DoorPlan.from_plain(plan.plain()).load()
    assert loaded.countries is not None
    assert loaded.countries.of("81.2.69.1") == "GB"
    path.write_bytes(b"no table")
    assert loaded.countries.of("81.2.69.2") == "GB"  # it is in memory
    with pytest.raises(PlanError, match="broken or no MaxMind DB file"):
        plan.load()
    assert DoorPlan(hostname="mail.example.org", listeners=listeners).load().countries is None
