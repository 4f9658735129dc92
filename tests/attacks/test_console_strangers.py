"""Every page of the console, asked by those whom it is not for: another organisation's technician, an auditor, a
responder, a session by break-glass, nobody. The table is the application's own: a page that comes later is asked too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from console.lab import Browser, Lab
from gambeson.console.admin.app import page_modules
from gambeson.console.admin.routing import PageRoute, Who
from gambeson.console.works import Result
from gambeson.model.access import DoorKind
from gambeson.model.finding import Confidence, Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.tenant import OrganisationStore

ROUTES: list[PageRoute] = [route for module in page_modules() for route in module.ROUTES]
OF_ORGANISATION = [route for route in ROUTES if route.of_organisation]
OF_ALL = [route for route in ROUTES if not route.of_organisation and route.who is Who.STAFF]
FORM = {
    "address": "mallory@beta.example",
    "reason": "because",
    "name": "Mallory",
    "act": "approve",
    "hours": "5",
    "door": "imap",
    "mode": "observe",
    "days": "5",
    "method": "in-person",
    "kind": "account.disable",
    "role": "owner",
    "text": "address\nmallory@beta.example\n",
    "language": "en",
    "until": "2026-10-01",
    "factor": "",
    "among": "no-factor",
    "cloud": "outlook",
    "allowed": "yes",
    "domain": "evil.example",
    "every": "yes",
    "door-imap": "yes",
    "verb-devices": "yes",
}


@dataclass
class Things:
    """What an organisation has, by the names that paths and forms give it."""

    org: OrganisationStore
    ids: dict[str, str]


def name(route: PageRoute) -> str:
    return f"{route.method} {route.path}"


def furnished(lab: Lab, title: str, domain: str) -> Things:
    org = lab.organisation(title, domain)
    account = org.accounts.create(f"ann@{domain}", **lab.act)
    device = org.devices.create(account.id, "Phone", doors=[DoorKind.IMAP], **lab.act)
    finding = org.findings.open(
        Finding(
            "",
            "",
            "server",
            f"mail {title}",
            "x.y",
            f"Secret of {title}",
            Severity.HIGH,
            "r",
            Confidence.HIGH,
        ),
        **lab.act,
    )
    details = {"given": {}, "sentences": ["x"], "planner": "somebody"}
    action = org.actions.plan("account.disable", account.id, details, **lab.act)
    version = org.policies.add("# a policy\n", activate=False, **lab.act)
    work = lab.world.works.start(
        org.id,
        by="x",
        verb=Verb.PEOPLE,
        kind="people",
        total=1,
        function=lambda p: Result("", b"%PDF", "x/y", "x"),
    )
    lab.world.works.join()
    ids = {
        "account": account.id,
        "device": device.id,
        "finding": finding.id,
        "action": action.id,
        "version": str(version.version),
        "work": work.id,
        "door": "imap",
        "draft": "0" * 24,
    }
    return Things(org, ids)


def path_of(route: PageRoute, things: Things, org: str) -> str:
    def value(found: re.Match[str]) -> str:
        return org if found[1] == "org" else things.ids.get(found[1], "1")

    return re.sub(r"\{(\w+):\w+\}", value, route.path)


def form_of(things: Things) -> dict[str, str]:
    picks = {"pick.0": things.ids["finding"], "device-0": things.ids["device"]}
    return FORM | picks | {"item-0": f"device {things.ids['device']}", "target": things.ids["account"]}


def asked(browser: Browser, route: PageRoute, path: str, things: Things) -> tuple[int, str]:
    answer = browser.get(path) if route.method == "GET" else browser.post(path, **form_of(things))
    return answer.status, answer.text


def state(lab: Lab, *skip: str) -> list[tuple[str, str, str]]:
    """The acts of the audit log, but the console's own sessions."""
    entries = [
        e for e in lab.store.audit_entries.forward() if not e.action.startswith(("staff-session", *skip))
    ]
    return [(e.action, e.organisation, e.subject) for e in entries]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        made.staff("Root", Grant(EVERY, Role.OWNER))
        yield made


