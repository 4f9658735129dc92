from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.availability import Up
from gambeson.console.core.chores import (
    FINDINGS,
    KINDS,
    Chore,
    DoorFact,
    EndingFact,
    Facts,
    SideDoorFact,
    chores,
    exposure,
)
from gambeson.console.core.today import Alone, Exposure, State, did_alone, fitted, state_of, today
from gambeson.model.access import DoorKind, Mode
from gambeson.model.finding import Finding, FindingState, Severity

T = 1_800_000_000.0
DAY = 86400.0


def facts(**values):
    return Facts(**{"now": T, "accounts": 100, "audit_verified_at": T - DAY, "backup_at": T - 3600, **values})


def finding(rule="tls-old", severity=Severity.HIGH, id="f1", **values):
    return Finding(id, "o", "server", "mx", rule, f"{rule} on mx", severity, "why", **values)


FACTS = [
    ({}, []),
    ({"bypass_until": T + 60}, ["bypass-open"]),
    ({"bypass_until": T}, []),
    ({"codes_left": 0}, ["break-glass-missing"]),
    ({"codes_left": 8}, []),
    ({"codes_left": 0, "codes_used_at": T - 1}, ["break-glass-used"]),
    ({"audit_broken": True}, ["audit-broken"]),
    ({"audit_verified_at": None}, ["audit-unverified"]),
    ({"audit_verified_at": T - 9 * DAY}, ["audit-unverified"]),
    ({"backup_at": None}, ["backup-unknown"]),
    ({"backup_at": T - 3 * DAY}, ["backup-old"]),
    ({"lagging": 2}, ["snapshot-lagging"]),
    ({"down": ("imap",), "blind": ("owa",)}, ["door-blind", "door-down"]),
    ({"doors": (DoorFact(DoorKind.IMAP, Mode.OBSERVE, T + DAY),)}, ["door-not-enforcing"]),
    ({"doors": (DoorFact(DoorKind.IMAP, Mode.ENFORCE),)}, []),
    ({"side_doors": (SideDoorFact(DoorKind.IMAP, 3), SideDoorFact(DoorKind.EAS, 0))}, ["side-door"]),
    ({"shields_off": ("proxylogon",)}, ["shield-off"]),
    ({"exceptions": (EndingFact("scanner", T + 3 * DAY),)}, ["exception-ending"]),
    ({"exceptions": (EndingFact("scanner", T + 30 * DAY), EndingFact("old", T - 1))}, []),
    ({"quarantined": 1, "eas_waiting": 1}, ["eas-waiting", "quarantined"]),
    ({"stopped": 4}, ["would-be-stopped"]),
    ({"without_second_factor": 4, "without_device": 2}, ["no-device", "no-second-factor"]),
    ({"unused_devices": 7}, ["unused-device"]),
    ({"findings": None}, ["findings-unknown"]),
    ({"findings": (finding(),)}, ["finding"]),
]


@pytest.mark.parametrize(("given_", "kinds"), FACTS)
def test_every_fact_is_a_chore_and_nothing_else_is(given_, kinds):
    assert sorted(c.kind for c in chores(facts(**given_))) == kinds


def test_every_kind_of_the_table_can_come_about():
    assert {kind for _, kinds in FACTS for kind in kinds} == {*KINDS, "finding"}


def test_findings_of_one_rule_are_one_chore_by_the_worst():
    some = (finding(id="a"), finding(id="b", severity=Severity.CRITICAL), finding("other rule", id="c"))
    one, other = sorted(chores(facts(findings=some)), key=lambda c: -c.risk)
    assert (one.key, one.values["count"], one.critical, one.link) == (
        "finding:tls-old",
        2,
        True,
        "findings?rule=tls-old",
    )
    assert one.minutes == FINDINGS[Severity.CRITICAL].minutes + 2 * FINDINGS[Severity.CRITICAL].each
    assert (other.link, other.title) == ("findings/c", "today.chore.finding")
    two = chores(facts(findings=(finding("a b&c", id="x"), finding("a b&c", id="y"))))
    assert two[0].link == "findings?rule=a%20b%26c"


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({"state": FindingState.ACKNOWLEDGED}, True),
        ({"state": FindingState.WAIVED, "waived_until": T + 1}, False),
        ({"state": FindingState.WAIVED, "waived_until": T - 1}, True),
        ({"state": FindingState.FIXED}, False),
        ({"state": FindingState.VERIFIED}, False),
        ({"severity": Severity.INFO}, False),
    ],
)
def test_only_what_is_open_counts(values, counts):
    assert bool(chores(facts(findings=(finding(**values),)))) is counts


