from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gambeson.guard.core.ready import ready
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, PolicyException

T = 1_800_000_000.0
HOUR = 3600.0


def login(
    at, claimed="alice@example.org", door="imap", source="203.0.113.5", kind="door.login.allowed", **data
):
    data = {"claimed": claimed, "rung": "nothing", **data}
    return Event(f"e{at}{claimed}", at, kind, "o", door=door, source=source, data=data)


def by_device(at, credential="c-d1", rung="device-secret", door="imap"):
    data = {"claimed": "alice@example.org", "rung": rung, "credential": credential, "program": "K-9"}
    return Event(f"d{at}", at, "door.login.allowed", "o", "a1", "d1", door, "203.0.113.5", data)


@pytest.fixture
def index(world):
    return world.with_policy(modes=tuple(ModeEntry(d, Mode.OBSERVE, 1e10) for d in DoorKind)).index()


def test_a_password_would_be_stopped_a_device_not(index):
    got = ready(
        [login(T - 5, program="Thunderbird"), login(T - 4, program="Thunderbird"), by_device(T - 3)], index, T
    )
    (stop,) = got.stopped
    assert (stop.account, stop.door, stop.program, stop.logins) == (
        "alice@example.org",
        "imap",
        "Thunderbird",
        2,
    )
    assert (stop.decision, stop.reason, stop.first, stop.last) == ("challenge", "rung-too-low", T - 5, T - 4)
    assert "register" in stop.sentence
    assert (got.looked_at, got.unreadable, got.ready) == (3, 0, False)


def test_one_line_for_each_account_device_door_and_program(index):
    events = [
        login(T, program=p, door=d, claimed=f"{c}@example.org")
        for p in "ab"
        for d in ("imap", "pop3")
        for c in "xy"
    ]
    assert len(ready(events, index, T).stopped) == 8


def test_what_did_not_get_in_is_not_missed(index):
    events = [login(T, kind=k) for k in ("door.login.refused", "door.session.closed", "admin.device.revoked")]
    got = ready(events, index, T)
    assert (got.stopped, got.looked_at, got.ready) == ((), 0, False)


def test_ready_when_everybody_comes_with_a_device(index):
    assert ready([by_device(T - i) for i in range(5)], index, T).ready


def test_a_new_credential_of_the_same_device_is_as_good(index):
    assert ready([by_device(T, credential="replaced")], index, T).ready


@pytest.mark.parametrize("state", [DeviceState.BLOCKED, DeviceState.LOST, DeviceState.QUARANTINED])
def test_what_is_kept_out_in_every_mode_is_not_stopped_by_enforcement(world, state):
    modes = tuple(ModeEntry(d, Mode.OBSERVE, 1e10) for d in DoorKind)
    world.device("alice", state=state).with_policy(modes=modes)
    got = ready([by_device(T), login(T - 1)], world.index(), T)
    assert [(s.device, s.reason) for s in got.stopped] == [("", "rung-too-low")]


def test_an_exception_that_holds_next_week_stops_nobody(world):
    for until, stopped in ((1e10, 0), (T + 60, 1)):
        world.with_policy(exceptions=(PolicyException("x", DoorKind.IMAP, Rung.KNOWLEDGE, "o", "r", until),))
        assert len(ready([login(T - 30 * 86400)], world.index(), T).stopped) == stopped


def test_rules_are_asked_at_the_same_hour(world):
    world.rules('[[rule]]\nname = "night"\nopinion = "deny"\nhours = ["20:00", "06:00"]\n')
    day, night = by_device(T - 86400), by_device(T - 86400 - 10 * HOUR)
    (stop,) = ready([day, night], world.index(), T).stopped
    assert (stop.first, stop.reason, stop.likely_machine) == (night.at, "rule", False)


def test_other_organisations_are_left_out(index):
    assert ready([login(T)], index, T, organisation="x").looked_at == 0
    assert ready([login(T)], index, T, organisation="o").looked_at == 1


def regular(step=300.0, many=12, jitter=3.0, **values):
    return [login(T + i * step + (i % 3) * jitter, **values) for i in range(many)]


