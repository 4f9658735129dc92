from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.availability import EVERY, SILENCE, Up, availability, combined
from gambeson.model.event import Event

T = 1_800_000_000.0
HOUR = 3600.0


def probe(at, up=True, door="imap", listener="imaps", sentence=""):
    kind = "door.probe.up" if up else "door.probe.down"
    data = {"listener": listener, "milliseconds": 3, "sentence": sentence}
    return Event(f"{door}{listener}{at}", T + at, kind, door=door, data=data)


def every_ten_minutes(start, end, up=True, **more):
    return [probe(at, up, **more) for at in range(int(start), int(end), int(EVERY))]


def test_a_door_that_is_asked_every_ten_minutes_and_answers_is_up():
    got = availability(every_ten_minutes(0, 6 * HOUR), T, T + 6 * HOUR)
    assert (got.up, got.blind, got.outages, got.state) == (1.0, 0.0, (), Up.UP)
    assert [s.state for s in got.spans] == [Up.UP]


def test_an_outage_has_start_end_and_what_was_said():
    events = [
        *every_ten_minutes(0, HOUR),
        *every_ten_minutes(HOUR, 1.5 * HOUR, False, sentence="The port does not answer."),
        *every_ten_minutes(1.5 * HOUR, 4 * HOUR),
    ]
    got = availability(reversed(events), T, T + 4 * HOUR)
    (outage,) = got.outages
    assert (outage.door, outage.start, outage.end) == ("imap", T + HOUR, T + 1.5 * HOUR)
    assert (outage.state, outage.sentence, outage.running) == (Up.DOWN, "The port does not answer.", False)
    assert (got.up, got.down, got.state) == (pytest.approx(7 / 8), pytest.approx(1 / 8), Up.UP)


def test_an_hour_without_a_probe_is_blind_and_not_up():
    events = [*every_ten_minutes(0, HOUR + 1), *every_ten_minutes(2 * HOUR, 3 * HOUR)]
    got = availability(events, T, T + 3 * HOUR)
    assert [(s.state, s.start - T) for s in got.spans] == [(Up.UP, 0), (Up.BLIND, HOUR), (Up.UP, 2 * HOUR)]
    assert got.blind == pytest.approx(1 / 3)


def test_a_little_less_than_an_hour_is_not():
    assert availability([probe(0), probe(HOUR - 1)], T, T + HOUR).up == 1.0


def test_a_door_that_was_down_and_fell_silent_was_down_and_then_is_blind():
    got = availability([probe(0, False)], T, T + 2 * HOUR)
    assert [(s.state, s.end - s.start) for s in got.spans] == [
        (Up.DOWN, EVERY),
        (Up.BLIND, 2 * HOUR - EVERY),
    ]
    assert (got.state, len(got.outages)) == (Up.BLIND, 1)


def test_what_was_said_before_the_span_holds_on():
    got = availability([probe(-300, False, sentence="gone"), probe(300)], T, T + 600)
    (outage,) = got.outages
    assert (outage.start, outage.end, outage.sentence) == (T, T + 300, "gone")


def test_an_outage_that_goes_on_says_so():
    got = availability([probe(0), probe(300, False)], T, T + 600)
    assert (got.outages[0].running, got.state) == (True, Up.DOWN)


def test_nothing_at_all_is_blind():
    assert availability([], T, T + HOUR).state is Up.BLIND
    got = availability(every_ten_minutes(0, HOUR), T, T + HOUR, doors=("imap", "owa"))
    assert [(d.door, d.state) for d in got.doors] == [("imap", Up.UP), ("owa", Up.BLIND)]
    assert (got.state, got.up) == (Up.BLIND, 0.0)


def test_one_of_two_listeners_down_is_a_degraded_door():
    events = [probe(0), probe(0, False, listener="imap")]
    got = availability(events, T, T + 600)
    assert (got.doors[0].state, got.doors[0].degraded, got.outages[0].state) == (Up.DEGRADED, 1, Up.DEGRADED)


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ("up up", "up"),
        ("up blind", "blind"),
        ("up down", "degraded"),
        ("down down", "down"),
        ("down blind", "down"),
        ("up down blind", "degraded"),
        ("degraded", "degraded"),
        ("degraded blind", "degraded"),
        ("", "blind"),
    ],
)
def test_several_as_one(states, word):
    assert combined(map(Up, states.split())).value == word


def test_a_span_without_length_is_refused():
    with pytest.raises(ValueError, match="no length"):
        availability([], T, T)


probes = st.builds(
    probe,
    st.floats(-3 * HOUR, 9 * HOUR),
    st.booleans(),
    st.sampled_from(("imap", "owa")),
    st.sampled_from(("a", "b")),
)


@given(st.lists(probes, max_size=30))
def test_the_shares_are_the_whole_and_silence_is_never_up(events):
    got = availability(events, T, T + 6 * HOUR, doors=("imap",))
    for each in (got, *got.doors):
        assert each.up + each.degraded + each.down + each.blind == pytest.approx(1)
        assert each.spans[0].start == T
        assert each.spans[-1].end == T + 6 * HOUR
        assert all(a.end == b.start and a.state is not b.state for a, b in zip(each.spans, each.spans[1:]))
        for span in each.spans:
            if span.state is Up.UP and span.end - span.start >= SILENCE:
                assert any(span.start <= e.at < span.end for e in events)
