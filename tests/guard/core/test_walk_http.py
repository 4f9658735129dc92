"""Whose answer it is, and what it means: a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.walk import Ask, Attempt, Kind, Login, Outcome, Path, Place, Record, Reply, Role
from gambeson.guard.core.walk_http import Heard, judge, merged, ours
from gambeson.guard.core.walk_shields import Measured, measured
from gambeson.model.access import DoorKind, Listener, Rung

DOOR = Place("https mail", Listener.HTTPS, Role.DOOR, "192.0.2.1", 443, implicit=True, server_name="mail")
SERVER = Place("exchange web", Listener.HTTPS, Role.UPSTREAM, "192.0.2.2", 443, implicit=True)
PORT = Place("192.0.2.2 port 444", Listener.HTTPS, Role.FOUND, "192.0.2.2", 444, implicit=True)
OURS = (("content-security-policy", "default-src 'none'; x"), ("x-content-type-options", "nosniff"))
IIS = (("server", "Microsoft-IIS/10.0"), ("x-feserver", "E1"))
REFUSED, ENTERED, LATER, NONE = Outcome.REFUSED, Outcome.ENTERED, Outcome.CANNOT_SAY, Outcome.NOT_OFFERED


def attempt(
    place: Place = DOOR, kind: Kind = Kind.WEB, control: bool = False, rule: str = "x", asks: int = 1
) -> Attempt:
    ask = Ask("GET", "/owa/", "mail", "mail", body=b"address=alice%40example.org&password=x")
    return Attempt(
        place,
        Path.TLS,
        kind,
        "Basic",
        "nothing",
        Login("alice@example.org"),
        Rung.NOTHING,
        Rung.DEVICE_SECRET,
        f"guard.walk.{rule}",
        "title",
        control,
        mailbox="alice@example.org",
        asks=(ask,) * asks,
        kind_of_door=DoorKind.OWA,
    )


def said(status: int, *headers: tuple[str, str], body: bytes = b"") -> Heard:
    return Heard(status, headers, body)


@pytest.mark.parametrize(
    ("kind", "control", "heard", "outcome"),
    [
        (Kind.WEB, False, said(401, *OURS), REFUSED),
        (Kind.WEB, False, said(200, *OURS), REFUSED),  # Autodiscover that the door answers itself
        (Kind.WEB, False, said(200, *IIS), ENTERED),
        (Kind.WEB, False, said(401, *IIS), ENTERED),  # it reached the server
        (Kind.WEB, False, said(200), ENTERED),  # nobody's marks: not ours
        (Kind.WEB, False, said(200, *OURS, *IIS), ENTERED),  # a server that borrows our headers
        (Kind.WEB, False, said(503, *OURS), LATER),
        (Kind.WEB, False, Heard(0), REFUSED),
        (Kind.WEB, True, said(200, *IIS), ENTERED),
        (Kind.WEB, True, said(401, *IIS), REFUSED),
        (Kind.WEB, True, said(503, *OURS), REFUSED),
        (Kind.SESSION, False, said(303, *OURS, ("location", "https://login/enter?x")), REFUSED),
        (Kind.PEOPLE, False, said(303, *OURS, ("location", "https://login/enter?x")), ENTERED),
        (Kind.PEOPLE, False, said(404, *OURS), REFUSED),
        (Kind.SHIELD, False, said(403, *OURS), REFUSED),
        (Kind.SHIELD, False, said(401, *OURS), ENTERED),
        (Kind.SHIELD, False, said(303, *OURS), ENTERED),
        (Kind.SHIELD, False, said(404, *IIS), ENTERED),
        (Kind.CLOSED, False, said(404, *IIS), ENTERED),
        (Kind.HOST, False, said(421, *OURS), REFUSED),
    ],
)
def test_at_a_door(kind: Kind, control: bool, heard: Heard, outcome: Outcome) -> None:
    assert judge(attempt(kind=kind, control=control), [heard]).outcome is outcome


def test_a_server_that_refuses_is_told_as_such() -> None:
    reply = judge(attempt(), [said(302, *IIS, ("location", "/owa/auth/logon.aspx?url=x"))])
    assert reply.rule == "guard.walk.reaches-server"
    assert judge(attempt(), [said(404, *IIS)]).rule == ""


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([said(401, *IIS), said(200, *IIS)], ENTERED),
        ([said(401, *IIS), said(401, *IIS)], REFUSED),
        ([said(200, *IIS, body=b"sign in"), said(200, *IIS, body=b"sign in")], REFUSED),
        ([said(200, *IIS, body=b"sign in"), said(200, *IIS, body=b"for alice")], ENTERED),
        ([said(401), said(302, ("location", "/owa/auth/logon.aspx"))], REFUSED),
        ([said(401), said(302, ("location", "/mail/"))], ENTERED),
        ([said(401), said(449)], ENTERED),
        ([said(401), said(404)], NONE),
        ([said(401), said(502)], LATER),
        ([Heard(0)], REFUSED),
    ],
)
def test_past_the_doors(answers: list[Heard], outcome: Outcome) -> None:
    assert judge(attempt(SERVER, asks=len(answers)), answers).outcome is outcome


def test_a_shields_shape_past_the_doors_has_reached_it_whatever_it_says() -> None:
    assert judge(attempt(SERVER, Kind.SHIELD), [said(404)]).outcome is ENTERED
    assert judge(attempt(SERVER, Kind.SHIELD), [Heard(0)]).outcome is REFUSED


def test_a_port_that_is_no_exchange_is_nobodys_business() -> None:
    assert judge(attempt(PORT, Kind.BACK_END), [said(200, ("server", "nginx"))]).outcome is NONE
    assert judge(attempt(PORT, Kind.BACK_END), [said(401, *IIS)]).outcome is ENTERED


def test_what_nothing_opens_is_one_side_door() -> None:
    bare = Record(attempt(rule="no-login"), Reply(ENTERED, "200"))
    beside = Record(replace(attempt(rule="token"), credential="a made-up token"), Reply(ENTERED, "200"))
    password = Record(
        replace(attempt(rule="password"), credential="a password", rung=Rung.KNOWLEDGE), Reply(ENTERED, "200")
    )
    first, second, third = merged([bare, beside, password])
    assert (first, third) == (bare, password)
    assert second.reply.rule == "guard.walk.no-login"
    assert merged([beside]) == [beside]


def test_a_portal_whose_throttle_is_closed_lets_nobody_in_and_compares_nothing() -> None:
    answers = [said(403, *OURS), said(429, *OURS)]
    names = attempt(kind=Kind.PORTAL, rule="portal-tells-names", asks=2)
    assert judge(names, answers).outcome is NONE
    assert judge(replace(names, rule="guard.walk.portal-password-alone"), answers).outcome is REFUSED


@pytest.mark.parametrize(
    ("door", "around", "effective"),
    [
        (REFUSED, REFUSED, True),
        (REFUSED, Outcome.UNREACHABLE, True),
        (REFUSED, ENTERED, False),
        (ENTERED, REFUSED, False),
        (REFUSED, NONE, None),
        (LATER, REFUSED, None),
        (REFUSED, LATER, None),
    ],
)
def test_a_shield_is_effective_where_both_ways_are_shut(
    door: Outcome, around: Outcome, effective: bool | None
) -> None:
    records = [
        Record(attempt(DOOR, Kind.SHIELD), Reply(door), 5.0),
        Record(attempt(SERVER, Kind.SHIELD), Reply(around), 7.0),
    ]
    [one] = measured(records)
    assert (one.effective, one.at) == (effective, 7.0)
    assert one.word


def test_the_worst_of_two_doors_counts_and_a_shield_that_was_not_tried_is_not_told() -> None:
    records = [Record(attempt(DOOR, Kind.SHIELD), Reply(each)) for each in (ENTERED, REFUSED)]
    assert measured(records)[0].door == "passed"
    assert Measured("x").effective is None
    assert Measured("x").word == "not measured"


@given(
    st.integers(0, 999),
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=5),
    st.binary(max_size=50),
    st.sampled_from(list(Kind)),
    st.sampled_from([DOOR, SERVER, PORT]),
    st.integers(1, 3),
)
def test_any_answer_has_a_meaning(status, headers, body, kind, place, asks) -> None:
    heard = Heard(status, tuple(headers), body)
    assert isinstance(ours(heard), bool)
    assert judge(attempt(place, kind, asks=asks), [heard] * asks).outcome in Outcome