MACHINES = [
    # events                                               a likely machine?
    (regular(), True),
    (regular(door="submission", helo="scanner-3"), True),
    (regular(door="submission", program="scanner-3"), True),
    (regular(step=86400.0), True),
    (regular(many=7), False),
    (regular(program="Thunderbird"), False),
    (regular(jitter=120.0), False),
    (regular()[:6] + regular(source="198.51.100.9")[6:], False),
    ([login(T + s) for s in (0, 5, 900, 4000, 4100, 9000, 20000, 20010, 50000, 70000)], False),
    ([login(T)] * 20, False),
]


@pytest.mark.parametrize(("events", "machine"), MACHINES)
def test_machines_are_told_by_their_rhythm(index, events, machine):
    (stop,) = ready(events, index, T + 100 * 86400).stopped
    assert stop.likely_machine is machine
    if machine:
        assert "signs in every" in stop.why_machine


def test_machines_are_listed(index):
    got = ready([*regular(), login(T, claimed="bob@example.org")], index, T)
    assert [s.account for s in got.machines] == ["alice@example.org"]
    assert got.stopped[0].logins == 12


WORDS = st.text(max_size=8) | st.sampled_from(
    ["a1", "d1", "c-d1", "o", "imap", "device-secret", "alice@example.org"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.builds(
            Event,
            WORDS,
            st.floats(0, 2e9),
            st.just("door.login.allowed"),
            WORDS,
            WORDS,
            WORDS,
            WORDS,
            WORDS,
            st.dictionaries(
                st.sampled_from(["claimed", "rung", "credential", "program", "risk", "country"]),
                WORDS | st.integers(),
            ),
        ),
        max_size=5,
    )
)
def test_any_events_are_counted_and_never_raise(index, events):
    got = ready(events, index, T)
    assert got.looked_at == len(events)
    assert sum(s.logins for s in got.stopped) + got.unreadable <= len(events)


# --- web doors


def at_web(at, door, rung="nothing", account="", claimed="", source="203.0.113.5", **data):
    """As the web doors record an admission."""
    data = {"claimed": claimed, "rung": rung, "listener": "https", **data}
    return Event(f"w{at}{door}{claimed}", at, "door.login.allowed", "o", account, "", door, source, data)


def test_a_browser_without_a_session_is_nobody_in_particular(index):
    got = ready(
        [at_web(T - 9, "owa", program="Mozilla/5.0"), at_web(T - 5, "owa", program="Mozilla/5.0")], index, T
    )
    (stop,) = got.stopped
    assert (stop.account, stop.door, stop.program, stop.logins) == ("(no session)", "owa", "Mozilla/5.0", 2)
    assert stop.sources == ("203.0.113.5",)
    assert not stop.likely_machine
    assert got.unreadable == 0


def test_a_person_with_code_or_passkey_is_not_stopped(index):
    events = [
        at_web(T - 9, "owa", "knowledge-and-code", "a1", "alice@example.org", session="s1"),
        at_web(T - 8, "webmail", "device-key", "a1", "alice@example.org", session="s2"),
    ]
    assert ready(events, index, T).ready


def test_a_password_at_activesync_names_account_and_program(index):
    got = ready(
        [at_web(T - 5, "eas", claimed="bob@example.org", program="Apple-iPhone15C2/2107.7")], index, T
    )
    (stop,) = got.stopped
    assert (stop.account, stop.door) == ("bob@example.org", "eas")
    assert stop.program == "iOS Mail, Exchange account"
    assert (stop.reason, stop.likely_machine) == ("rung-too-low", False)


def test_the_hours_rhythm_of_the_record_makes_no_machine(index):
    events = [
        at_web(T - HOUR * n, "eas", claimed="bob@example.org", program=p)
        for n in range(30)
        for p in ("", "iOS")
    ]
    assert not ready(events, index, T).machines


@pytest.mark.parametrize(
    "program", ["python-requests/2.31", "ExchangeServicesClient/15.00.0847.030", "Java/17"]
)
def test_a_script_at_ews_is_a_machine(index, program):
    (machine,) = ready([at_web(T - 5, "ews", claimed="bob@example.org", program=program)], index, T).machines
    assert program in machine.why_machine


def test_nobody_at_a_device_door_cannot_be_judged(index):
    assert ready([at_web(T - 5, "ews", program="x")], index, T).unreadable == 1
