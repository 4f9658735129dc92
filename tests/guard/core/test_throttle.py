"""The throttle, case by case; its invariants are walked in test_throttle_machine and test_throttle_spray."""

from __future__ import annotations

import json

import pytest

from gambeson.guard.core.throttle import Throttle, ThrottleLimits

T = 1_800_000_000.0
ALICE, ALIAS, NOBODY = "alice@example.org", "a.smith@example.org", "zoe@example.org"


def made(world, **limits):
    throttle = Throttle(ThrottleLimits(**limits), b"k" * 16)
    throttle.on_snapshot(world.index(), T)
    return throttle


def guess(throttle, source, claimed=ALICE, credential="", now=T):
    closed = throttle.check(source, claimed, credential, False, now)
    throttle.failed(source, claimed, credential, False, now)
    return closed


def until_closed(throttle, sources, claimed=ALICE, credential="", now=T):
    """How many guesses got through, and the word of what closed."""
    for count, source in enumerate(sources):
        closed = guess(throttle, source, claimed, credential, now)
        if closed:
            return count, closed
    return None


def one(source):
    return [source] * 1000


def many(i=0):
    return [f"203.{a}.{b}.9" for a in range(i, 200) for b in range(200)]


@pytest.mark.parametrize(
    ("sources", "claimed", "credential", "expected"),
    [
        (one("203.0.113.5"), ALICE, "", (10, "account-source")),
        ([f"203.0.113.{i}" for i in range(200)], ALICE, "", (10, "account-source")),
        ([f"2001:db8::{i:x}" for i in range(200)], ALICE, "", (10, "account-source")),
        (many(), ALICE, "", (100, "account")),
        (many(), NOBODY, "", (100, "account")),
        (one("203.0.113.5"), NOBODY, "", (10, "account-source")),
    ],
)
def test_limits(world, sources, claimed, credential, expected):
    assert until_closed(made(world), sources, claimed, credential) == expected


def test_one_source_many_names(world):
    throttle = made(world)
    closed = [guess(throttle, "203.0.113.5", f"n{i}@example.org") for i in range(61)]
    assert closed == [""] * 60 + ["source"]


def test_one_credential_id_many_sources(world):
    throttle = made(world)
    closed = [guess(throttle, s, f"n{i}@example.org", "publicid") for i, s in enumerate(many()[:31])]
    assert closed == [""] * 30 + ["credential"]


def test_aliases_and_the_address_are_one(world):
    throttle = made(world)
    got = [guess(throttle, s, (ALICE, ALIAS)[i % 2]) for i, s in enumerate(many()[:101])]
    assert got == [""] * 100 + ["account"]


def test_a_proven_device_always_gets_in_and_counts_nowhere(world):
    throttle = made(world)
    until_closed(throttle, many())
    until_closed(throttle, one("198.51.100.7"), NOBODY)
    before = throttle.dump()
    assert throttle.check("198.51.100.7", ALICE, "publicid", True, T) == ""
    throttle.failed("198.51.100.7", ALICE, "publicid", True, T)
    assert throttle.dump() == before


def test_a_known_source_is_untouched_by_anything_from_elsewhere(world):
    throttle = made(world)
    throttle.check("192.0.2.10", ALICE, "", True, T)
    throttle.succeeded("192.0.2.10", ALICE, "", True, T)
    until_closed(throttle, many())
    for i in range(100):  # and by its neighbours, whoever they try
        guess(throttle, "192.0.2.66", f"n{i}@example.org")
    assert throttle.check("198.51.100.1", ALICE, "", False, T) == "account"
    assert throttle.check("192.0.2.99", ALICE, "", False, T) == ""
    assert until_closed(throttle, one("192.0.2.99")) == (29, "known-source")
    assert throttle.failures(ALICE, T) == 100


def test_a_known_source_is_forgotten_after_its_days(world):
    throttle = made(world)
    throttle.succeeded("192.0.2.10", ALICE, "", True, T)
    assert throttle.is_known_source("192.0.2.200", ALIAS, T + 29 * 86400)
    assert not throttle.is_known_source("192.0.2.200", ALICE, T + 30 * 86400)
    assert not throttle.is_known_source("192.0.2.200", "bob@example.org", T)


