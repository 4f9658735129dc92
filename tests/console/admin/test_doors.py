"""The pages Doors and Servers: what they show, who may change what, and that a stranger sees nothing."""

from __future__ import annotations

import pytest

from console.lab import T0, Lab
from gambeson.console.core.availability import Up
from gambeson.console.operations.doors import Proof
from gambeson.guard.core.walk_shields import CLOSED, HELD, Measured
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.event import Event
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.tenant import OrganisationStore


def login(
    n: int, org: OrganisationStore, kind: str, at: float = T0 - 60, account: str = "", **data: object
) -> Event:
    said = {
        "claimed": "anna@acme.example",
        "rung": "nothing",
        "reason": "rung-too-low",
        "rule": "floor:rung",
        **data,
    }
    return Event(
        f"doors.1.0/abc/{n:x}", at, f"door.login.{kind}", org.id, account, "", "imap", "198.51.100.7", said
    )


@pytest.fixture
def acme(lab: Lab) -> OrganisationStore:
    org = lab.organisation("Acme", "acme.example")
    anna = org.accounts.create("anna@acme.example", groups=["sales"], **lab.act)
    lab.events(
        [
            login(1, org, "refused"),
            login(2, org, "refused", at=T0 - 30),
            login(
                3,
                org,
                "allowed",
                at=T0 - 20,
                account=anna.id,
                rung="device-secret",
                reason="rule",
                id="doors.1.0-1",
            ),
        ]
    )
    return org


def test_every_door_is_there_with_its_proof_and_its_decisions(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    page = lab.browser(ann).get(f"/o/{acme.id}/doors")
    assert page.status == 200, page.text
    for door in ("IMAP", "POP3", "Submission", "ManageSieve", "Outlook on the web", "ActiveSync", "EWS"):
        assert door in page.text
    assert "Demands device secret" in page.text
    assert "Weakest that came in: device secret" in page.text
    assert "anna@acme.example" in page.text
    assert "not proven" in page.text
    assert "198.51.100.7" in page.text
    assert "Nobody probes this listener." in page.text  # blind, and never called up
    assert "state-up" not in page.text
    assert "The worker does not answer" in page.text
    assert "gambeson guard walk" in page.text


def test_the_live_part_comes_alone_and_by_hand_leads_to_the_page(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(acme.id, Role.AUDITOR))
    browser = lab.browser(ann)
    part = browser.get(f"/o/{acme.id}/doors/decisions", ("hx-request", "true"))
    assert part.status == 200
    assert "<html" not in part.text
    assert "anna@acme.example" in part.text
    assert browser.get(f"/o/{acme.id}/doors/decisions").location == f"/o/{acme.id}/doors"
    assert browser.get(f"/o/{acme.id}/doors/decisions?door=imap").location == f"/o/{acme.id}/doors/at/imap"
    assert browser.get(f"/o/{acme.id}/doors/decisions?door=nowhere").status == 404


def test_one_door_has_its_day(lab: Lab, acme: OrganisationStore) -> None:
    lab.events(
        [
            Event(
                "p1",
                T0 - 3600,
                "door.probe.up",
                door="imap",
                data={"listener": "imaps", "sentence": "It answers."},
            ),
            Event(
                "p2",
                T0 - 600,
                "door.probe.down",
                door="imap",
                data={"listener": "imaps", "sentence": "Nobody."},
            ),
        ]
    )
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    page = lab.browser(ann).get(f"/o/{acme.id}/doors/at/imap")
    assert page.status == 200, page.text
    assert page.text.count("<svg") >= 3
    assert "chart-down" in page.text
    assert "imaps" in page.text
    assert lab.browser(ann).get(f"/o/{acme.id}/doors/at/webmail").status == 404


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("anna@acme.example", 2),
        ("ANNA@ACME.EXAMPLE", 2),
        ("198.51.100.7", 2),
        ("::ffff:198.51.100.7", 2),
        ("doors.1.0/abc/1", 1),
        ("doors.1.0-1", 1),
        ("nobody@acme.example", 0),
        ("192.0.2.1", 0),
        ("what is this?", 0),
    ],
)
def test_why_was_i_refused(lab: Lab, acme: OrganisationStore, query: str, rows: int) -> None:
    from urllib.parse import quote

    ann = lab.staff("Ann", Grant(acme.id, Role.AUDITOR))
    page = lab.browser(ann).get(f"/o/{acme.id}/doors/why?q={quote(query, safe='')}")
    assert page.status == 200, page.text
    assert page.text.count('<code class="small">') == rows
    if rows == 2:
        assert "Register the device" in page.text
        assert "A password alone does not open this door" in page.text


