"""Actions: what somebody means to have done to a mail server or to Gambeson, from plan to proof.

planned, approved, running, done, verified; or failed, undone, cancelled. Each step is told to the audit log, and to the
action's own journal, which is never rewritten; progress on the way goes to the journal alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from gambeson.model.action import Action, ActionState

from . import plain, schema
from .errors import Conflict, NotFound
from .scope import Change, Scope, Scoped

__all__ = ["ActionState", "Actions", "JournalEntry", "StoredAction"]
MAX_JOURNAL = 10_000  # lines of one action; a step of its life is written also beyond


_S = ActionState
_FROM: Mapping[ActionState, frozenset[ActionState]] = {
    _S.APPROVED: frozenset((_S.PLANNED,)),
    _S.RUNNING: frozenset((_S.APPROVED,)),
    _S.DONE: frozenset((_S.APPROVED, _S.RUNNING)),
    _S.FAILED: frozenset((_S.APPROVED, _S.RUNNING)),
    _S.VERIFIED: frozenset((_S.DONE,)),
    _S.UNDONE: frozenset((_S.DONE, _S.VERIFIED, _S.FAILED)),
    _S.CANCELLED: frozenset((_S.PLANNED, _S.APPROVED, _S.RUNNING)),
}


StoredAction = Action


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of an action's journal; ``number`` counts from 1, ``state`` is the one it had from then on."""

    organisation: str
    action: str
    number: int
    at: float
    by: str
    state: ActionState
    note: str = ""
    details: object = None


