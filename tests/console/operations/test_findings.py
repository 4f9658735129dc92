"""Findings: what may be asked for, and what may be done about them, by whom."""

from __future__ import annotations

from typing import Any

import pytest

from console.lab import Lab
from console.operations.doors import doors
from console.operations.offices import office
from gambeson.console.office import RefusedError
from gambeson.console.operations import findings
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.errors import BadValue, Conflict, NotFound
from gambeson.store.findings import FindingQuery
from gambeson.store.tenant import OrganisationStore

DAY = 86400.0
OWNER = Grant(EVERY, Role.OWNER)
ALL = tuple(FindingState)


def found(lab: Lab, org: OrganisationStore, asset: str = "a", **more: Any) -> Finding:
    given: dict[str, Any] = {
        "rule": "device.quarantined",
        "asset_kind": "device",
        "title": "A device in quarantine asks to be let in",
        "severity": Severity.MEDIUM,
        "reason": "it proved itself",
        **more,
    }
    return org.findings.open(Finding(id="", organisation="", asset_name=asset, **given), **lab.act)


def test_a_page_counts_and_pages_in_the_database(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    for number in range(60):
        found(lab, acme, f"phone {number:02}")
    worst = found(
        lab, acme, "mail", rule="server.unreachable", asset_kind="server", severity=Severity.CRITICAL
    )
    asked = office(lab, ann)
    first = findings.page(asked, acme.id, FindingQuery())
    assert (first.total, len(first.findings), first.findings[0].id) == (61, 50, worst.id)
    second = findings.page(asked, acme.id, FindingQuery(), offset=50)
    assert len(second.findings) == 11
    assert not {f.id for f in first.findings} & {f.id for f in second.findings}


QUERIES = [
    ({}, {"a", "b", "c"}),
    ({"at_least": Severity.HIGH}, {"b", "c"}),
    ({"severity": Severity.HIGH}, {"b"}),
    ({"asset_kind": "server"}, {"b"}),
    ({"rule": "policy.bypassed"}, {"c"}),
    ({"assignee": ""}, {"a", "c"}),
    ({"text": "REACHED"}, {"b"}),
    ({"text": "bypass"}, {"c"}),
    ({"text": "%"}, set()),
    ({"text": "_"}, set()),
    ({"states": (FindingState.ACKNOWLEDGED,)}, {"b"}),
    ({"states": (FindingState.VERIFIED,)}, {"d"}),
    ({"states": ALL}, {"a", "b", "c", "d"}),
]


@pytest.mark.parametrize(("asked", "expected"), QUERIES)
def test_what_may_be_asked_for(lab: Lab, asked: dict[str, Any], expected: set[str]) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    found(lab, acme, "a")
    b = found(
        lab,
        acme,
        "b",
        rule="server.unreachable",
        asset_kind="server",
        severity=Severity.HIGH,
        title="Not reached",
    )
    found(lab, acme, "c", rule="policy.bypassed", asset_kind="policy", severity=Severity.CRITICAL)
    d = found(lab, acme, "d")
    acme.findings.close(d.id, FindingState.VERIFIED, reason="measured", **lab.act)
    acme.findings.assign(b.id, ann.id, **lab.act)
    acme.findings.acknowledge(b.id, **lab.act)
    query = FindingQuery(**asked)
    assert {f.asset_name for f in acme.findings.search(query)} == expected
    assert acme.findings.count(query) == len(expected)
    groups, total = acme.findings.groups("asset_name", query)
    assert ({g.value for g in groups}, total) == (expected, len(expected))


def test_groups_come_the_worst_first_with_their_number(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    for number in range(3):
        found(lab, acme, f"phone {number}")
    found(lab, acme, "mail", rule="server.unreachable", severity=Severity.HIGH)
    page = findings.groups(office(lab, ann), acme.id, "rule", FindingQuery())
    assert [(g.value, g.count, g.worst) for g in page.groups] == [
        ("server.unreachable", 1, Severity.HIGH),
        ("device.quarantined", 3, Severity.MEDIUM),
    ]
    paged = findings.groups(office(lab, ann), acme.id, "rule", FindingQuery(), offset=1, limit=1)
    assert ([g.value for g in paged.groups], paged.total) == (["device.quarantined"], 2)
    with pytest.raises(BadValue):
        findings.groups(office(lab, ann), acme.id, "reason; drop table findings", FindingQuery())


def test_a_waiver_ends_by_its_time_even_when_nobody_measures(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one = found(lab, acme)
    findings.waive(office(lab, ann), acme.id, [one.id], lab.clock.now + DAY, "known, replaced on Friday")
    kept = acme.findings.get(one.id)
    assert (kept.state, kept.closing) == (FindingState.WAIVED, "known, replaced on Friday")
    assert acme.audit(limit=1)[0].by == "Ann (console)"

    def listed(*states: FindingState) -> int:
        return acme.findings.count(FindingQuery(states=states, now=lab.clock.now))

    assert (listed(FindingState.OPEN), listed(FindingState.WAIVED)) == (0, 1)
    lab.later(DAY)
    assert (listed(FindingState.OPEN), listed(FindingState.WAIVED)) == (1, 0)
    assert findings.get(office(lab, ann), acme.id, one.id).state is FindingState.OPEN
    findings.acknowledge(office(lab, ann), acme.id, [one.id])
    assert acme.findings.get(one.id).state is FindingState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("days", "reason", "sentence"),
    [
        (0.0, "why", "within 365 days"),
        (-1.0, "why", "within 365 days"),
        (365.01, "why", "within 365 days"),
        (float("nan"), "why", "within 365 days"),
        (1.0, "  ", "say why"),
    ],
)
def test_a_waiver_has_an_end_within_a_year_and_a_reason(
    lab: Lab, days: float, reason: str, sentence: str
) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one = found(lab, acme)
    with pytest.raises(RefusedError, match=sentence):
        findings.waive(office(lab, ann), acme.id, [one.id], lab.clock.now + days * DAY, reason)
    assert acme.findings.get(one.id).state is FindingState.OPEN


def test_a_waiver_is_ended_by_hand(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one = found(lab, acme)
    with pytest.raises(RefusedError, match="does not fit a finding that is open"):
        findings.end_waiver(office(lab, ann), acme.id, [one.id])
    with pytest.raises(Conflict):
        acme.findings.end_waiver(one.id, **lab.act)
    findings.waive(office(lab, ann), acme.id, [one.id], lab.clock.now + DAY, "known")
    findings.end_waiver(office(lab, ann), acme.id, [one.id])
    assert (acme.findings.get(one.id).state, acme.findings.get(one.id).closing) == (FindingState.OPEN, "")


def test_only_measuring_closes_and_what_is_closed_stays_closed(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one = found(lab, acme)
    acme.findings.close(one.id, FindingState.VERIFIED, reason="measured again", **lab.act)
    asked = office(lab, ann)
    for act in (
        lambda: findings.acknowledge(asked, acme.id, [one.id]),
        lambda: findings.waive(asked, acme.id, [one.id], lab.clock.now + DAY, "why"),
        lambda: findings.end_waiver(asked, acme.id, [one.id]),
    ):
        with pytest.raises(RefusedError, match="does not fit"):
            act()
    assert acme.findings.get(one.id).state is FindingState.VERIFIED
    assert not [
        name for name in dir(findings) if "close" in name.lower() and callable(getattr(findings, name))
    ]


def test_a_finding_is_given_only_to_who_may_read_it(lab: Lab) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    ann = lab.staff("Ann", OWNER)
    bea = lab.staff("Bea", Grant(acme.id, Role.AUDITOR))
    cid = lab.staff("Cid", Grant(other.id, Role.OWNER))
    gone = lab.staff("Dan", Grant(acme.id, Role.RESPONDER, until=lab.clock.now + 10))
    one = found(lab, acme)
    lab.later(11)
    asked = office(lab, ann)
    assert [person.name for person in findings.readers(asked, acme.id)] == ["Ann", "Bea"]
    findings.assign(asked, acme.id, [one.id], bea.id)
    assert findings.get(asked, acme.id, one.id).assignee == "Bea"
    for nobody in (cid.id, gone.id, "staff-none"):
        with pytest.raises(RefusedError) as error:
            findings.assign(asked, acme.id, [one.id], nobody)
        assert error.value.status == 422
    findings.assign(asked, acme.id, [one.id], "")
    assert acme.findings.get(one.id).assignee == ""


def test_many_at_once_do_what_fits_and_nothing_where_one_is_a_strangers(lab: Lab) -> None:
    acme, other = lab.organisation("Acme", "acme.example"), lab.organisation("Other", "other.example")
    ann = lab.staff("Ann", OWNER)
    ids = [found(lab, acme, f"phone {n}").id for n in range(3)]
    foreign = found(lab, other)
    asked = office(lab, ann)
    with pytest.raises(NotFound):
        findings.acknowledge(asked, acme.id, [*ids, foreign.id])
    assert all(acme.findings.get(id).state is FindingState.OPEN for id in ids)
    findings.acknowledge(asked, acme.id, ids[:1])
    outcome = findings.acknowledge(asked, acme.id, [*ids, ids[0]])
    assert (outcome.done, outcome.skipped) == (2, 1)
    assert other.findings.get(foreign.id).state is FindingState.OPEN
    for wrong in ([], ["x"] * 1 + [str(n) for n in range(300)]):
        with pytest.raises(RefusedError, match="between one and"):
            findings.acknowledge(asked, acme.id, wrong)


def test_its_life_is_the_audit_logs(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one = found(lab, acme)
    found(lab, acme, "another")
    asked = office(lab, ann)
    findings.acknowledge(asked, acme.id, [one.id])
    findings.assign(asked, acme.id, [one.id], ann.id)
    findings.waive(asked, acme.id, [one.id], lab.clock.now + DAY, "known")
    lab.later(2 * DAY)
    found(lab, acme)
    acme.findings.close(one.id, FindingState.VERIFIED, reason="measured again", by="worker", at=lab.clock.now)
    life = [(entry.action, entry.by) for entry in findings.get(office(lab, ann), acme.id, one.id).life]
    assert life == [
        ("finding.verified", "worker"),
        ("finding.opened-again", "root"),
        ("finding.waived", "Ann (console)"),
        ("finding.assigned", "Ann (console)"),
        ("finding.acknowledged", "Ann (console)"),
        ("finding.opened", "root"),
    ]


def test_measuring_again_is_the_workers(lab: Lab) -> None:
    acme, ann = lab.organisation("Acme", "acme.example"), lab.staff("Ann", OWNER)
    one, other = found(lab, acme), found(lab, acme, rule="something.found-once")
    with pytest.raises(RefusedError, match="worker does not answer"):
        findings.measure(office(lab, ann), acme.id, one.id)
    with doors(lab) as asked:
        findings.measure(office(lab, ann), acme.id, one.id)
        assert asked == ["PublishAsk"]
        with pytest.raises(RefusedError, match="Nothing measures"):
            findings.measure(office(lab, ann), acme.id, other.id)
    assert (findings.get(office(lab, ann), acme.id, one.id).measured, acme.findings.get(one.id).state) == (
        True,
        FindingState.OPEN,
    )