def test_no_page_of_another_organisation_is_there(lab: Lab) -> None:
    acme, beta = furnished(lab, "Acme", "acme.example"), furnished(lab, "Beta", "beta.example")
    eve = lab.browser(lab.staff("Eve", Grant(acme.org.id, Role.OWNER)))
    before = state(lab)
    for route in OF_ORGANISATION:
        status, text = asked(eve, route, path_of(route, beta, beta.org.id), beta)
        assert status == 404, name(route)
        assert "Beta" not in text, name(route)
        unknown, same = asked(eve, route, path_of(route, beta, "org-nowhere"), beta)
        assert (unknown, same.replace("org-nowhere", beta.org.id)) == (404, text), name(route)
    assert state(lab) == before


def test_nothing_of_another_organisation_is_reached_through_ones_own(lab: Lab) -> None:
    acme, beta = furnished(lab, "Acme", "acme.example"), furnished(lab, "Beta", "beta.example")
    eve = lab.browser(lab.staff("Eve", Grant(acme.org.id, Role.OWNER)))
    before = [each for each in state(lab) if each[1] == beta.org.id]
    for route in OF_ORGANISATION:
        _, text = asked(eve, route, path_of(route, beta, acme.org.id), beta)
        assert "Beta" not in text, name(route)
        assert "ann@beta" not in text, name(route)
    foreign = {beta.ids[key] for key in ("account", "device", "finding", "action")}
    now = state(lab)
    assert [each for each in now if each[1] == beta.org.id] == before
    assert [e for e in now if e[1] == acme.org.id and e[2] in foreign] == []


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.RESPONDER])
def test_who_only_looks_changes_nothing_and_who_contains_gives_nothing(lab: Lab, role: Role) -> None:
    acme = furnished(lab, "Acme", "acme.example")
    until = lab.clock.now + 86400.0 if role is Role.RESPONDER else 0.0
    who = lab.browser(lab.staff("Tom", Grant(EVERY, role, until)))
    before = state(lab)
    for route in (*OF_ORGANISATION, *OF_ALL):
        if route.path.startswith("/me"):
            continue
        asked(who, route, path_of(route, acme, acme.org.id), acme)
    done = {each[0] for each in state(lab)[len(before) :]}
    allowed = {"finding.acknowledged", "finding.assigned", "finding.waived", "finding.waiver-ended"}
    assert done <= (allowed if role is Role.RESPONDER else set()), done


def test_break_glass_neither_registers_nor_edits_nor_outlives_itself(lab: Lab) -> None:
    acme = furnished(lab, "Acme", "acme.example")
    glass = lab.browser(how="break-glass")
    before = state(lab)
    for route in (*OF_ORGANISATION, *OF_ALL):
        if "break-glass/end" not in route.path:
            asked(glass, route, path_of(route, acme, acme.org.id), acme)
    done = {each[0] for each in state(lab)[len(before) :]}
    never = ("device.", "policy.", "account.", "action.", "token.created", "staff.granted", "staff.created")
    assert not any(word.startswith(never) for word in done), done


def test_nobody_gets_a_page_and_nothing_of_the_installation_is_an_organisations(lab: Lab) -> None:
    acme = furnished(lab, "Acme", "acme.example")
    nobody = lab.browser()
    eve = lab.browser(lab.staff("Eve", Grant(acme.org.id, Role.TECHNICIAN)))
    before = state(lab)
    for route in (*OF_ORGANISATION, *OF_ALL):
        path = path_of(route, acme, acme.org.id)
        answer = nobody.get(path) if route.method == "GET" else nobody.post(path, **form_of(acme))
        assert (answer.status, answer.location.partition("?")[0]) == (303, "/sign-in"), name(route)
    for route in OF_ALL:
        if route.verb not in (None, Verb.READ):
            assert asked(eve, route, path_of(route, acme, acme.org.id), acme)[0] == 404, name(route)
    assert state(lab) == before


def test_what_is_asked_above_does_something_for_an_owner(lab: Lab) -> None:
    """Else the tests above would say nothing."""
    acme = furnished(lab, "Acme", "acme.example")
    ann = lab.browser(lab.staff("Ann", Grant(EVERY, Role.OWNER)))
    before = state(lab)
    for route in OF_ORGANISATION:
        asked(ann, route, path_of(route, acme, acme.org.id), acme)
    done = {each[0].partition(".")[0] for each in state(lab)[len(before) :]}
    assert {"account", "action", "bypass", "device", "finding", "mode", "organisation"} <= done
