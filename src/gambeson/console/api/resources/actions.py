"""Actions: planned, approved, run, verified and taken back, each step with who and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Given,
    Moment,
    Nothing,
    Operation,
    Page,
    PageQuery,
    moment,
)
from gambeson.console.office import Office
from gambeson.console.operations import actions
from gambeson.model.action import Action, ActionState
from gambeson.model.staff import Verb
from gambeson.store.errors import NotFound

_Word = Annotated[str, Meta(min_length=1, max_length=100)]
_Before = Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9._-]+$")]
_Value = Annotated[str, Meta(max_length=254)]


class ActionDocument(Document, frozen=True):
    """``sentences`` say what was planned; ``reason`` why it failed, was undone or cancelled."""

    id: str
    kind: str
    target: str
    given: Mapping[str, str]
    sentences: Sequence[str]
    state: ActionState
    reason: str
    planned_by: str
    planned: Moment | None
    approved_by: str
    approved: Moment | None
    changed: Moment | None


class JournalLine(Document, frozen=True):
    """One line of an action's journal."""

    number: int
    at: Moment | None
    by: str
    state: ActionState
    note: str


class ActionWhole(Document, frozen=True):
    """An action, what the token may do with it now, and its journal."""

    action: ActionDocument
    may: Sequence[str]
    why_not: str
    journal: Sequence[JournalLine]


class ActionAsk(PageQuery, frozen=True):
    """In one state, or all."""

    state: ActionState | UnsetType = UNSET


class ActionNew(Given, frozen=True):
    """What is to be done (``device.revoke``), to what (an id or address), and what the kind wants to know besides."""

    kind: _Word
    target: Annotated[str, Meta(max_length=254)] = ""
    given: Annotated[Mapping[_Word, _Value], Meta(max_length=20)] = {}


def _document(found: Action) -> ActionDocument:
    given = found.details.get("given")
    sentences = found.details.get("sentences")
    return ActionDocument(
        id=found.id,
        kind=found.kind,
        target=found.target,
        given={str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {},
        sentences=[str(s) for s in sentences] if isinstance(sentences, list) else [],
        state=found.state,
        reason=found.reason,
        planned_by=found.planned_by,
        planned=moment(found.planned_at),
        approved_by=found.approved_by,
        approved=moment(found.approved_at),
        changed=moment(found.changed_at),
    )


def list_(call: Call) -> Page[ActionDocument]:
    """The newest first."""
    asked = call.asked(ActionAsk)
    states = tuple(ActionState) if asked.state is UNSET else (asked.state,)
    before: str = call.after(_Before) or ""
    try:
        found = call.org.actions.list(states, limit=call.limit + 1, before=before)
    except NotFound:
        return call.page([])
    more = found[call.limit - 1].id if len(found) > call.limit else None
    return call.page([_document(each) for each in found[: call.limit]], more)


def get(call: Call) -> ActionWhole:
    """One."""
    found = actions.get(call.office, call.organisation, call.path["action"])
    return ActionWhole(
        action=_document(found.action),
        may=sorted(found.may),
        why_not=found.why_not,
        journal=[
            JournalLine(number=e.number, at=moment(e.at), by=e.by, state=e.state, note=e.note)
            for e in found.journal
        ],
    )


def plan(call: Call) -> ActionDocument:
    """For somebody to approve."""
    body = call.given(ActionNew)
    return _document(actions.plan(call.office, call.organisation, body.kind, body.target, body.given))


def _step(act: Callable[[Office, str, str], Action]) -> Callable[[Call], ActionDocument]:
    def step(call: Call) -> ActionDocument:
        return _document(act(call.office, call.organisation, call.path["action"]))

    return step


_PATH = "/organisations/{organisation}/actions"
_ONE = _PATH + "/{action}"
_STEPS: tuple[tuple[str, Any, str], ...] = (
    ("approve", actions.approve, "It may run"),
    ("run", actions.run, "Do it: it is done then, or failed with a sentence"),
    ("verify", actions.verify, "Measure whether it holds"),
    ("undo", actions.undo, "Take it back"),
)
OPERATIONS = (
    Operation(
        "actions.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=ActionAsk,
        answer=Page[ActionDocument],
        summary="Actions, the newest first",
    ),
    Operation(
        "actions.plan",
        "POST",
        _PATH,
        Verb.ACTIONS,
        plan,
        body=ActionNew,
        answer=ActionDocument,
        summary="Plan an action, for somebody to approve",
        status=201,
    ),
    Operation(
        "actions.get",
        "GET",
        _ONE,
        Verb.READ,
        get,
        answer=ActionWhole,
        summary="One action with its journal",
    ),
    *(
        Operation(
            f"actions.{name}",
            "POST",
            f"{_ONE}/{name}",
            Verb.ACTIONS,
            _step(act),
            body=Nothing,
            answer=ActionDocument,
            summary=summary,
        )
        for name, act, summary in _STEPS
    ),
)
