"""Actions: each step from plan to proof, in order, with a journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gambeson.store.actions import ActionState, StoredAction
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound
from gambeson.store.tenant import OrganisationStore

NOW = 1_700_000_000.0
BY: dict[str, Any] = {"by": "Ann (console)", "at": NOW}
S = ActionState

STEPS: dict[ActionState, Callable[[OrganisationStore, str], StoredAction]] = {
    S.APPROVED: lambda o, id: o.actions.approve(id, **BY),
    S.RUNNING: lambda o, id: o.actions.running(id, **BY),
    S.DONE: lambda o, id: o.actions.done(id, {"changed": 1}, **BY),
    S.FAILED: lambda o, id: o.actions.failed(id, "no answer", **BY),
    S.VERIFIED: lambda o, id: o.actions.verified(id, "asked the server again", **BY),
    S.UNDONE: lambda o, id: o.actions.undone(id, "not wanted", **BY),
    S.CANCELLED: lambda o, id: o.actions.cancelled(id, **BY),
}
# How an action gets to a state, and where it may go from there.
WAYS: dict[ActionState, tuple[list[ActionState], set[ActionState]]] = {
    S.PLANNED: ([], {S.APPROVED, S.CANCELLED}),
    S.APPROVED: ([S.APPROVED], {S.RUNNING, S.DONE, S.FAILED, S.CANCELLED}),
    S.RUNNING: ([S.APPROVED, S.RUNNING], {S.DONE, S.FAILED, S.CANCELLED}),
    S.DONE: ([S.APPROVED, S.DONE], {S.VERIFIED, S.UNDONE}),
    S.FAILED: ([S.APPROVED, S.RUNNING, S.FAILED], {S.UNDONE}),
    S.VERIFIED: ([S.APPROVED, S.DONE, S.VERIFIED], {S.UNDONE}),
    S.UNDONE: ([S.APPROVED, S.DONE, S.UNDONE], set()),
    S.CANCELLED: ([S.CANCELLED], set()),
}


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    return store.create_organisation("Acme", id="org-a", **BY)


@pytest.mark.parametrize("state", ActionState)
def test_from_each_state_only_its_next_ones(org: OrganisationStore, state: ActionState) -> None:
    way, allowed = WAYS[state]
    for target, step in STEPS.items():
        id = org.actions.plan("mode.set", "imap", {}, **BY).id
        for each in way:
            STEPS[each](org, id)
        if target in allowed:
            assert step(org, id).state is target
        else:
            with pytest.raises(Conflict, match=state):
                step(org, id)
            assert org.actions.get(id).state is state


def test_a_whole_life(org: OrganisationStore) -> None:
    planned = org.actions.plan("account.leave", "acc-1", {"devices": ["d1"]}, by="Ann", at=NOW)
    id = planned.id
    assert (planned.kind, planned.target, planned.details) == ("account.leave", "acc-1", {"devices": ["d1"]})
    assert (planned.planned_by, planned.planned_at, planned.result) == ("Ann", NOW, None)
    approved = org.actions.approve(id, by="Ben", at=NOW + 1)
    assert (approved.approved_by, approved.approved_at) == ("Ben", NOW + 1)
    org.actions.running(id, by="worker", at=NOW + 2)
    org.actions.note(id, "half way", {"of": 2, "done": 1}, by="worker", at=NOW + 3)
    assert org.actions.done(id, {"revoked": 1}, by="worker", at=NOW + 4).result == {"revoked": 1}
    org.actions.verified(id, "no session left", by="worker", at=NOW + 5)
    undone = org.actions.undone(id, "she came back", by="Ann", at=NOW + 6)
    assert (undone.reason, undone.result, undone.changed_at) == ("she came back", {"revoked": 1}, NOW + 6)
    assert [(e.number, e.by, e.state.value, e.note, e.details) for e in org.actions.journal(id)] == [
        (1, "Ann", "planned", "", None),
        (2, "Ben", "approved", "", None),
        (3, "worker", "running", "", None),
        (4, "worker", "running", "half way", {"of": 2, "done": 1}),
        (5, "worker", "done", "", {"revoked": 1}),
        (6, "worker", "verified", "no session left", None),
        (7, "Ann", "undone", "she came back", None),
    ]
    assert [e.action for e in org.audit() if e.subject == id] == [
        f"action.{word}" for word in ("undone", "verified", "done", "running", "approved", "planned")
    ]


def test_they_are_listed_newest_first_and_page_by_page(org: OrganisationStore) -> None:
    ids = [org.actions.plan("x", "", {}, id=f"act-{n}", by="Ann", at=NOW + n // 2).id for n in range(7)]
    org.actions.cancelled(ids[3], **BY)
    assert [a.id for a in org.actions.list()] == ids[::-1]
    assert [a.id for a in org.actions.list([S.CANCELLED])] == [ids[3]]
    pages, before = [], ""
    while page := org.actions.list(limit=3, before=before):
        pages.append([a.id for a in page])
        before = page[-1].id
    assert pages == [ids[:3:-1], ids[3:0:-1], ids[:1]]
    with pytest.raises(NotFound):
        org.actions.list(before="none")


def test_what_is_no_action(org: OrganisationStore) -> None:
    plan: Any = org.actions.plan
    for kind, target, details in (("", "t", {}), ("k", "x" * 501, {}), ("k", "t", {"x": object()})):
        with pytest.raises(BadValue):
            plan(kind, target, details, **BY)
    id = plan("k", "t", {}, id="mine", **BY).id
    with pytest.raises(Conflict):
        plan("k", "t", {}, id="mine", **BY)
    org.actions.approve(id, **BY)
    for bad in (
        lambda: org.actions.failed(id, "x" * 2_001, **BY),
        lambda: org.actions.done(id, float("nan"), **BY),
        lambda: org.actions.note(id, "", **BY),
    ):
        with pytest.raises(BadValue):
            bad()
    assert org.actions.get(id).state is S.APPROVED
    for unknown in (org.actions.get, org.actions.journal):
        with pytest.raises(NotFound):
            unknown("none")


def test_hours_a_week(org: OrganisationStore) -> None:
    assert org.hours() == 1.0
    assert org.set_hours(0.5, **BY) == org.hours() == 0.5
    for hours in (-1.0, 169.0, float("nan"), float("inf")):
        with pytest.raises(BadValue):
            org.set_hours(hours, **BY)
    assert org.hours() == 0.5