class Actions(Scoped):
    """The actions of one organisation."""

    def plan(
        self, kind: str, target: str, details: Mapping[str, object], *, id: str = "", by: str, at: float
    ) -> StoredAction:
        """A new one, which somebody may approve. Raises BadValue, Conflict (an ``id`` of the caller's is there)."""
        new = plain.text(id, "id", 64) or plain.new_id("act")
        values = {
            "kind": plain.text(kind, "kind of action", 100, empty=False),
            "target": plain.text(target, "target", 500),
            "details": plain.dump(dict(details)),
        }
        with self._changing(by, at) as change:
            change.insert(
                schema.actions,
                id=new,
                **values,
                state=str(ActionState.PLANNED),
                result="null",
                reason="",
                planned_by=change.by,
                planned_at=change.at,
                approved_by="",
                approved_at=0.0,
                changed_at=change.at,
            )
            _journal(change, new, ActionState.PLANNED, "", None)
            change.audit("action.planned", new, kind=kind, target=target)
            return _get(change, new)

    def approve(self, id: str, *, by: str, at: float) -> StoredAction:
        """It may run. Raises NotFound, Conflict (it was not planned any more)."""
        return self._move(id, ActionState.APPROVED, by, at, approved_by=by, approved_at=at)

    def running(self, id: str, *, by: str, at: float) -> StoredAction:
        """Somebody does it from now on; a second one gets Conflict. Raises NotFound."""
        return self._move(id, ActionState.RUNNING, by, at)

    def note(self, id: str, note: str, details: object = None, *, by: str, at: float) -> None:
        """Progress, for the journal. Raises NotFound, BadValue, Conflict (too many)."""
        plain.text(note, "note", 2_000, empty=False)
        with self._changing(by, at) as change:
            if _journal(change, id, _get(change, id).state, note, details) > MAX_JOURNAL:
                raise Conflict(f"An action's journal has at most {MAX_JOURNAL} lines of progress.")
            change.unaudited()

    def done(self, id: str, result: object = None, *, by: str, at: float) -> StoredAction:
        """It was done; ``result`` is a JSON value. Raises NotFound, BadValue, Conflict."""
        return self._move(id, ActionState.DONE, by, at, result=result)

    def failed(self, id: str, reason: str, result: object = None, *, by: str, at: float) -> StoredAction:
        """It did not work out. Raises NotFound, BadValue, Conflict."""
        return self._move(id, ActionState.FAILED, by, at, reason=reason, result=result)

    def verified(self, id: str, note: str = "", *, by: str, at: float) -> StoredAction:
        """It was measured that it holds; ``note`` says what was measured. Raises NotFound, BadValue, Conflict."""
        return self._move(id, ActionState.VERIFIED, by, at, note)

    def undone(self, id: str, reason: str = "", *, by: str, at: float) -> StoredAction:
        """It was taken back. Raises NotFound, BadValue, Conflict."""
        return self._move(id, ActionState.UNDONE, by, at, reason=reason)

    def cancelled(self, id: str, reason: str = "", *, by: str, at: float) -> StoredAction:
        """It shall not be done, or not to its end. Whoever runs it looks at its state between two steps. Raises
        NotFound, BadValue, Conflict."""
        return self._move(id, ActionState.CANCELLED, by, at, reason=reason)

    def get(self, id: str) -> StoredAction:
        """The action. Raises NotFound."""
        with self._reading() as scope:
            return _get(scope, id)

    def list(
        self, states: Sequence[ActionState] = tuple(ActionState), *, limit: int = 1_000, before: str = ""
    ) -> Sequence[StoredAction]:
        """Those in one of ``states``, newest first; ``before`` the id of the last one seen, to page on. Raises NotFound
        for a ``before`` that is not there."""
        table = schema.actions
        where: list[sa.ColumnElement[bool]] = [table.c.state.in_([str(s) for s in states])]
        with self._reading() as scope:
            if before:
                last = _get(scope, before)
                same = sa.and_(table.c.planned_at == last.planned_at, table.c.id < last.id)
                where.append(sa.or_(table.c.planned_at < last.planned_at, same))
            order = [table.c.planned_at.desc(), table.c.id.desc()]
            return [action_of(row) for row in scope.rows(table, *where, order=order, limit=limit)]

    def journal(self, id: str) -> Sequence[JournalEntry]:
        """What happened to it, oldest first. Raises NotFound."""
        table = schema.action_journal
        with self._reading() as scope:
            _get(scope, id)
            return [entry_of(row) for row in scope.rows(table, table.c.action == id, order=[table.c.number])]

    def _move(
        self, id: str, state: ActionState, by: str, at: float, note: str = "", **values: Any
    ) -> StoredAction:
        reason = plain.text(str(values.get("reason", "")), "reason", 2_000)
        plain.text(note, "note", 2_000)
        result = values.get("result")
        if "result" in values:
            values["result"] = plain.dump(result)
        table = schema.actions
        with self._changing(by, at) as change:
            before = _get(change, id)
            if before.state not in _FROM[state]:
                raise Conflict(f"This action is {before.state} and cannot be {state} now: look at it again.")
            change.update(table, table.c.id == id, state=str(state), changed_at=change.at, **values)
            _journal(change, id, state, note or reason, result)
            change.audit(f"action.{state}", id, kind=before.kind, target=before.target, reason=reason or note)
            return _get(change, id)


def action_of(row: sa.Row[Any]) -> StoredAction:
    """The action in a row."""
    values = dict(row._mapping)
    values["details"] = cast("dict[str, object]", plain.load(row.details))
    values["result"] = plain.load(row.result)
    values["state"] = ActionState(row.state)
    return StoredAction(**values)


def entry_of(row: sa.Row[Any]) -> JournalEntry:
    """The journal's line in a row."""
    values = dict(row._mapping)
    return JournalEntry(**values | {"state": ActionState(row.state), "details": plain.load(row.details)})


def _get(scope: Scope, id: str) -> StoredAction:
    row = scope.one(schema.actions, schema.actions.c.id == id)
    if row is None:
        raise NotFound(f"There is no action {id[:80]!a}: look at the list of actions.")
    return action_of(row)


def _journal(change: Change, id: str, state: ActionState, note: str, details: object) -> int:
    """Writes the next line; gives its number."""
    table = schema.action_journal
    query = sa.select(sa.func.max(table.c.number)).where(
        table.c.organisation == change.organisation, table.c.action == id
    )
    number = int(change.conn.execute(query).scalar() or 0) + 1
    change.insert(
        table,
        action=id,
        number=number,
        at=change.at,
        by=change.by,
        state=str(state),
        note=note,
        details=plain.dump(details),
    )
    return number
