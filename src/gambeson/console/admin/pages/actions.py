"""Actions: plan, approve, run, verify, take back; and the journal of each."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Handler, Nav, get, post
from gambeson.console.office import Office, RefusedError
from gambeson.console.operations import actions as operations
from gambeson.console.operations.runner import MAX_VALUE, Runner, runners
from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model.action import Action, ActionState
from gambeson.model.staff import Verb
from gambeson.store.errors import StoreError

NAV = Nav("actions", order=50)
_FILTERS = {"all": tuple(ActionState), "open": operations.OPEN}
MAX_REASON = 500


def listing(desk: Desk, visit: Visit) -> Reply:
    """All actions, newest first."""
    word = visit.given("state", 20) or "all"
    states = _FILTERS.get(word) or tuple(s for s in ActionState if s == word)
    if not states:
        raise ProblemError(400)
    before = visit.given("before", 64)
    found = operations.page(desk.office, desk.organisation.id, states, before=before)
    return desk.page(
        "actions",
        found=found,
        state=word,
        states=("all", "open", *ActionState),
        first=_first,
        older=urlencode({"state": word, "before": found.more}) if found.more else "",
        before=before,
        plannable=bool(_mine(desk)),
    )


def new(desk: Desk, visit: Visit) -> Reply:
    """Choose a kind, say what for, and read what would happen. Nothing is kept by looking."""
    kinds, kind = _mine(desk), visit.given("kind", 100)
    runner = kinds.get(kind)
    target, given = visit.given("target", MAX_VALUE), _given(visit, runner)
    plan, error = None, ""
    if runner is not None and target:
        try:
            plan = operations.prepare(desk.office, desk.organisation.id, kind, target, given)
        except RefusedError as refused:
            error = refused.sentence
        except StoreError as trouble:
            error = str(trouble)
    return desk.page(
        "actions_new",
        422 if error else 200,
        kinds=kinds,
        runner=runner,
        target=target,
        given=given,
        plan=plan,
        error=error,
    )


def plan(desk: Desk, visit: Visit) -> Reply:
    """Keeps the plan."""
    kind = visit.given("kind", 100)
    given = _given(visit, runners().get(kind))
    made = operations.plan(desk.office, desk.organisation.id, kind, visit.given("target", MAX_VALUE), given)
    return _go(desk, made, "actions-planned")


def one(desk: Desk, visit: Visit) -> Reply:
    """An action: what was planned, who approved it, what came of it, its journal."""
    view = operations.get(desk.office, desk.organisation.id, visit.path["action"])
    return desk.page("actions_one", view=view, action=view.action)


def run(desk: Desk, visit: Visit) -> Reply:
    """Does it."""
    done = operations.run(desk.office, desk.organisation.id, visit.path["action"])
    return _go(desk, done, "actions-done" if done.state is ActionState.DONE else "")


def cancel(desk: Desk, visit: Visit) -> Reply:
    """It shall not be done."""
    reason = visit.given("reason", MAX_REASON)
    return _go(
        desk, operations.cancel(desk.office, desk.organisation.id, visit.path["action"], reason), "saved"
    )


def _step(act: Callable[[Office, str, str], Action], name: str, said: str) -> Handler:
    def step(desk: Desk, visit: Visit) -> Reply:
        return _go(desk, act(desk.office, desk.organisation.id, visit.path["action"]), said)

    step.__name__ = name
    return step


def _go(desk: Desk, action: Action, said: str) -> Reply:
    return go(f"{desk.base}/actions/{action.id}{f'?said={said}' if said else ''}")


def _mine(desk: Desk) -> dict[str, Runner]:
    """The kinds that the person may plan here."""
    office, org = desk.office, desk.organisation.id
    if not office.may(Verb.ACTIONS, org):
        return {}
    return {kind: runner for kind, runner in runners().items() if office.may(runner.verb, org)}


def _given(visit: Visit, runner: Runner | None) -> dict[str, str]:
    fields = runner.fields if runner is not None else ()
    return {field.name: visit.given(field.name, MAX_VALUE) for field in fields}


def _first(action: Action) -> str:
    """The first sentence of what was planned."""
    found = action.details.get("sentences")
    return str(found[0]) if isinstance(found, list) and found else ""


_ONE = "/o/{org:str}/actions/{action:str}"
ROUTES = (
    get("/o/{org:str}/actions", listing),
    get("/o/{org:str}/actions/new", new, Verb.ACTIONS),
    post("/o/{org:str}/actions", plan, Verb.ACTIONS),
    get(_ONE, one),
    post(f"{_ONE}/approve", _step(operations.approve, "approve", "actions-approved"), Verb.ACTIONS),
    post(f"{_ONE}/run", run, Verb.ACTIONS, fresh=True),
    post(f"{_ONE}/verify", _step(operations.verify, "verify", "actions-verified"), Verb.ACTIONS),
    post(f"{_ONE}/undo", _step(operations.undo, "undo", "actions-undone"), Verb.ACTIONS, fresh=True),
    post(f"{_ONE}/cancel", cancel, Verb.ACTIONS),
)
