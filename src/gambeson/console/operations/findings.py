"""Findings: one inbox for all kinds, and what may be done about them.

Rules: a finding closes by being measured again and by nothing else, so there is no act that closes one. A waiver has a
reason, an end within a year, and whoever waives answers for it. Only somebody who may read the organisation is given a
finding. What is done to many at once is done to those that it fits; how many it did not fit is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gambeson.console.core import glass
from gambeson.console.core.roles import verbs
from gambeson.console.office import Office, RefusedError, Told
from gambeson.guard.core.health import RULES
from gambeson.model.finding import Finding, FindingState
from gambeson.model.staff import Staff, Verb
from gambeson.store.audit import AuditEntry
from gambeson.store.audit_entries import AuditQuery
from gambeson.store.errors import Conflict, NotFound
from gambeson.store.findings import LIVE, FindingGroup, FindingQuery
from gambeson.store.tenant import OrganisationStore

PAGE = 50
MOST_AT_ONCE = 200
WAIVER_DAYS = 365
MAX_LIFE = 200  # acts of a finding's life that are shown
_DAY = 86400.0
_CLOSED = (FindingState.FIXED, FindingState.VERIFIED)
# What may be asked for, in one word. "live": whatever somebody may have to do something about.
STATES: Mapping[str, tuple[FindingState, ...]] = {
    "live": LIVE,
    "open": (FindingState.OPEN,),
    "acknowledged": (FindingState.ACKNOWLEDGED,),
    "waived": (FindingState.WAIVED,),
    "closed": _CLOSED,
    "all": tuple(FindingState),
}


@dataclass(frozen=True, slots=True)
class FindingPage:
    """Some findings, how many there are in all, and the names of those who work on them, by id."""

    findings: Sequence[Finding]
    total: int
    people: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Some groups, and how many there are in all."""

    groups: Sequence[FindingGroup]
    total: int
    people: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding with its life: its acts, newest first. ``measured``: something measures it by itself."""

    finding: Finding
    state: FindingState
    life: Sequence[AuditEntry]
    assignee: str
    measured: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many it was done to, and how many it did not fit."""

    done: int
    skipped: int = 0


def state_at(finding: Finding, now: float) -> FindingState:
    """Its state: a waiver that is over counts for nothing, even before it is measured again."""
    over = finding.state is FindingState.WAIVED and finding.waived_until <= now
    return FindingState.OPEN if over else finding.state


def page(
    office: Office, organisation: str, query: FindingQuery, *, offset: int = 0, limit: int = PAGE
) -> FindingPage:
    """Findings that fit, the worst first. Raises RefusedError, BadValue."""
    org = office.organisation(organisation)
    found = org.findings.search(query, limit=limit, offset=offset)
    return FindingPage(found, org.findings.count(query), _names(office, (f.assignee for f in found)))


def groups(
    office: Office, organisation: str, by: str, query: FindingQuery, *, offset: int = 0, limit: int = PAGE
) -> GroupPage:
    """The findings that fit, grouped, the worst group first. Raises RefusedError, BadValue."""
    found, total = office.organisation(organisation).findings.groups(by, query, limit=limit, offset=offset)
    return GroupPage(found, total, _names(office, (g.value for g in found)) if by == "assignee" else {})


def kinds(office: Office, organisation: str, now: float) -> tuple[Sequence[str], Sequence[str]]:
    """The kinds of asset and the rules that there are findings of, for a filter. Raises RefusedError."""
    org = office.organisation(organisation)
    whole = FindingQuery(states=tuple(FindingState), now=now)
    found = [sorted(g.value for g in org.findings.groups(by, whole, limit=200)[0]) for by in _FILTERS]
    return found[0], found[1]


_FILTERS = ("asset_kind", "rule")


def get(office: Office, organisation: str, id: str) -> FindingView:
    """One finding. Raises RefusedError, NotFound."""
    org = office.organisation(organisation)
    finding = org.findings.get(id)
    life = org.audit_entries.search(AuditQuery(action="finding.", subject=id), limit=MAX_LIFE)
    name = _names(office, [finding.assignee]).get(finding.assignee, "")
    return FindingView(finding, state_at(finding, office.at), life, name, finding.rule in RULES)


def readers(office: Office, organisation: str) -> tuple[Staff, ...]:
    """The staff who may read this organisation, by name: whom a finding may be given to. Raises RefusedError."""
    office.organisation(organisation)
    return tuple(
        person
        for person in office.world.staff().values()
        if person.enabled and Verb.READ in verbs(person.grants, organisation, office.at)
    )


