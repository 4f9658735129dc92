from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.console.core.what_if import _Bench, preview_mode, replay
from gambeson.guard.core.decide import decide
from gambeson.guard.core.ready import WEEK, request_of
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, PolicyException, PolicyRule

T = 1_800_000_000.0  # a Friday, 08:00
HOUR = 3600.0
IMAP = DoorKind.IMAP
OBSERVED = tuple(ModeEntry(d, Mode.OBSERVE, 1e10) for d in DoorKind)


def password(at, who="alice", kind="door.login.allowed", door="imap", **data):
    data = {"claimed": f"{who}@example.org", "rung": "nothing", "program": "Thunderbird", **data}
    return Event(f"p{at}{who}", at, kind, "o", door=door, source="203.0.113.5", data=data)


def by_device(at, kind="door.login.allowed", door="imap", **data):
    data = {
        "claimed": "alice@example.org",
        "rung": "device-secret",
        "credential": "c-d1",
        "program": "K-9",
        **data,
    }
    return Event(f"d{at}", at, kind, "o", "a1", "d1", door, "203.0.113.5", data)


def test_the_same_policy_changes_nothing(world):
    index = world.index()
    got = replay([by_device(T - 1), password(T - 2, kind="door.login.refused")], index, index, "o", T)
    assert (got.looked_at, got.same, got.would_refuse, got.would_allow) == (2, 2, (), ())


def test_who_would_be_refused_in_groups_with_examples(world):
    now = world.with_policy(modes=OBSERVED).index()
    proposed = world.with_policy(modes=()).index()
    events = [password(T - i) for i in range(1, 8)] + [password(T - 9, "bob"), by_device(T - 20)]
    got = replay(events, now, proposed, "o", T)
    assert (got.looked_at, got.same, got.refused, got.allowed) == (9, 1, 8, 0)
    alice, bob = got.would_refuse
    assert (alice.account, alice.account_id, alice.door, alice.program) == (
        "alice@example.org",
        "a1",
        "imap",
        "Thunderbird",
    )
    assert (alice.count, alice.reason, alice.rule) == (7, "rung-too-low", "floor:rung")
    assert (alice.first, alice.last, len(alice.examples)) == (T - 7, T - 1, 5)
    assert set(alice.examples) < {e.id for e in events}
    assert "register" in alice.sentence
    assert (bob.account, bob.count) == ("bob@example.org", 1)


def test_who_would_get_in(world):
    now = world.index()
    lax = PolicyException("scan", IMAP, Rung.KNOWLEDGE, "ann", "old", T + 30 * WEEK, accounts=("a1",))
    got = replay(
        [password(T - 1, kind="door.login.refused"), password(T - 1, "bob", "door.login.refused")],
        now,
        world.with_policy(exceptions=(lax,)).index(),
        "o",
        T,
    )
    (each,) = got.would_allow
    assert (each.account, each.rule, each.count, got.same) == ("alice@example.org", "exception:scan", 1, 1)


@pytest.mark.parametrize(
    "data", [{"failure": "secret-wrong"}, {"reason": "throttled"}, {"reason": "not-encrypted"}]
)
def test_what_policy_has_no_say_in_stays_refused(world, data):
    now = world.index()
    proposed = world.with_policy(modes=OBSERVED).index()
    events = [password(T - 1, kind="door.login.refused", **data)]
    assert replay(events, now, proposed, "o", T).would_allow == ()
    del events[0].data[next(iter(data))]
    assert len(replay(events, now, proposed, "o", T).would_allow) == 1


def test_attackers_that_were_kept_out_are_not_missed(world):
    now = world.with_policy(modes=OBSERVED).index()
    got = replay(
        [password(T - 1, kind="door.login.refused")], now, world.with_policy(modes=()).index(), "o", T
    )
    assert (got.same, got.would_refuse) == (1, ())


def test_while_doors_watch_enforcement_can_be_supposed(world):
    now = world.with_policy(modes=OBSERVED).index()
    proposed = world.rules(
        '[[rule]]\nname = "no-phones"\nopinion = "deny"\ndevice_states = ["registered"]\n'
    ).with_policy(modes=OBSERVED)
    events = [by_device(T - 1)]
    assert replay(events, now, proposed.index(), "o", T).would_refuse == ()
    (each,) = replay(events, now, proposed.index(), "o", T, enforce=True).would_refuse
    assert (each.rule, each.device) == ("rule:no-phones", "d1")


