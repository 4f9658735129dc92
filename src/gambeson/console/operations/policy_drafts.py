"""Drafts: texts of a policy that somebody tries before saving them, and what was found out about each.

A draft is of one person in one organisation, and nobody else sees it. It lives in memory only, for ``KEPT_SECONDS``; of
a person's in an organisation the newest ``MAX_OF_ONE`` are kept, of all ``MAX_OCTETS`` together. What is saved is
exactly the text that was tried.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from gambeson.console.office import Office, RefusedError
from gambeson.console.works import Progress, Result, Works
from gambeson.guard.core.prove import Proof
from gambeson.model.staff import Verb
from gambeson.store.control import Store

from . import policy
from .policy_ground import TooMuchError

KEPT_SECONDS = 8 * 3600.0
MAX_OF_ONE = 8
MAX_OCTETS = 64 * 1024 * 1024
KIND = "policy"  # of long work
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A text, the version in force when it was begun, and what is known of it: ``looked`` is the last replay, ``proof``
    None where it was not proven, ``work`` the long work that finds both out (empty: none)."""

    id: str
    organisation: str
    owner: str
    text: str = field(repr=False)
    base: int
    at: float
    looked: policy.Looked | None = None
    proof: Proof | None = None
    work: str = ""


@dataclass
class _Shelf:
    lock: threading.Lock = field(default_factory=threading.Lock)
    drafts: dict[str, Draft] = field(default_factory=dict)


_shelves: WeakKeyDictionary[Store, _Shelf] = WeakKeyDictionary()
_making = threading.Lock()


def make(office: Office, organisation: str, text: str) -> Draft:
    """A new draft. Raises RefusedError."""
    org = office.organisation(organisation, Verb.POLICY)
    draft = Draft(
        id=office.world.random(12).hex(),
        organisation=organisation,
        owner=_owner(office),
        text=policy.plain_lines(text),
        base=org.policies.active_number(),
        at=office.at,
    )
    shelf = _shelf(office)
    with shelf.lock:
        shelf.drafts[draft.id] = draft
        _forget(shelf, draft, office.at)
    return draft


def get(office: Office, organisation: str, id: str) -> Draft:
    """One's own draft. Raises RefusedError(404)."""
    office.organisation(organisation, Verb.POLICY)
    shelf = _shelf(office)
    with shelf.lock:
        found = shelf.drafts.get(id)
    if (
        found is None
        or (found.organisation, found.owner) != (organisation, _owner(office))
        or office.at - found.at >= KEPT_SECONDS
    ):
        raise RefusedError(
            "not-found",
            "This draft is not kept any more, or is not yours. Go back to your text and send it again.",
            404,
        )
    return found


def newest(office: Office, organisation: str) -> Draft | None:
    """One's own newest draft there, or None. Raises RefusedError."""
    office.organisation(organisation)
    mine, shelf = (organisation, _owner(office)), _shelf(office)
    with shelf.lock:
        found = [d for d in shelf.drafts.values() if (d.organisation, d.owner) == mine]
    return max((d for d in found if office.at - d.at < KEPT_SECONDS), key=lambda d: d.at, default=None)


def prove(office: Office, draft: Draft) -> Draft:
    """With its proof, where that takes no longer than a page may. Raises RefusedError(422)."""
    try:
        proof = policy.prove(office, draft.organisation, draft.text)
    except TooMuchError:
        return draft
    return _change(office, draft.id, lambda d: replace(d, proof=proof)) or draft


def look(office: Office, draft: Draft, *, enforce: bool = False) -> Draft:
    """Tries it on what was recorded: at once where that is little, else as long work. Raises RefusedError: 422 where it
    is no policy, 409 or 503 where there is too much to do already."""
    try:
        looked = policy.what_if(
            office, draft.organisation, draft.text, enforce=enforce, most=policy.IN_REQUEST, strict=True
        )
    except TooMuchError:
        return _at_length(office, draft, enforce)
    return _change(office, draft.id, lambda d: replace(d, looked=looked)) or draft


def drop(office: Office, draft: Draft) -> None:
    """It was saved."""
    shelf = _shelf(office)
    with shelf.lock:
        shelf.drafts.pop(draft.id, None)


def _at_length(office: Office, draft: Draft, enforce: bool) -> Draft:
    works = office.world.works
    if not isinstance(works, Works):
        raise RefusedError("busy", "This takes long, and no long work is done here now.", 503)

    def find_out(progress: Progress) -> Result:
        def replayed(read: int) -> None:
            progress.step(_STEPS * read // (policy.MAX_EVENTS + 1))

        def proven(_: int) -> None:
            progress.step(_STEPS - 1)

        looked = policy.what_if(office, draft.organisation, draft.text, enforce=enforce, step=replayed)
        proof = draft.proof or policy.prove(office, draft.organisation, draft.text, most=0, step=proven)
        _change(office, draft.id, lambda d: replace(d, looked=looked, proof=proof))
        return Result()

    work = works.start(
        draft.organisation, by=office.by, verb=Verb.POLICY, kind=KIND, total=_STEPS, function=find_out
    )
    return _change(office, draft.id, lambda d: replace(d, work=work.id)) or draft


def _owner(office: Office) -> str:
    return office.access.token or office.access.staff.id


def _shelf(office: Office) -> _Shelf:
    with _making:
        return _shelves.setdefault(office.world.store, _Shelf())


def _change(office: Office, id: str, change: Callable[[Draft], Draft]) -> Draft | None:
    shelf = _shelf(office)
    with shelf.lock:
        known = shelf.drafts.get(id)
        if known is not None:
            known = shelf.drafts[id] = change(known)
    return known


def _forget(shelf: _Shelf, made: Draft, now: float) -> None:
    """Drops what is over or too much, the oldest first. With the lock held."""
    drafts = sorted(shelf.drafts.values(), key=lambda d: d.at, reverse=True)
    mine, octets = 0, 0
    for draft in drafts:
        same = (draft.organisation, draft.owner) == (made.organisation, made.owner)
        mine += same
        octets += 4 * len(draft.text)
        if now - draft.at >= KEPT_SECONDS or octets > MAX_OCTETS or (same and mine > MAX_OF_ONE):
            del shelf.drafts[draft.id]