def test_only_so_many_sources_are_remembered(world):
    throttle = made(world, known_sources=3)
    for i in range(5):
        throttle.succeeded(f"192.0.{i}.1", ALICE, "", True, T + i)
    assert [throttle.is_known_source(f"192.0.{i}.1", ALICE, T + 9) for i in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_an_unknown_name_never_becomes_known(world):
    throttle = made(world)
    throttle.succeeded("192.0.2.1", NOBODY, "", False, T)
    assert not throttle.is_known_source("192.0.2.1", NOBODY, T)


def test_success_gives_back_and_failure_does_not(world):
    throttle = made(world)
    for _ in range(50):
        assert throttle.check("192.0.2.1", ALICE, "", False, T) == ""
        throttle.succeeded("192.0.2.1", ALICE, "", False, T)
    assert throttle.failures(ALICE, T) == 0
    guess(throttle, "198.51.100.1")
    throttle.succeeded("198.51.100.1", ALICE, "", False, T)  # nothing is in flight: nothing comes back
    assert throttle.failures(ALICE, T) == 1


def test_attempts_in_flight_count(world):
    throttle = made(world)
    answers = [throttle.check(s, ALICE, "", False, T) for s in many()[:150]]
    assert answers == [""] * 100 + ["account"] * 50


def test_a_refused_attempt_does_not_prolong(world):
    throttle = made(world)
    until_closed(throttle, one("203.0.113.5"))
    for i in range(60):
        guess(throttle, "203.0.113.5", now=T + i * 60)
    assert guess(throttle, "203.0.113.5", now=T + 4200) == ""


def test_a_day_later_it_is_open(world):
    throttle = made(world)
    until_closed(throttle, many())
    assert guess(throttle, "198.51.100.1", now=T + 86400 - 1) == "account"
    assert guess(throttle, "198.51.100.1", now=T + 25 * 3600) == ""


def test_an_attacker_cannot_flush_an_accounts_count(world):
    throttle = made(world, buckets=50)
    until_closed(throttle, many())
    for i in range(5000):
        guess(throttle, f"198.51.{i % 250}.1", f"n{i}@example.org", f"id{i}")
    assert guess(throttle, "192.0.2.1") == "account"


def test_memory_is_bounded(world):
    throttle = made(world, buckets=100, unknown_slots=64)
    for i in range(20_000):
        guess(throttle, f"2001:db8:{i % 65536:x}::1", f"n{i}@example.org", "x" * 10_000 + str(i))
    sizes = {k: len(v) for k, v in throttle.dump().items() if isinstance(v, dict)}
    assert all(size <= 100 for size in sizes.values()), sizes
    assert len(json.dumps(throttle.dump())) < 200_000


def test_unknown_names_do_not_close_an_account(world):
    throttle = made(world, unknown_slots=1, source_per_hour=10**6)
    until_closed(throttle, many(), NOBODY)
    assert guess(throttle, "192.0.2.1", ALICE) == ""


def test_a_restart_goes_on_counting(world):
    throttle = made(world)
    until_closed(throttle, many())
    throttle.succeeded("192.0.2.10", ALICE, "", True, T)
    again = Throttle()
    again.load(json.loads(json.dumps(throttle.dump())))
    again.on_snapshot(world.index(), T)
    assert guess(again, "198.51.100.1") == "account"
    assert again.is_known_source("192.0.2.10", ALICE, T)
    assert again.dump() == throttle.dump()


def test_failures_of_the_snapshot_are_taken_over_once(world):
    world.failures = (("a1", 97), (NOBODY, 99), ("bob@example.org", 100))
    throttle = made(world)
    throttle.on_snapshot(world.index(), T + 1)
    assert until_closed(throttle, many()) == (3, "account")
    assert until_closed(throttle, many(), NOBODY) == (1, "account")
    assert until_closed(throttle, many(), "bob@example.org") == (0, "account")


def test_accounts_that_are_gone_are_forgotten(world):
    throttle = made(world)
    guess(throttle, "192.0.2.1")
    throttle.succeeded("192.0.2.1", ALICE, "", True, T)
    del world.accounts["alice"]
    throttle.on_snapshot(world.index(), T)
    assert throttle.dump()["accounts"] == {}
    assert throttle.dump()["sources"] == {}


GOOD = Throttle().dump()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {**GOOD, "key": 3},
        {**GOOD, "key": "zz"},
        {**GOOD, "accounts": {"a": 3}},
        {**GOOD, "unknown": {"99999999": [0, [0] * 25]}},
        {**GOOD, "unknown": {"-1": [0, [0] * 25]}},
        {**GOOD, "sources": {"a": {"p": "x"}}},
        {**GOOD, "sources": {"a": 3}},
        {**GOOD, "pair": {"a": []}},
    ],
)
def test_what_is_no_dump_is_a_value_error_and_changes_nothing(world, data):
    throttle = made(world)
    guess(throttle, "192.0.2.1")
    before = throttle.dump()
    with pytest.raises(ValueError, match=r"saved|hexadecimal"):
        throttle.load(data)
    assert throttle.dump() == before