def test_other_events_and_other_organisations_are_passed_over(world):
    index = world.index()
    events = [
        replace(by_device(T - 1), kind="door.session.closed"),
        replace(by_device(T - 2), organisation="x"),
    ]
    assert replay(events, index, index, "o", T).looked_at == 0
    got = replay([replace(by_device(T), door="nowhere")], index, index, "o", T)
    assert (got.looked_at, got.unreadable, got.same) == (1, 1, 0)


def test_a_preview_names_people_of_the_group_only(world):
    index = world.with_policy(modes=OBSERVED).index()
    events = [password(T - 1), password(T - 2), password(T - 3, "bob"), password(T - 4, door="pop3")]
    got = preview_mode(events, index, IMAP, "sales", Mode.ENFORCE, T, "o")
    (each,) = got.cut_off
    assert (each.account, each.account_id, each.count, each.programs) == (
        "alice@example.org",
        "a1",
        2,
        ("Thunderbird",),
    )
    assert (got.looked_at, got.people) == (3, 2)
    assert [c.account for c in preview_mode(events, index, IMAP, "", Mode.ENFORCE, T).cut_off] == [
        "alice@example.org",
        "bob@example.org",
    ]


def test_a_preview_lists_nobody_who_is_kept_out_in_every_mode(world):
    world.device("alice", state=DeviceState.BLOCKED).with_policy(modes=OBSERVED)
    got = preview_mode([by_device(T - 1)], world.index(), IMAP, "", Mode.ENFORCE, T)
    assert (got.cut_off, got.people) == ((), 1)


def test_the_bypass_hides_nobody_in_a_preview(world):
    world.bypass = (("o", T + 9 * WEEK),)
    world.with_policy(modes=OBSERVED)
    assert preview_mode([password(T - 1)], world.index(), IMAP, "", Mode.ENFORCE, T).cut_off
    assert not preview_mode([password(T - 1)], world.index(), IMAP, "", Mode.WARN, T).cut_off


quarters = st.integers(0, 27).map(lambda i: i * 6 * HOUR)
times = quarters.map(lambda q: T - q - 1) | quarters.map(lambda q: T - WEEK - q) | st.floats(T - 2 * WEEK, T)
ends = quarters.map(lambda q: T + q) | st.floats(T, T + WEEK)
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
timed = st.builds(
    PolicyRule,
    st.just("timed"),
    st.sampled_from((Opinion.DENY, Opinion.QUARANTINE)),
    hours=st.none() | st.tuples(clocks, clocks),
    weekdays=st.lists(st.integers(0, 6), max_size=3).map(tuple),
)
exceptions = st.builds(
    PolicyException,
    st.just("scan"),
    st.just(IMAP),
    st.just(Rung.KNOWLEDGE),
    st.just("ann"),
    st.just("why"),
    ends,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(times, st.booleans()), min_size=4, max_size=16),
    st.lists(timed, max_size=2).map(tuple),
    st.lists(exceptions, max_size=1).map(tuple),
    st.lists(st.builds(ModeEntry, st.just(IMAP), st.just(Mode.OBSERVE), ends), max_size=1).map(tuple),
    st.just(0.0) | ends,
    st.just(0.0) | ends,
)
def test_what_is_kept_is_what_would_be_answered_anew(make_world, seen, rules, some, modes, expires, bypass):
    world = make_world()
    now = world.credential("alice", expires_at=expires).index()
    world.with_policy(rules=rules + world.policy.rules, exceptions=some, modes=modes)
    world.bypass = (("o", bypass),)
    proposed = world.index()
    bench = _Bench(now, proposed, T)
    for at, device in seen:
        event = by_device(at) if device else password(at)
        moved = at + WEEK * max(0, ceil((T - at) / WEEK))
        request = request_of(event, now)
        assert bench.answer(event) == (
            request,
            decide(request, now, moved, inf),
            decide(request, proposed, moved, inf),
        )
