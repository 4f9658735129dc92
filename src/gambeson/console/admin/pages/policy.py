"""Policy: the rules in force as a table with their text beside it, explain and prove, versions, what differs, the way
back.

The text goes to a draft (see :mod:`.policy_drafts`), where it is tried before it is saved. Nothing needs JavaScript.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gambeson.console.admin.desk import Desk, whole
from gambeson.console.admin.routing import Nav, get, post
from gambeson.console.core.policy_diff import difference
from gambeson.console.core.visible import visible
from gambeson.console.office import RefusedError
from gambeson.console.operations import policy as operations
from gambeson.console.operations import policy_drafts as drafts
from gambeson.console.web.visit import Reply, Visit, go
from gambeson.model.access import DoorKind, Rung
from gambeson.model.staff import Verb

NAV = Nav("policy", order=70)
MAX_NUMBER = 2**31 - 1
_ASKED = ("door", "account", "rung", "device", "source", "country")


@dataclass(frozen=True, slots=True)
class Asking:
    """The form of explain: what was typed, and the answer or what is wrong with the question."""

    given: Mapping[str, str]
    risk: int
    found: operations.Explained | None
    error: str


def show(desk: Desk, visit: Visit) -> Reply:
    """The page."""
    office, id = desk.office, desk.organisation.id
    asking = ask(desk, visit)
    return desk.page(
        "policy",
        422 if asking.error else 200,
        active=operations.get_active(office, id),
        policy=operations.meaning(office, id),
        observing=operations.observing(office, id),
        bypassed=operations.bypassed(office, id),
        proof=operations.proof_in_force(office, id),
        recent=operations.versions(office, id, limit=5),
        draft=drafts.newest(office, id),
        asking=asking,
        **shared(desk),
    )


def versions(desk: Desk, visit: Visit) -> Reply:
    """Every version."""
    offset = whole(visit, "offset", 0, 1_000_000)
    found = operations.versions(desk.office, desk.organisation.id, offset=offset)
    return desk.page("policy_versions", page=found, offset=offset, size=operations.PAGE, **shared(desk))


def version(desk: Desk, visit: Visit) -> Reply:
    """One version: what it says, and what differs from the one in force."""
    office, id = desk.office, desk.organisation.id
    stored = operations.get_version(office, id, _number(visit))
    active = operations.get_active(office, id)
    return desk.page(
        "policy_version",
        stored=stored,
        active=active,
        checked=operations.check(office, id, stored.source),
        change=difference(active.source, stored.source),
        side=visit.given("view", 20) == "side",
        **shared(desk),
    )


def diff(desk: Desk, visit: Visit) -> Reply:
    """What differs between two versions."""
    office, id = desk.office, desk.organisation.id
    older, newer = whole(visit, "older", 0, MAX_NUMBER), whole(visit, "newer", 0, MAX_NUMBER)
    return desk.page(
        "policy_diff",
        older=older,
        newer=newer,
        change=operations.diff(office, id, older, newer),
        page=operations.versions(office, id, limit=200),
        side=visit.given("view", 20) == "side",
        **shared(desk),
    )


def activate(desk: Desk, visit: Visit) -> Reply:
    """An older version is put in force; 0: the policy that Gambeson brings."""
    number, office = _number(visit), desk.office
    if number:
        return told(desk, operations.activate(office, desk.organisation.id, number))
    return told(desk, operations.reset(office, desk.organisation.id))


def try_version(desk: Desk, visit: Visit) -> Reply:
    """What a version would mean if it were put in force: as a draft."""
    stored = operations.get_version(desk.office, desk.organisation.id, _number(visit))
    draft = drafts.make(desk.office, desk.organisation.id, stored.source)
    if operations.check(desk.office, desk.organisation.id, draft.text).good:
        drafts.look(desk.office, drafts.prove(desk.office, draft))
    return go(f"{desk.base}/policy/drafts/{draft.id}")


def ask(desk: Desk, visit: Visit, text: str | None = None) -> Asking:
    """Explain, where somebody asked."""
    given = {name: visit.given(name, 254).strip() for name in _ASKED}
    risk = whole(visit, "risk", 0, 1_000)
    if visit.method != "GET" or not given["account"]:
        return Asking(given, risk, None, "")
    try:
        return Asking(
            given,
            risk,
            operations.explain(desk.office, desk.organisation.id, **given, risk=risk, text=text),
            "",
        )
    except RefusedError as error:
        return Asking(given, risk, None, error.sentence)


def told(desk: Desk, saved: operations.Saved) -> Reply:
    """Back to the page, which says who acts on the change."""
    return go(f"{desk.base}/policy?said={'waiting' if saved.told.missing else 'done'}")


def shared(desk: Desk) -> dict[str, Any]:
    """What every page of the policy needs."""
    return {
        "may": desk.office.may(Verb.POLICY, desk.organisation.id),
        "send": f"/policy/{desk.organisation.id}/drafts",
        "doors": tuple(DoorKind),
        "rungs": tuple(Rung),
        "seen": visible,
    }


def _number(visit: Visit) -> int:
    """The version in the path. Raises RefusedError(404)."""
    text = visit.path["version"]
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise RefusedError("not-found", "There is no such version of the policy.", 404)
    return int(text)


ROUTES = (
    get("/o/{org:str}/policy", show),
    get("/o/{org:str}/policy/versions", versions),
    get("/o/{org:str}/policy/versions/{version:str}", version),
    get("/o/{org:str}/policy/diff", diff),
    post("/o/{org:str}/policy/versions/{version:str}/try", try_version, Verb.POLICY),
    post("/o/{org:str}/policy/versions/{version:str}/activate", activate, Verb.POLICY, fresh=True),
)
