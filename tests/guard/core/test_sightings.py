"""What is remembered of sign-ins, how much of it, and that it travels to the next door."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.sightings import COUNTRIES, Seen, Sightings

NOW = 1_800_000_000.0
NOTHING = Seen(frozenset(), "", False, "", 0.0)


def test_nobody_was_seen():
    assert Sightings().of("a1", "c1") == NOTHING


def test_the_countries_of_an_account_and_the_last_use_of_a_credential():
    seen = Sightings()
    seen.saw("a1", "c1", "DE", NOW)
    seen.saw("a1", "c2", "FR", NOW + 60)
    assert seen.of("a1", "c1") == Seen(frozenset({"DE", "FR"}), "FR", True, "DE", NOW)
    assert seen.of("a2", "c1").countries == frozenset()
    seen.saw("a1", "c1", "DE", NOW + 90)
    assert seen.of("a1", "c1") == Seen(frozenset({"DE", "FR"}), "DE", True, "DE", NOW + 90)


def test_an_unknown_country_replaces_none_that_is_known():
    seen = Sightings()
    seen.saw("a1", "c1", "", NOW)
    assert seen.of("a1", "c1") == Seen(frozenset(), "", True, "", 0.0)
    seen.saw("a1", "c1", "DE", NOW)
    seen.saw("a1", "c1", "", NOW + 60)
    assert seen.of("a1", "c1") == Seen(frozenset({"DE"}), "DE", True, "DE", NOW)


def test_ids_that_are_empty_are_nobodys():
    seen = Sightings()
    seen.saw("", "", "DE", NOW)
    assert seen.of("", "") == NOTHING


def test_a_clock_that_is_set_back_makes_no_use_older():
    seen = Sightings()
    seen.saw("a1", "c1", "DE", NOW)
    seen.saw("a1", "c1", "DE", NOW - 9999)
    assert seen.of("a1", "c1").used_at == NOW


def test_an_account_has_only_so_many_countries_and_the_latest_stay():
    seen = Sightings()
    for i in range(COUNTRIES + 5):
        seen.saw("a1", "", f"A{chr(65 + i)}", NOW + i)
    countries = seen.of("a1", "").countries
    assert len(countries) == COUNTRIES
    assert "AA" not in countries
    assert f"A{chr(65 + COUNTRIES + 4)}" in countries


def test_who_is_gone_from_the_snapshot_is_forgotten(world):
    seen = Sightings()
    for account, credential in (("a1", "c-d1"), ("gone", "also-gone")):
        seen.saw(account, credential, "DE", NOW)
    seen.on_snapshot(world.index())
    assert seen.of("a1", "c-d1").used
    assert seen.of("gone", "also-gone") == NOTHING


def test_what_is_dumped_is_what_is_loaded():
    seen, again = Sightings(), Sightings()
    seen.saw("a1", "c1", "DE", NOW)
    seen.saw("a1", "c2", "", NOW)
    seen.saw("a1", "c1", "FR", NOW + 5)
    again.load(json.loads(json.dumps(seen.dump())), NOW + 10)
    for credential in ("c1", "c2", "c3"):
        assert again.of("a1", credential) == seen.of("a1", credential)


def test_only_the_newest_travel_where_it_would_be_much():
    seen = Sightings()
    for i in range(10):
        seen.saw(f"a{i}", f"c{i}", "DE", NOW + i)
    seen.saw("a0", "c0", "DE", NOW + 20)
    dumped = seen.dump(newest=3)
    assert list(dumped["credentials"]) == ["c8", "c9", "c0"]
    assert list(dumped["accounts"]) == ["a8", "a9", "a0"]


def test_nothing_loaded_is_later_than_now():
    seen = Sightings()
    seen.load({"accounts": {}, "credentials": {"c1": ["DE", NOW + 1e9]}}, NOW)
    assert seen.of("", "c1").used_at == NOW


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("DE"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JUNK | st.fixed_dictionaries({"accounts": JUNK, "credentials": JUNK}))
def test_junk_is_refused_whole_or_harmless(data):
    seen = Sightings()
    seen.saw("a1", "c1", "DE", NOW)
    try:
        seen.load(data, NOW)
    except ValueError:
        assert seen.of("a1", "c1") == Seen(frozenset({"DE"}), "DE", True, "DE", NOW)
    else:
        assert seen.of("a", "c").used_at <= NOW


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"accounts": {"a": {"Germany": 1.0}}, "credentials": {}},
        {"accounts": {"a": {"DE": "x"}}, "credentials": {}},
        {"accounts": {"a": {"DE": float("nan")}}, "credentials": {}},
        {"accounts": {}, "credentials": {"c": ["DE"]}},
        {"accounts": {}, "credentials": {"c": ["de", 1.0]}},
    ],
)
def test_what_has_not_the_shape(data):
    with pytest.raises(ValueError, match="saved"):
        Sightings().load(data)
