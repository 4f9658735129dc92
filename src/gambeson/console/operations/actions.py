"""Actions: planned, approved, run, verified, and taken back where that is possible; each step with who and when.

Rules: every step takes :attr:`Verb.ACTIONS` and the verb of the action's kind. Nothing runs that was not approved;
where the kind says so, by somebody else than who planned it, and people are told apart by who they are, not by how they
came. What is run is what was planned: where the world has changed so that the plan reads otherwise, it fails and is
planned anew. An action runs once. It counts as verified only when the store was read again and every door acts on it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gambeson.console.office import Office, RefusedError
from gambeson.model.action import Action, ActionState
from gambeson.model.staff import Verb
from gambeson.store.actions import JournalEntry
from gambeson.store.errors import Conflict, StoreError
from gambeson.store.tenant import OrganisationStore

from .runner import Details, Place, Proof, Runner, runners

PAGE = 50
_OWN = {"approved-by": "planner"}  # in the journal
STALE_SECONDS = 60.0  # a run takes a second; one that took so long was interrupted
_log = logging.getLogger("gambeson.console")
_S = ActionState
OPEN = (_S.PLANNED, _S.APPROVED, _S.RUNNING)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, before it is kept as an action."""

    kind: str
    target: str
    details: Mapping[str, str]
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActionView:
    """One action with its journal, what was planned, and what the asker may do with it now (``may``: names of acts).
    ``why_not`` is why it may not be approved or undone, in a sentence."""

    action: Action
    runner: Runner | None
    given: Mapping[str, str]
    sentences: Sequence[str]
    journal: Sequence[JournalEntry]
    may: frozenset[str]
    own_approval: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Some actions, newest first; ``more``: the id to go on behind, empty where these are the last."""

    actions: Sequence[Action]
    more: str = ""


def page(
    office: Office, organisation: str, states: Sequence[ActionState] = tuple(_S), *, before: str = ""
) -> ActionPage:
    """Actions, newest first. Raises RefusedError, NotFound."""
    found = office.organisation(organisation).actions.list(states, limit=PAGE + 1, before=before)
    return ActionPage(found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else "")


def get(office: Office, organisation: str, id: str) -> ActionView:
    """One action. Raises RefusedError, NotFound."""
    org = office.organisation(organisation)
    action, journal = org.actions.get(id), org.actions.journal(id)
    runner = runners().get(action.kind)
    may, why_not = _may(office, action, runner)
    return ActionView(
        action,
        runner,
        _given(action),
        _sentences(action),
        journal,
        may,
        any(line.details == _OWN for line in journal),
        why_not,
    )


def prepare(office: Office, organisation: str, kind: str, target: str, given: Mapping[str, str]) -> Plan:
    """What would happen; nothing is kept. Raises RefusedError, StoreError."""
    place, runner = _at(office, organisation, kind)
    target, details = runner.settle(place, target.strip(), given)
    return Plan(kind, target, details, tuple(runner.plan(place, target, details)))


def plan(office: Office, organisation: str, kind: str, target: str, given: Mapping[str, str]) -> Action:
    """Keeps a plan, for somebody to approve. Raises RefusedError, StoreError."""
    made = prepare(office, organisation, kind, target, given)
    details = {
        "given": dict(made.details),
        "sentences": list(made.sentences),
        "planner": office.access.staff.id,
    }
    org = office.organisation(organisation, Verb.ACTIONS)
    return org.actions.plan(kind, made.target, details, by=office.by, at=office.at)


def approve(office: Office, organisation: str, id: str) -> Action:
    """It may run. Raises RefusedError (it takes somebody else), NotFound, Conflict."""
    org, action, _, runner = _known(office, organisation, id)
    own = action.details.get("planner") == office.access.staff.id
    if runner.second and own:
        raise RefusedError(
            "second-person",
            "You planned this, so somebody else has to approve it: it touches everybody.",
            403,
        )
    org.actions.approve(id, by=office.by, at=office.at)
    if own:
        sentence = "Who planned it approved it: nobody else looked."
        org.actions.note(id, sentence, _OWN, by=office.by, at=office.at)
    return org.actions.get(id)


def run(office: Office, organisation: str, id: str) -> Action:
    """Does it. The action is done, or failed with a sentence. Raises RefusedError, NotFound, and Conflict where it was
    not approved, or somebody runs it already."""
    org, action, place, runner = _known(office, organisation, id)
    org.actions.running(id, by=office.by, at=office.at)
    details = _given(action)
    try:
        now = tuple(runner.plan(place, action.target, details))
        if now != tuple(_sentences(action)):
            raise RefusedError("changed", "What was planned reads otherwise now: plan it anew.")
        given = runner.run(place, action, details)
    except RefusedError as error:
        return org.actions.failed(id, error.sentence, by=office.by, at=office.at)
    except StoreError as error:
        return org.actions.failed(id, str(error)[:2_000], by=office.by, at=office.at)
    except Exception as error:
        _log.error("the action %s failed: %s", action.kind, type(error).__name__, exc_info=error)
        sentence = "Something went wrong here, and it may be done in part: it was written to the log."
        return org.actions.failed(id, sentence, by=office.by, at=office.at)
    done = org.actions.done(id, given, by=office.by, at=office.at)
    _tell(office, org, id)
    return done


def verify(office: Office, organisation: str, id: str) -> Action:
    """Measures whether it holds. What does not is written to the journal. Raises RefusedError, NotFound, Conflict."""
    org, action, place, runner = _known(office, organisation, id)
    if action.state is not _S.DONE:
        raise RefusedError("not-done", f"This action is {action.state}: only what was done is verified.")
    proofs = [*runner.verify(place, action, _given(action)), _doors(office)]
    if all(proof.holds for proof in proofs):
        note = " ".join(proof.sentence for proof in proofs)
        return org.actions.verified(id, note[:2_000], by=office.by, at=office.at)
    wrong = [proof.sentence for proof in proofs if not proof.holds]
    note = f"Not verified; this does not hold: {' '.join(wrong)}"
    org.actions.note(id, note[:2_000], by=office.by, at=office.at)
    raise RefusedError("not-verified", f"{note} See Doors, then verify again.")


def undo(office: Office, organisation: str, id: str) -> Action:
    """Takes it back. Raises RefusedError (no way back), NotFound, Conflict."""
    org, action, place, runner = _known(office, organisation, id)
    if action.state not in (_S.DONE, _S.VERIFIED):
        raise RefusedError("not-done", f"This action is {action.state}: only what was done is taken back.")
    if runner.no_undo:
        raise RefusedError("no-undo", runner.no_undo)
    said = runner.undo(place, action, _given(action))
    undone = org.actions.undone(id, said, by=office.by, at=office.at)
    _tell(office, org, id)
    return undone


def cancel(office: Office, organisation: str, id: str, reason: str) -> Action:
    """It shall not be done. One whose run was interrupted counts as failed. Raises RefusedError, NotFound, Conflict."""
    org, action, _, _ = _known(office, organisation, id)
    if action.state is _S.RUNNING:
        if office.at - action.changed_at < STALE_SECONDS:
            raise RefusedError("running", "It runs at this moment: look again in a minute.")
        sentence = "Its run was interrupted: look whether it was done, and plan it anew where it was not."
        return org.actions.failed(id, sentence, by=office.by, at=office.at)
    return org.actions.cancelled(id, reason.strip(), by=office.by, at=office.at)


def _at(office: Office, organisation: str, kind: str) -> tuple[Place, Runner]:
    org = office.organisation(organisation, Verb.ACTIONS)
    runner = runners().get(kind)
    if runner is None:
        raise RefusedError("no-kind", f"There is no such kind of action: one of {', '.join(runners())}.", 422)
    return Place(office, office.organisation(org.id, runner.verb)), runner


def _known(office: Office, organisation: str, id: str) -> tuple[OrganisationStore, Action, Place, Runner]:
    org = office.organisation(organisation, Verb.ACTIONS)
    action = org.actions.get(id)
    place, runner = _at(office, organisation, action.kind)
    return org, action, place, runner


def _may(office: Office, action: Action, runner: Runner | None) -> tuple[frozenset[str], str]:
    """Which acts there are now for the asker; and why there is not the one that might be expected."""
    org = action.organisation
    if runner is None or not (office.may(Verb.ACTIONS, org) and office.may(runner.verb, org)):
        return frozenset(), ""
    if action.state is _S.PLANNED:
        if runner.second and action.details.get("planner") == office.access.staff.id:
            return frozenset(("cancel",)), "You planned this: somebody else has to approve it."
        return frozenset(("approve", "cancel")), ""
    if action.state is _S.APPROVED:
        return frozenset(("run", "cancel")), ""
    if action.state is _S.RUNNING and office.at - action.changed_at >= STALE_SECONDS:
        return frozenset(("cancel",)), ""
    if action.state in (_S.DONE, _S.VERIFIED):
        acts = {"verify"} if action.state is _S.DONE else set()
        return frozenset(acts if runner.no_undo else acts | {"undo"}), runner.no_undo
    return frozenset(), ""


def _tell(office: Office, org: OrganisationStore, id: str) -> None:
    """Has the doors act on it, and writes to the journal who does."""
    told = office.publish()
    note = (
        f"Not every door has said that it acts on it: {', '.join(told.missing)}."
        if told.missing
        else f"Every door acts on it ({', '.join(told.acknowledged) or 'none is there'})."
    )
    try:
        org.actions.note(id, note[:2_000], by=office.by, at=office.at)
    except Conflict:  # the journal is full: the action itself is told to the audit log
        return


def _doors(office: Office) -> Proof:
    told = office.publish()
    if told.missing:
        return Proof(f"Every door acts on it (not yet: {', '.join(told.missing)}).", False)
    return Proof("Every door acts on it.", True)


def _given(action: Action) -> Details:
    found = action.details.get("given")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _sentences(action: Action) -> Sequence[str]:
    found = action.details.get("sentences")
    return tuple(str(s) for s in found) if isinstance(found, list) else ()
