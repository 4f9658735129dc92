"""Findings: one inbox for all kinds, a finding's page, and what may be done about it.

There is no button that closes one: it closes when it is measured again and is not so any more. Evidence is what
strangers sent; it is shown as text, and what cannot be seen in it is shown as its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.operations import findings as operations
from gambeson.console.operations.audit import plain_details
from gambeson.console.operations.findings import PAGE, STATES, WAIVER_DAYS, Outcome
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.finding import Finding, Severity
from gambeson.model.staff import Verb
from gambeson.store.audit import AuditEntry
from gambeson.store.findings import MAX_QUERY, FindingQuery

NAV = Nav("findings", order=40)
GROUPED = ("rule", "asset_name", "asset_kind", "severity", "assignee")
_KEYS = ("state", "at_least", "kind", "rule", "asset", "severity", "who", "search", "group", "offset")
_MAX_OFFSET = 1_000_000
_SEVERITIES = {severity.word: severity for severity in Severity}


def listing(desk: Desk, visit: Visit) -> Reply:
    """The inbox."""
    given = {key: visit.given(key, MAX_QUERY) for key in _KEYS if key != "offset"}
    query, offset = _query(desk, given), whole(visit, "offset", 0, _MAX_OFFSET)
    kinds, rules = operations.kinds(desk.office, desk.organisation.id, desk.at)
    values: dict[str, Any] = {
        "given": given,
        "query": urlencode({key: value for key, value in given.items() if value}),
        "kinds": kinds,
        "rules": rules,
        "states": tuple(STATES),
        "severities": tuple(reversed(_SEVERITIES)),
        "grouped": GROUPED,
        "offset": offset,
        "size": PAGE,
        "filtered": any(value for key, value in given.items() if key != "group"),
        **_choices(desk),
    }
    if given["group"] in GROUPED:
        found = operations.groups(desk.office, desk.organisation.id, given["group"], query, offset=offset)
        links = [_inside(given, group.value) for group in found.groups]
        return desk.page("findings_groups", found=found, links=links, **values)
    page = operations.page(desk.office, desk.organisation.id, query, offset=offset)
    return desk.page("findings", found=page, state_at=_state(desk), **values)


def one(desk: Desk, visit: Visit) -> Reply:
    """A finding with its evidence, what to do, and its life."""
    view = operations.get(desk.office, desk.organisation.id, visit.path["finding"])
    return desk.page(
        "findings_one",
        view=view,
        finding=view.finding,
        life=[_told(desk, entry) for entry in view.life],
        **_choices(desk),
    )


def acknowledge(desk: Desk, visit: Visit) -> Reply:
    """Seen, and worked on."""
    return _back(desk, visit, operations.acknowledge(desk.office, desk.organisation.id, _picked(visit)))


def assign(desk: Desk, visit: Visit) -> Reply:
    """Given to somebody."""
    staff = visit.given("staff", 64)
    return _back(desk, visit, operations.assign(desk.office, desk.organisation.id, _picked(visit), staff))


def waive(desk: Desk, visit: Visit) -> Reply:
    """Accepted until the end of a day."""
    until = _end_of(desk, visit.given("until", 10))
    reason = visit.given("reason", 1_000)
    return _back(
        desk, visit, operations.waive(desk.office, desk.organisation.id, _picked(visit), until, reason)
    )


def end_waiver(desk: Desk, visit: Visit) -> Reply:
    """Accepted no longer."""
    return _back(desk, visit, operations.end_waiver(desk.office, desk.organisation.id, _picked(visit)))


def measure(desk: Desk, visit: Visit) -> Reply:
    """The worker takes the newest state; what comes of it shows within seconds."""
    id = visit.path["finding"]
    operations.measure(desk.office, desk.organisation.id, id)
    return go(f"{desk.base}/findings/{id}?said=findings-measured")


def _query(desk: Desk, given: dict[str, str]) -> FindingQuery:
    """What is asked for. Raises ProblemError(400) for words that no form of ours has."""
    states = STATES.get(given["state"] or "live")
    at_least = _SEVERITIES.get(given["at_least"] or "info")
    exactly = _SEVERITIES.get(given["severity"]) if given["severity"] else None
    if states is None or at_least is None or (given["severity"] and exactly is None):
        raise ProblemError(400)
    who = {"": None, "me": desk.office.access.staff.id, "nobody": ""}.get(given["who"], given["who"])
    return FindingQuery(
        states=states,
        at_least=at_least,
        asset_kind=given["kind"] or None,
        asset_name=given["asset"] or None,
        rule=given["rule"] or None,
        severity=exactly,
        assignee=who,
        text=given["search"],
        now=desk.at,
    )


def _inside(given: dict[str, str], value: str) -> str:
    """The query of a group's findings."""
    by = given["group"]
    key = {"asset_name": "asset", "asset_kind": "kind", "severity": "severity", "assignee": "who"}.get(by, by)
    if by == "severity":
        value = Severity(int(value)).word
    elif by == "assignee":
        value = value or "nobody"
    return urlencode({k: v for k, v in (given | {key: value, "group": ""}).items() if v})