def acknowledge(office: Office, organisation: str, ids: Sequence[str]) -> Outcome:
    """Somebody has seen them and works on them; they stay open. Raises RefusedError, NotFound, Conflict."""

    def act(org: OrganisationStore, finding: Finding) -> None:
        org.findings.acknowledge(finding.id, by=office.by, at=office.at)

    return _each(office, organisation, ids, (FindingState.OPEN,), act)


def assign(office: Office, organisation: str, ids: Sequence[str], staff: str) -> Outcome:
    """Gives them to a member of staff (the id; empty: nobody). Raises RefusedError, NotFound, Conflict."""
    org = office.organisation(organisation, Verb.FINDINGS)
    if staff and staff not in {person.id for person in readers(office, org.id)}:
        raise RefusedError(
            "not-a-reader", "Findings are given to staff who may read this organisation: choose one.", 422
        )

    def act(org: OrganisationStore, finding: Finding) -> None:
        org.findings.assign(finding.id, staff, by=office.by, at=office.at)

    return _each(office, organisation, ids, tuple(FindingState), act)


def waive(office: Office, organisation: str, ids: Sequence[str], until: float, reason: str) -> Outcome:
    """Accepts them until then, for a reason; who asks answers for it. That the glass is broken is not accepted: whoever
    broke it would, and its next use would raise no alarm. Raises RefusedError, NotFound, BadValue."""
    org = office.organisation(organisation, Verb.FINDINGS)
    if any(org.findings.get(id).rule == glass.RULE for id in ids[:MOST_AT_ONCE]):
        raise RefusedError(
            "not-waivable",
            "This is not waived: it closes when no such session is open and new codes are there.",
        )
    if not office.at < until <= office.at + WAIVER_DAYS * _DAY:
        raise RefusedError(
            "bad-end", f"A waiver ends in the future and within {WAIVER_DAYS} days: give such a date.", 422
        )
    if not reason.strip():
        raise RefusedError("no-reason", "A waiver needs a reason: say why this is acceptable.", 422)

    def act(org: OrganisationStore, finding: Finding) -> None:
        org.findings.waive(finding.id, until=until, reason=reason.strip(), by=office.by, at=office.at)

    return _each(office, organisation, ids, (*LIVE, FindingState.WAIVED), act)


def end_waiver(office: Office, organisation: str, ids: Sequence[str]) -> Outcome:
    """They are accepted no longer. Raises RefusedError, NotFound, Conflict."""

    def act(org: OrganisationStore, finding: Finding) -> None:
        org.findings.end_waiver(finding.id, by=office.by, at=office.at)

    return _each(office, organisation, ids, (FindingState.WAIVED,), act)


def measure(office: Office, organisation: str, id: str) -> Told:
    """Has the worker take the newest state; it measures within seconds of it. Raises RefusedError: nothing measures
    this by itself, or the worker is not there."""
    finding = office.organisation(organisation, Verb.FINDINGS).findings.get(id)
    if finding.rule not in RULES:
        raise RefusedError(
            "no-measurer",
            f"Nothing measures {finding.rule} by itself: run what found it again, and it closes where it is gone.",
        )
    told = office.publish()
    if told.missing == ("worker",):
        raise RefusedError(
            "no-worker", "The worker does not answer, so nothing is measured: see gambeson doctor.", 503
        )
    return told


def _each(
    office: Office,
    organisation: str,
    ids: Sequence[str],
    fits: tuple[FindingState, ...],
    act: Callable[[OrganisationStore, Finding], None],
) -> Outcome:
    """Does it to each that is in one of these states. Raises NotFound before anything is done where one is not there;
    Conflict where it fits none."""
    org = office.organisation(organisation, Verb.FINDINGS)
    if not 0 < len(ids) <= MOST_AT_ONCE:
        raise RefusedError("none-chosen", f"Choose between one and {MOST_AT_ONCE} findings.", 422)
    found = [org.findings.get(id) for id in dict.fromkeys(ids)]
    done = 0
    for finding in found:
        if state_at(finding, office.at) not in fits and finding.state not in fits:
            continue
        try:
            act(org, finding)
        except (Conflict, NotFound):  # somebody else was faster
            if len(found) == 1:
                raise
            continue
        done += 1
    if not done:
        word = state_at(found[0], office.at)
        raise RefusedError("not-so", f"This does not fit a finding that is {word}: look at it again.")
    return Outcome(done, len(found) - done)


def _names(office: Office, ids: Iterable[str]) -> dict[str, str]:
    """Names of members of staff, by id; nobody who is not asked for."""
    everybody = office.world.staff()
    return {id: everybody[id].name for id in ids if id in everybody}
