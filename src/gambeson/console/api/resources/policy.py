"""The access policy: read, looked over, explained; a new version, and an earlier one in force again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from gambeson.console.api.operation import (
    Address,
    Call,
    Document,
    Given,
    Id,
    Moment,
    Operation,
    Page,
    PageQuery,
    ToldDocument,
    moment,
    told,
)
from gambeson.console.operations import policy
from gambeson.model.access import DoorKind
from gambeson.model.staff import Verb

_Toml = Annotated[str, Meta(max_length=60_000)]  # a body has 64 KiB
_Number = Annotated[int, Meta(ge=0, le=2_000_000_000)]


class PolicyDocument(Document, frozen=True):
    """A version with its text. Version 0 is the policy that Gambeson brings."""

    version: int
    toml: str
    note: str
    by: str
    at: Moment | None


class VersionDocument(Document, frozen=True):
    """A version without its text. ``size`` is in characters."""

    version: int
    note: str
    by: str
    at: Moment | None
    size: int
    in_force: bool


class PolicyProblem(Document, frozen=True):
    """Something to look at. ``error`` means that the policy is not taken."""

    line: int
    column: int
    text: str
    error: bool


class PolicyChecked(Document, frozen=True):
    """All of them, in the order of the text."""

    good: bool
    problems: Sequence[PolicyProblem]


class PolicyText(Given, frozen=True):
    """A policy."""

    toml: _Toml


class PolicyNew(Given, frozen=True):
    """A policy that is in force from now on. ``expected`` is the version that was in force when it was written: where
    another one is by now, nothing is changed."""

    toml: _Toml
    note: Annotated[str, Meta(max_length=500)] = ""
    expected: _Number | None = None


class PolicyPut(Given, frozen=True):
    """Which version is in force from now on; 0: the policy that Gambeson brings."""

    version: _Number


class PolicyInForce(Document, frozen=True):
    """The version in force, and who acts on it."""

    version: int
    told: ToldDocument


class ExplainAsk(Given, frozen=True):
    """Who comes how. ``toml``: what another policy would say to it."""

    door: DoorKind
    account: Address
    rung: Annotated[str, Meta(max_length=40)] = ""
    device: Id | None = None
    source: Annotated[str, Meta(max_length=64)] = ""
    country: Annotated[str, Meta(max_length=2)] = ""
    risk: Annotated[int, Meta(ge=0, le=100)] = 0
    toml: _Toml | None = None


class StepDocument(Document, frozen=True):
    """A floor or rule that was asked, and what it said."""

    asked: str
    said: str


class ExplainedDocument(Document, frozen=True):
    """What a door would decide, and why."""

    decision: str
    rule: str
    reason: str
    sentence: str
    demanded: str
    mode: str
    passes: bool
    trace: Sequence[StepDocument]


class ExplainAnswer(Document, frozen=True):
    """By the policy in force, and by the proposed one where one was given."""

    now: ExplainedDocument
    proposed: ExplainedDocument | None


def get(call: Call) -> PolicyDocument:
    """The one in force."""
    found = policy.get_active(call.office, call.organisation)
    return PolicyDocument(
        version=found.version, toml=found.source, note=found.note, by=found.by, at=moment(found.at)
    )


def versions(call: Call) -> Page[VersionDocument]:
    """The newest first."""
    offset = call.offset()
    found = policy.versions(call.office, call.organisation, offset=offset, limit=call.limit)
    items = [
        VersionDocument(
            version=v.version,
            note=v.note,
            by=v.by,
            at=moment(v.at),
            size=v.size,
            in_force=v.version == found.active,
        )
        for v in found.versions
    ]
    after = offset + call.limit
    return call.page(items, after if after < found.total else None)


def get_version(call: Call) -> PolicyDocument:
    """One."""
    text = call.path["version"]
    number = int(text) if text.isdigit() and len(text) < 10 else -1
    found = policy.get_version(call.office, call.organisation, number)
    return PolicyDocument(
        version=found.version, toml=found.source, note=found.note, by=found.by, at=moment(found.at)
    )


def add(call: Call) -> PolicyInForce:
    """A new version."""
    body = call.given(PolicyNew)
    saved = policy.add_version(
        call.office, call.organisation, body.toml, note=body.note, expected=body.expected
    )
    return PolicyInForce(version=saved.version, told=told(saved.told))


def put(call: Call) -> PolicyInForce:
    """An earlier version, or none of them."""
    version = call.given(PolicyPut).version
    saved = (
        policy.activate(call.office, call.organisation, version)
        if version
        else policy.reset(call.office, call.organisation)
    )
    return PolicyInForce(version=saved.version, told=told(saved.told))


def check(call: Call) -> PolicyChecked:
    """Errors and warnings."""
    found = policy.check(call.office, call.organisation, call.given(PolicyText).toml)
    return PolicyChecked(
        good=found.good,
        problems=[
            PolicyProblem(line=p.line, column=p.column, text=p.text, error=p.error) for p in found.problems
        ],
    )


def explain(call: Call) -> ExplainAnswer:
    """What would be decided."""
    body = call.given(ExplainAsk)
    found = policy.explain(
        call.office,
        call.organisation,
        door=body.door.value,
        account=body.account,
        rung=body.rung,
        device=body.device or "",
        source=body.source,
        country=body.country,
        risk=body.risk,
        text=body.toml,
    )
    return ExplainAnswer(
        now=_explained(found.now), proposed=_explained(found.proposed) if found.proposed else None
    )


def _explained(found: policy.Answer) -> ExplainedDocument:
    return ExplainedDocument(
        decision=found.decision,
        rule=found.rule,
        reason=found.reason,
        sentence=found.sentence,
        demanded=found.demanded,
        mode=found.mode,
        passes=found.passes,
        trace=[StepDocument(asked=asked, said=said) for asked, said in found.trace],
    )


_PATH = "/organisations/{organisation}/policy"
OPERATIONS = (
    Operation(
        "policy.get",
        "GET",
        _PATH,
        Verb.READ,
        get,
        answer=PolicyDocument,
        summary="The policy in force",
    ),
    Operation(
        "policy.versions",
        "GET",
        _PATH + "/versions",
        Verb.READ,
        versions,
        query=PageQuery,
        answer=Page[VersionDocument],
        summary="All versions, the newest first",
    ),
    Operation(
        "policy.add",
        "POST",
        _PATH + "/versions",
        Verb.POLICY,
        add,
        body=PolicyNew,
        answer=PolicyInForce,
        summary="Save a new version and put it in force",
        status=201,
    ),
    Operation(
        "policy.version",
        "GET",
        _PATH + "/versions/{version}",
        Verb.READ,
        get_version,
        answer=PolicyDocument,
        summary="One version",
    ),
    Operation(
        "policy.activate",
        "PUT",
        _PATH + "/in-force",
        Verb.POLICY,
        put,
        body=PolicyPut,
        answer=PolicyInForce,
        summary="Put an earlier version in force again",
    ),
    Operation(
        "policy.check",
        "POST",
        _PATH + "/check",
        Verb.READ,
        check,
        body=PolicyText,
        answer=PolicyChecked,
        summary="Look a policy over; nothing is saved",
    ),
    Operation(
        "policy.explain",
        "POST",
        _PATH + "/explain",
        Verb.READ,
        explain,
        body=ExplainAsk,
        answer=ExplainAnswer,
        summary="What a door would decide, and why",
    ),
)