def _choices(desk: Desk) -> dict[str, Any]:
    """What the forms offer."""
    may = desk.office.may(Verb.FINDINGS, desk.organisation.id)
    today = datetime.fromtimestamp(desk.at, desk.zone).date()
    return {
        "may": may,
        "readers": operations.readers(desk.office, desk.organisation.id) if may else (),
        "first_day": today.isoformat(),
        "last_day": (today + timedelta(days=WAIVER_DAYS - 1)).isoformat(),
    }


def _state(desk: Desk) -> object:
    def state(finding: Finding) -> str:
        return str(operations.state_at(finding, desk.at))

    return state


def _told(desk: Desk, entry: AuditEntry) -> tuple[float, str, str, str]:
    """An act of a finding's life: when, by whom, what, and what was said with it."""
    details = plain_details(entry)
    note = str(details.get("reason") or "")
    until = details.get("until")
    if entry.action == "finding.waived" and isinstance(until, int | float):
        note = desk.t("finding.waived-until", day=_day(desk, float(until)), reason=note)
    if entry.action == "finding.assigned":
        person = desk.office.world.staff().get(str(details.get("staff") or ""))
        note = person.name if person is not None else desk.t("findings.nobody")
    return entry.at, entry.by, entry.action.partition(".")[2], note


def _day(desk: Desk, at: float) -> str:
    return datetime.fromtimestamp(at - 1, desk.zone).strftime("%Y-%m-%d")


def _end_of(desk: Desk, text: str) -> float:
    """The end of that day where the person is; 0 for no date, which no waiver takes."""
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
        return datetime.combine(day, time(), desk.zone).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _picked(visit: Visit) -> Sequence[str]:
    """The findings that a form names."""
    return [value[:64] for name, value in visit.form.items() if name.startswith("pick.")]


def _back(desk: Desk, visit: Visit, outcome: Outcome) -> Reply:
    """To where the form was: one finding, or the list as it was filtered."""
    said = "findings-some" if outcome.skipped else "findings-done"
    picked = _picked(visit)
    if visit.given("back", 8) == "one" and len(picked) == 1:
        return go(f"{desk.base}/findings/{picked[0]}?said={said}")
    try:
        asked = parse_qsl(visit.given("query", 4_000), max_num_fields=20)
    except ValueError:
        asked = []
    kept = {key: value for key, value in asked if key in _KEYS}
    return go(f"{desk.base}/findings?{urlencode(kept | {'said': said})}")


_MANY = "/o/{org:str}/findings/many"
ROUTES = (
    get("/o/{org:str}/findings", listing),
    get("/o/{org:str}/findings/{finding:str}", one),
    post(f"{_MANY}/acknowledge", acknowledge, Verb.FINDINGS),
    post(f"{_MANY}/assign", assign, Verb.FINDINGS),
    post(f"{_MANY}/waive", waive, Verb.FINDINGS),
    post(f"{_MANY}/end-waiver", end_waiver, Verb.FINDINGS),
    post("/o/{org:str}/findings/{finding:str}/measure", measure, Verb.FINDINGS),
)
