"""A draft of a policy: its problems at their lines, what it would have meant, what comes in below a floor, explain,
what differs from the policy in force; and then saving it.

The text comes in a form of its own (``/policy/ORG/drafts``), the only one that may be long. Everything after it names
the draft, so a passkey that is asked for in between costs nobody their text.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import get, post
from gambeson.console.core.policy_diff import difference
from gambeson.console.core.what_if import Changed
from gambeson.console.office import RefusedError
from gambeson.console.operations import policy as operations
from gambeson.console.operations import policy_drafts as drafts
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.console.works import Work, Works
from gambeson.guard.core.policy_toml import Problem
from gambeson.model.staff import Verb
from gambeson.store.policy import MAX_POLICY

from .policy import ask, shared, told

MAX_NOTE = 1_000
MAX_SHOWN = 100  # groups of a replay, problems
_AROUND = 2  # lines around a problem


@dataclass(frozen=True, slots=True)
class Place:
    """A problem with the lines around it: number and text of each."""

    problem: Problem
    lines: tuple[tuple[int, str], ...]


def make(desk: Desk, visit: Visit) -> Reply:
    """A text was sent: it becomes a draft, and what was asked is found out."""
    office, id = desk.office, desk.organisation.id
    # A form's line ends count twice.
    draft = drafts.make(office, id, visit.given("text", 2 * MAX_POLICY))
    if operations.check(office, id, draft.text).good:
        draft = drafts.prove(office, draft)
        if visit.given("act", 20) == "look":
            drafts.look(office, draft, enforce=visit.given("enforce", 8) == "yes")
    return go(_path(desk, draft))


def show(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    return _page(desk, visit, drafts.get(desk.office, desk.organisation.id, visit.path["draft"]))


def look(desk: Desk, visit: Visit) -> Reply:
    """The replay."""
    draft = drafts.get(desk.office, desk.organisation.id, visit.path["draft"])
    drafts.look(desk.office, draft, enforce=visit.given("enforce", 8) == "yes")
    return go(f"{_path(desk, draft)}#look")


def save(desk: Desk, visit: Visit) -> Reply:
    """It becomes the next version, and is in force."""
    office, id = desk.office, desk.organisation.id
    draft = drafts.get(office, id, visit.path["draft"])
    expected = visit.given("expected", 9)
    try:
        saved = operations.add_version(
            office,
            id,
            draft.text,
            note=visit.given("note", MAX_NOTE),
            expected=int(expected) if expected.isascii() and expected.isdigit() else None,
        )
    except RefusedError as error:
        return _page(desk, visit, draft, error)
    drafts.drop(office, draft)
    return told(desk, saved)


def _page(desk: Desk, visit: Visit, draft: drafts.Draft, error: RefusedError | None = None) -> Reply:
    office, id = desk.office, desk.organisation.id
    checked = operations.check(office, id, draft.text)
    active = operations.get_active(office, id)
    asking = ask(desk, visit, draft.text if checked.good else None)
    status = error.status if error else 422 if asking.error else 200
    return desk.page(
        "policy_draft",
        status,
        draft=draft,
        active=active,
        checked=checked,
        policy=checked.policy,
        places=_places(draft.text, checked.problems[:MAX_SHOWN]),
        change=difference(active.source, draft.text) if checked.good else None,
        side=visit.given("view", 20) == "side",
        proof=draft.proof,
        looked=draft.looked,
        refused=_rows(draft.looked.result.would_refuse) if draft.looked else (),
        allowed=_rows(draft.looked.result.would_allow) if draft.looked else (),
        observing=operations.observing(office, id),
        bypassed=operations.bypassed(office, id),
        work=_work(desk, draft),
        asking=asking,
        error=error.sentence if error else "",
        note=visit.given("note", MAX_NOTE),
        days=operations.DAYS,
        most=operations.MAX_EVENTS,
        most_shown=MAX_SHOWN,
        **shared(desk),
    )


def _rows(changed: tuple[Changed, ...]) -> tuple[Changed, ...]:
    return changed[:MAX_SHOWN]


def _work(desk: Desk, draft: drafts.Draft) -> Work | None:
    """The long work that is going on for a draft, or went wrong."""
    works = desk.office.world.works
    if not draft.work or not isinstance(works, Works):
        return None
    found = works.get(desk.organisation.id, draft.work)
    return found if found is not None and (found.live or found.state != "done") else None


def _places(text: str, problems: tuple[Problem, ...]) -> tuple[Place, ...]:
    lines = text.splitlines()
    found = []
    for problem in problems:
        first, last = max(1, problem.line - _AROUND), min(len(lines), problem.line + _AROUND)
        around = tuple((n, lines[n - 1][:400]) for n in range(first, last + 1))
        found.append(Place(problem, around))
    return tuple(found)


def _path(desk: Desk, draft: drafts.Draft) -> str:
    return f"{desk.base}/policy/drafts/{draft.id}"


ROUTES = (
    post("/policy/{org:str}/drafts", make, Verb.POLICY, long=True),
    get("/o/{org:str}/policy/drafts/{draft:str}", show, Verb.POLICY),
    post("/o/{org:str}/policy/drafts/{draft:str}/look", look, Verb.POLICY),
    post("/o/{org:str}/policy/drafts/{draft:str}/save", save, Verb.POLICY, fresh=True),
)
