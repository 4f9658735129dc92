"""Doors as operations: what a state is made of, and that every act asks for its verb by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from console.lab import T0, Lab
from console.operations.offices import office
from gambeson.console.core.availability import Up
from gambeson.console.office import Listening, Office, RefusedError
from gambeson.console.operations import doors, modes, servers, why
from gambeson.console.probes import Heard, Prober
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.event import Event
from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role, Verb


def probing(lab: Lab, **answers: bool | None) -> Prober:
    """A prober that has looked once."""

    async def knock(listening: Listening) -> Heard:
        return Heard(answers.get(listening.name, True), "It says so.")

    made = Prober(lab.world.facts.listeners, lab.store.events.append, knock, lab.clock, "t")
    lab.world.probes = made
    asyncio.run(made.step(again=0.0))
    return made


def states(asker: Office, id: str) -> dict[DoorKind, Up]:
    return {view.door: view.state for view in doors.overview(asker, id).doors}


def test_a_door_is_as_its_listeners_are(lab: Lab) -> None:
    org = lab.organisation("Acme", "acme.example")
    ann = office(lab, lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    assert set(states(ann, org.id).values()) == {Up.BLIND}  # nobody probes
    probing(lab, pop3s=False, https=None)
    found = states(ann, org.id)
    assert found[DoorKind.IMAP] is Up.UP
    assert found[DoorKind.POP3] is Up.DOWN
    assert found[DoorKind.OWA] is found[DoorKind.EAS] is Up.BLIND
    view = doors.one(ann, org.id, "pop3")
    assert (view.since, view.sentence) == (T0, "It says so.")
    assert [event.kind for event in lab.store.events.recent("door.probe", 0.0) if event.door == "pop3"] == [
        "door.probe.down"
    ]
    # Two minutes of silence: what was up is not said to be up.
    lab.later(121)
    late = office(lab, ann.access.staff)
    assert set(states(late, org.id).values()) == {Up.BLIND}


def test_a_door_whose_mail_server_is_away_is_degraded(lab: Lab) -> None:
    org = lab.organisation("Acme", "acme.example")
    ann = office(lab, lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    probing(lab)
    finding = Finding(
        "",
        "",
        "server",
        "mail imap",
        "server.unreachable",
        "Away",
        Severity.HIGH,
        reason="mail imap: refused",
    )
    org.findings.open(finding, **lab.act)
    view = doors.one(ann, org.id, "imap")
    assert (view.state, view.trouble) == (Up.DEGRADED, ("mail imap: refused",))
    assert doors.one(ann, org.id, "pop3").state is Up.UP


def test_the_proof_of_the_day_where_nobody_came_in_the_last_hour(lab: Lab) -> None:
    org = lab.organisation("Acme", "acme.example")
    ann = office(lab, lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    lab.events(
        Event(f"e{n}", T0 - 7200 - n, "door.login.allowed", org.id, "x", "", "imap", "", {"rung": rung})
        for n, rung in enumerate(["device-secret", "device-secret", "device-key", "knowledge", "nonsense"])
    )
    proof = doors.one(ann, org.id, "imap").proof
    assert (proof.demanded, proof.lowest, proof.usual, proof.hours) == (
        Rung.DEVICE_SECRET,
        Rung.KNOWLEDGE,
        Rung.DEVICE_SECRET,
        24,
    )
    assert proof.short


ACTS: dict[str, Callable[[Office, str], object]] = {
    "settle": lambda o, id: modes.settle(o, id, "imap", "observe"),
    "carry_out": lambda o, id: modes.carry_out(o, id, modes.Change((DoorKind.IMAP,), Mode.ENFORCE), ""),
    "preview": lambda o, id: modes.preview(o, id, modes.Change((DoorKind.IMAP,), Mode.ENFORCE)),
    "remove": lambda o, id: modes.remove(o, id, "imap", "", ""),
    "open": lambda o, id: modes.open_bypass(o, id, 2, "x"),
    "close": lambda o, id: modes.close_bypass(o, id),
}
READS: dict[str, Callable[[Office, str], object]] = {
    "overview": doors.overview,
    "one": lambda o, id: doors.one(o, id, "imap"),
    "live": doors.live,
    "history": lambda o, id: doors.history(o, id, DoorKind.IMAP),
    "lines": modes.lines,
    "groups": modes.groups,
    "bypass": modes.bypass,
    "behind": servers.behind,
    "shields": servers.shields,
    "why": lambda o, id: why.search(o, id, "a@acme.example"),
}


@pytest.mark.parametrize("name", [*ACTS, *READS])
def test_a_stranger_is_told_that_there_is_nothing(lab: Lab, name: str) -> None:
    org, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    eve = office(lab, lab.staff("Eve", Grant(other.id, Role.OWNER)))
    with pytest.raises(RefusedError) as refused:
        (ACTS | READS)[name](eve, org.id)
    assert refused.value.status == 404


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("who", ["auditor", "token"])
def test_who_only_reads_changes_nothing(lab: Lab, name: str, who: str) -> None:
    org = lab.organisation("Acme", "acme.example")
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    bea = lab.staff("Bea", Grant(org.id, Role.AUDITOR))
    asker = office(lab, bea) if who == "auditor" else office(lab, ann, token="t", only=frozenset({Verb.READ}))
    with pytest.raises(RefusedError) as refused:
        ACTS[name](asker, org.id)
    assert refused.value.status == 403
    assert not org.modes.list()


def test_records_of_no_organisation_are_for_who_looks_after_all(lab: Lab) -> None:
    org = lab.organisation("Acme", "acme.example")
    given: dict[str, Any] = {"source": "203.0.113.9", "data": {"reason": "never default", "host": "x"}}
    lab.events(
        [Event("w1", T0 - 5, "door.web.refused", **given), Event("w2", T0 - 4, "door.probe.up", **given)]
    )
    owner = office(lab, lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    own = office(lab, lab.staff("Bea", Grant(org.id, Role.OWNER)))
    (found,) = why.search(owner, org.id, "203.0.113.9").found
    assert (found.event.id, found.todo, found.explains) == ("w1", "request", False)
    assert why.search(own, org.id, "203.0.113.9").found == ()


@pytest.mark.parametrize(
    ("kind", "reason", "failure", "wanted"),
    [
        ("door.login.refused", "rung-too-low", "", "enrol"),
        ("door.login.refused", "secret-wrong", "secret-wrong", "secret"),
        ("door.login.refused", "credential-unknown", "credential-unknown", "enrol"),
        ("door.login.refused", "device-quarantined", "", "approve"),
        ("door.login.refused", "throttled", "", "throttled"),
        ("door.login.refused", "what nobody knows", "", "other"),
        ("door.login.failed", "no mail server for this door", "", "server"),
        ("door.request.shielded", "proxyshell", "", "shield"),
        ("door.web.refused", "shield proxyshell", "", "shield"),
        ("door.web.refused", "never default", "", "request"),
    ],
)
def test_every_reason_has_something_to_do(
    lab: Lab, kind: str, reason: str, failure: str, wanted: str
) -> None:
    event = Event("e", T0, kind, data={"reason": reason, "failure": failure})
    assert why.todo(event, reason) == wanted
    texts = lab.app.services.catalogues
    for key in {*why.ADVICE.values(), wanted}:
        assert all(f"doors-do.{key}" in catalogue for catalogue in texts.values()), key