def test_risk_grows_with_the_share_of_accounts_concerned():
    few, many = (chores(facts(side_doors=(SideDoorFact(DoorKind.IMAP, n),)))[0] for n in (1, 100))
    assert few.risk < many.risk == KINDS["side-door"].severity
    assert few.minutes < many.minutes
    assert (exposure(0, 100), exposure(100, 100), exposure(1, 0)) == (0.25, 1.0, 1.0)


def test_nothing_needs_you_when_it_is_true():
    got = today(facts(), 1, [Up.UP, Up.UP])
    assert got.nothing_needed
    assert got.state == State(Up.UP, Exposure.NONE)
    assert got.state.favicon == "ok"


@pytest.mark.parametrize("doors", [[], [Up.BLIND], [Up.UP, Up.BLIND]])
def test_where_a_door_is_blind_something_needs_you(doors):
    got = today(facts(), 1, doors)
    assert not got.nothing_needed
    assert got.state.availability is Up.BLIND
    assert got.state.favicon == "blind"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, Exposure.NONE),
        ({"unused_devices": 1}, Exposure.LOW),
        ({"shields_off": ("x",)}, Exposure.HIGH),
        ({"audit_broken": True}, Exposure.CRITICAL),
        ({"backup_at": None}, Exposure.BLIND),
        ({"backup_at": None, "unused_devices": 1}, Exposure.BLIND),
        ({"findings": None, "shields_off": ("x",)}, Exposure.HIGH),
        ({"findings": None, "bypass_until": T + 1}, Exposure.CRITICAL),
    ],
)
def test_blind_outranks_good_words_and_hides_no_bad_one(values, word):
    f = facts(**values)
    assert state_of([Up.UP], chores(f), blind=bool(f.unmeasured)).exposure is word


def chore(key, minutes, risk, critical=False):
    return Chore(key, "k", "t", minutes, risk, "", critical=critical)


def test_the_order_is_risk_removed_per_minute_and_a_critical_one_is_first():
    some = [chore("slow", 30, 60), chore("quick", 5, 30), chore("worst", 25, 95, True)]
    assert [c.key for c in fitted(some, 60)] == ["worst", "quick", "slow"]


def test_what_does_not_fit_gives_way_to_what_does():
    some = [chore("a", 40, 100), chore("b", 40, 90), chore("c", 20, 10)]
    assert [c.key for c in fitted(some, 60)] == ["a", "c"]


def test_the_first_is_there_even_if_it_is_longer_than_the_week():
    got = today(facts(side_doors=(SideDoorFact(DoorKind.IMAP, 100),), unused_devices=1), 0.1, [Up.UP])
    assert len(got.chores) == 1
    assert (got.budget, got.rest) == (6, 1)
    assert got.rest_minutes > 0


KINDS_OF = st.builds(chore, st.uuids().map(str), st.integers(1, 240), st.integers(1, 100), st.booleans())


@given(st.lists(KINDS_OF, max_size=20), st.integers(1, 600))
def test_at_most_five_within_the_time(some, budget):
    shown = fitted(some, budget)
    assert len(shown) <= 5
    assert bool(shown) is bool(some)
    assert len(shown) == 1 or sum(c.minutes for c in shown) <= budget
    if any(c.critical for c in some):
        assert shown[0].critical


@given(st.floats(), st.integers(0, 10))
def test_any_number_of_hours_is_taken(hours, quarantined):
    got = today(facts(quarantined=quarantined), hours, [Up.UP])
    assert got.rest + len(got.chores) == bool(quarantined)


def test_what_was_done_alone():
    counts = {
        "door.login.refused": 10,
        "door.web.refused": 3,
        "door.request.shielded": 4,
        "door.spray": 1,
        "door.login.allowed": 99,
    }
    got = did_alone(counts, throttled=6, sessions_ended=2, findings_closed=5)
    assert got == Alone(7, 6, 4, 1, 2, 5)
    assert got.total == 25
    assert did_alone({}).total == 0