def test_a_refusal_is_explained_with_the_policy_of_now(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    path = f"/o/{acme.id}/doors/why?q=anna%40acme.example&event="
    page = lab.browser(ann).get(path + "doors.1.0%2Fabc%2F1")
    assert "It would be refused" in page.text
    assert "floor:rung" in page.text
    assert lab.browser(ann).get(path + "doors.1.0%2Fabc%2Fff").status == 404


def test_a_mode_is_looked_at_then_done(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    browser = lab.browser(ann)
    query = "door=imap&mode=observe&group=sales&account=&days=7&reason=move"
    page = browser.get(f"/o/{acme.id}/doors/modes/preview?{query}")
    assert page.status == 200, page.text
    assert "anna@acme.example" in page.text  # she is refused now, and would be let through
    assert "weaker than what holds now" in page.text
    assert not acme.modes.list()
    form = {"door": "imap", "mode": "observe", "group": "sales", "days": "7"}
    assert browser.post(f"/o/{acme.id}/doors/modes/set", **form).status == 422
    done = browser.post(f"/o/{acme.id}/doors/modes/set", reason="we move", **form)
    assert done.location == f"/o/{acme.id}/doors/modes?said=waiting"
    (entry,) = acme.modes.list()
    assert (entry.door, entry.mode, entry.group, entry.until) == (
        DoorKind.IMAP,
        Mode.OBSERVE,
        "sales",
        T0 + 7 * 86400,
    )
    assert "IMAP: observe for sales" in browser.get(f"/o/{acme.id}/doors").text

    # Back to enforcement: she came in by nothing but her device's secret, so nobody is cut off.
    page = browser.get(f"/o/{acme.id}/doors/modes/preview?door=imap&mode=enforce&group=sales")
    assert "Nobody would be cut off" in page.text
    browser.post(f"/o/{acme.id}/doors/modes/remove", door="imap", group="sales")
    assert not acme.modes.list()


def test_whom_enforcement_would_cut_off_is_named(lab: Lab, acme: OrganisationStore) -> None:
    acme.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=T0 + 86400, **lab.act)
    lab.events([login(n, acme, "allowed", at=T0 - 100 * n, program="Old Mail") for n in range(10, 14)])
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    browser = lab.browser(ann, fresh=False)
    page = browser.get(f"/o/{acme.id}/doors/modes/preview?door=imap&mode=enforce")
    assert "1 would be cut off" in page.text, page.text[page.text.index("<main") :]
    assert "Old Mail" in page.text
    for query in ("account=anna%40acme.example", "group=sales"):
        page = browser.get(f"/o/{acme.id}/doors/modes/preview?door=imap&mode=enforce&{query}")
        assert "1 would be cut off" in page.text, query
    assert (
        browser.post(f"/o/{acme.id}/doors/modes/set", door="imap", mode="enforce").status == 303
    )  # not weaker
    assert not acme.modes.list()


@pytest.mark.parametrize(
    ("act", "form"),
    [
        ("set", {"door": "imap", "mode": "observe", "days": "7", "reason": "x"}),
        ("remove", {"door": "imap"}),
        ("open", {"hours": "2", "reason": "x"}),
    ],
)
def test_what_weakens_wants_a_passkey_that_was_shown_just_now(
    lab: Lab, acme: OrganisationStore, act: str, form: dict[str, str]
) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    answer = lab.browser(ann, fresh=False).post(f"/o/{acme.id}/doors/modes/{act}", **form)
    assert answer.location.startswith("/step-up")
    assert not acme.modes.list()
    assert acme.bypass.get() is None


@pytest.mark.parametrize(
    "form",
    [
        {"door": "imap", "mode": "observe", "days": "31"},
        {"door": "imap", "mode": "observe", "days": "0"},
        {"door": "imap", "mode": "nonsense"},
        {"door": "nonsense", "mode": "enforce"},
        {"door": "imap", "mode": "warn", "group": "nobody"},
        {"door": "imap", "mode": "warn", "account": "nobody@acme.example"},
        {"door": "imap", "mode": "warn", "account": "anna@acme.example", "group": "sales"},
    ],
)
def test_what_cannot_be_is_said(lab: Lab, acme: OrganisationStore, form: dict[str, str]) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    answer = lab.browser(ann).post(f"/o/{acme.id}/doors/modes/set", reason="x", **form)
    assert answer.status in (404, 409, 422)
    assert not acme.modes.list()


def test_the_bypass_is_opened_shown_and_closed(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    browser = lab.browser(ann)
    for hours, reason in (("25", "x"), ("0", "x"), ("2", " ")):
        assert browser.post(f"/o/{acme.id}/doors/modes/open", hours=hours, reason=reason).status == 422
    browser.post(f"/o/{acme.id}/doors/modes/open", hours="2", reason="The keeper is broken")
    open_ = acme.bypass.get()
    assert open_ is not None
    assert open_.until == T0 + 7200
    for path in ("doors", "doors/modes"):
        assert "The keeper is broken" in browser.get(f"/o/{acme.id}/{path}").text
    browser.post(f"/o/{acme.id}/doors/modes/close")
    assert acme.bypass.get() is None


def test_an_auditor_reads_and_changes_nothing(lab: Lab, acme: OrganisationStore) -> None:
    lab.staff("Ann", Grant(EVERY, Role.OWNER))
    bea = lab.staff("Bea", Grant(acme.id, Role.AUDITOR))
    browser = lab.browser(bea)
    for path in ("doors", "doors/at/imap", "doors/why", "doors/modes", "servers"):
        assert browser.get(f"/o/{acme.id}/{path}").status == 200
    assert '<form method="post" action="/o' not in browser.get(f"/o/{acme.id}/doors/modes").text
    assert browser.get(f"/o/{acme.id}/doors/modes/preview?door=imap&mode=enforce").status == 403
    for act in ("set", "remove", "open", "close"):
        answer = browser.post(
            f"/o/{acme.id}/doors/modes/{act}", door="imap", mode="observe", days="1", reason="x"
        )
        assert answer.status == 403
    assert not acme.modes.list()


def test_a_stranger_sees_nothing(lab: Lab, acme: OrganisationStore) -> None:
    other = lab.organisation("Other", "other.example")
    eve = lab.staff("Eve", Grant(other.id, Role.OWNER))
    browser = lab.browser(eve)
    for path in (
        "doors",
        "doors/decisions",
        "doors/at/imap",
        "doors/why?q=anna@acme.example",
        "doors/modes",
        "servers",
    ):
        answer = browser.get(f"/o/{acme.id}/{path}", ("hx-request", "true"))
        assert answer.status == 404
        assert "anna" not in answer.text
    for act in ("set", "remove", "open", "close"):
        assert browser.post(f"/o/{acme.id}/doors/modes/{act}", door="imap", mode="observe").status == 404
    # From their own place they find nothing of the other's, whatever they ask for.
    for query in ("anna%40acme.example", "198.51.100.7", "doors.1.0%2Fabc%2F1", "doors.1.0-1"):
        page = browser.get(f"/o/{other.id}/doors/why?q={query}")
        assert '<code class="small">' not in page.text
    assert browser.get(f"/o/{other.id}/doors/why?q=x&event=doors.1.0%2Fabc%2F1").status == 404


def test_servers_say_what_is_known_and_what_is_not(lab: Lab, acme: OrganisationStore) -> None:
    lab.events(
        [
            Event(
                "s1",
                T0 - 50,
                "door.server.unreachable",
                door="pop3",
                data={"server": "mail", "why": "refused <b>"},
            ),
            Event(
                "s2",
                T0 - 50,
                "door.server.unreachable",
                door="imap",
                data={"server": "somebody's", "why": "x"},
            ),
        ]
    )
    lab.world.shields = lambda: [Measured("proxylogon-ssrf", HELD, CLOSED, T0 - 9)]
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    page = lab.browser(ann).get(f"/o/{acme.id}/servers")
    assert page.status == 200, page.text
    assert "127.0.0.1:9" in page.text
    assert "refused &lt;b&gt;" in page.text
    assert "somebody&#39;s" not in page.text
    assert "nobody measured it" in page.text
    assert "Exchange" in page.text
    assert "gambeson look" in page.text


@pytest.mark.parametrize(
    ("lowest", "short"),
    [(None, False), (Rung.DEVICE_SECRET, False), (Rung.KNOWLEDGE, True), (Rung.DEVICE_KEY, False)],
)
def test_who_came_in_with_less_than_demanded_is_seen(lowest: Rung | None, short: bool) -> None:
    assert Proof(Rung.DEVICE_SECRET, lowest, lowest).short is short
    assert Up.BLIND.value == "blind"


def test_the_pages_speak_german(lab: Lab, acme: OrganisationStore) -> None:
    ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
    for path in ("doors", "doors/at/imap", "doors/why?q=anna%40acme.example", "doors/modes", "servers"):
        page = lab.browser(ann, language="de").get(f"/o/{acme.id}/{path}")
        assert page.status == 200, page.text
        assert 'lang="de"' in page.text
