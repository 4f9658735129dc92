"""Findings. One closes by being measured again, so nothing here closes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Given,
    Id,
    Moment,
    Nothing,
    Operation,
    Page,
    PageQuery,
    moment,
    said,
    seconds,
)
from gambeson.console.operations import findings
from gambeson.model.finding import Confidence, Finding, FindingState, Severity
from gambeson.model.staff import Verb
from gambeson.store.findings import FindingQuery

Word = Literal["info", "low", "medium", "high", "critical"]
Asked = Literal["live", "open", "acknowledged", "waived", "closed", "all"]
_Text = Annotated[str, Meta(max_length=200)]


class EvidenceDocument(Document, frozen=True):
    """What proves it, and where to look."""

    source: str
    locator: str
    sha256: str
    excerpt: str
    at: Moment | None


class FindingDocument(Document, frozen=True):
    """A claim about an asset. ``assignee`` is the id of a member of staff (empty: nobody)."""

    id: str
    rule: str
    asset_kind: str
    asset_name: str
    title: str
    severity: Word
    confidence: Confidence
    state: FindingState
    reason: str
    remedy: Sequence[str]
    references: Sequence[str]
    evidence: Sequence[EvidenceDocument]
    first_seen: Moment | None
    last_seen: Moment | None
    closing: str
    waived_until: Moment | None
    assignee: str


class FindingAsk(PageQuery, frozen=True):
    """``text`` is looked for in title, rule and asset's name."""

    state: Asked = "live"
    at_least: Word = "info"
    rule: _Text | UnsetType = UNSET
    asset_kind: _Text | UnsetType = UNSET
    asset_name: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    assignee: Id | UnsetType = UNSET
    text: _Text = ""


class FindingAssign(Given, frozen=True):
    """To whom: the id of a member of staff who may read here, or null for nobody."""

    staff: Id | None


class FindingWaive(Given, frozen=True):
    """Until when (within a year), and why."""

    until: Moment
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


def _document(call: Call, found: Finding) -> FindingDocument:
    return FindingDocument(
        id=found.id,
        rule=found.rule,
        asset_kind=found.asset_kind,
        asset_name=found.asset_name,
        title=found.title,
        severity=cast("Word", found.severity.word),
        confidence=found.confidence,
        state=findings.state_at(found, call.office.at),
        reason=found.reason,
        remedy=found.remedy,
        references=found.references,
        evidence=[
            EvidenceDocument(
                source=e.source, locator=e.locator, sha256=e.sha256, excerpt=e.excerpt, at=moment(e.at)
            )
            for e in found.evidence
        ],
        first_seen=moment(found.first_seen),
        last_seen=moment(found.last_seen),
        closing=found.closing,
        waived_until=moment(found.waived_until),
        assignee=found.assignee,
    )


def list_(call: Call) -> Page[FindingDocument]:
    """The worst first."""
    asked, offset = call.asked(FindingAsk), call.offset()
    query = FindingQuery(
        states=findings.STATES[asked.state],
        at_least=Severity[asked.at_least.upper()],
        asset_kind=said(asked.asset_kind),
        asset_name=said(asked.asset_name),
        rule=said(asked.rule),
        assignee=said(asked.assignee),
        text=asked.text,
        now=call.office.at,
    )
    found = call.org.findings.search(query, limit=call.limit + 1, offset=offset)
    return call.counted([_document(call, each) for each in found], offset)


def get(call: Call) -> FindingDocument:
    """One."""
    return _document(call, call.org.findings.get(call.path["finding"]))


def acknowledge(call: Call) -> FindingDocument:
    """Somebody has seen it."""
    findings.acknowledge(call.office, call.organisation, [call.path["finding"]])
    return get(call)


def assign(call: Call) -> FindingDocument:
    """Somebody works on it."""
    staff = call.given(FindingAssign).staff or ""
    findings.assign(call.office, call.organisation, [call.path["finding"]], staff)
    return get(call)


def waive(call: Call) -> FindingDocument:
    """It is accepted for a time."""
    body = call.given(FindingWaive)
    findings.waive(call.office, call.organisation, [call.path["finding"]], seconds(body.until), body.reason)
    return get(call)


_PATH = "/organisations/{organisation}/findings"
_ONE = _PATH + "/{finding}"
OPERATIONS = (
    Operation(
        "findings.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=FindingAsk,
        answer=Page[FindingDocument],
        summary="Findings, the worst first",
    ),
    Operation("findings.get", "GET", _ONE, Verb.READ, get, answer=FindingDocument, summary="One finding"),
    Operation(
        "findings.acknowledge",
        "POST",
        _ONE + "/acknowledge",
        Verb.FINDINGS,
        acknowledge,
        body=Nothing,
        answer=FindingDocument,
        summary="Somebody has seen it and works on it",
    ),
    Operation(
        "findings.assign",
        "POST",
        _ONE + "/assign",
        Verb.FINDINGS,
        assign,
        body=FindingAssign,
        answer=FindingDocument,
        summary="Give it to a member of staff",
    ),
    Operation(
        "findings.waive",
        "POST",
        _ONE + "/waive",
        Verb.FINDINGS,
        waive,
        body=FindingWaive,
        answer=FindingDocument,
        summary="Accept it until a date, for a reason",
    ),
)
