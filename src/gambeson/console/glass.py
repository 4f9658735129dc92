"""Measures whether the glass is broken and keeps its finding true in every organisation.

The console opens the finding when a code is used; the worker measures every few seconds, closes it once no session by
break-glass is open and new codes are there, and opens it where the console could not. It reads two small tables and
writes only on a change.
"""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.model.event import Event
from gambeson.model.finding import FindingState
from gambeson.store.control import Store
from gambeson.store.errors import NotFound

from .core import glass

CLOSED = "measured again: no session by break-glass is open, and there are new codes"
NOBODY = ""  # whose the sessions by break-glass are


def settle(store: Store, by: str, at: float) -> bool:
    """One round. True while the glass is broken. Raises StoreError."""
    unused, made_at = store.staff.codes()
    reason = glass.broken(unused, made_at, store.staff.sessions(NOBODY, at))
    ids = [each.id for each in store.organisations()]
    live = store.across(ids).rule_counts().get(glass.RULE, {})
    for id in ids:
        if bool(reason) != (id in live):
            _change(store, id, reason, by, at)
    return bool(reason)


def _change(store: Store, id: str, reason: str, by: str, at: float) -> None:
    try:
        findings = store.organisation(id).findings
    except NotFound:
        return  # it was removed just now
    if reason:
        findings.open(glass.finding(reason, at), by=by, at=at)
        return
    for each in findings.list(rule=glass.RULE):
        findings.close(each.id, FindingState.VERIFIED, reason=CLOSED, by=by, at=at)


def events(store: Store, use: str, source: str, at: float) -> Sequence[Event]:
    """What is recorded of a use (``use`` is its own random word): once for every organisation, and once for none."""
    return [
        Event(
            id=f"console-glass-{use}-{number}",
            at=at,
            kind=glass.USED,
            organisation=organisation,
            source=source,
            data={"use": use},
        )
        for number, organisation in enumerate(["", *(each.id for each in store.organisations())])
    ]
