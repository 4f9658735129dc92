"""One organisation's week: what Today shows and the weekly mail says.

It needs the store and nothing of the web, so that the worker can make it too.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.console.core import today as core
from gambeson.model.finding import FindingState
from gambeson.model.organisation import Organisation
from gambeson.model.snapshot import SnapshotIndex
from gambeson.store.audit_entries import AuditQuery
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore

from .gather import Around, Gathered, gather
from .memory import remembered
from .probes import Period, past
from .tally import DAY, Day, by_kind, days

WEEK_DAYS = 7
MAX_CLOSED = 1_000
STEPS = ("connect", "people", "invite")
_MINUTES = 300.0


@dataclass(frozen=True, slots=True)
class TodayView:
    """All that the page and the weekly mail say. ``steps`` are (name, whether it is done), empty once all are."""

    organisation: Organisation
    at: float
    hours: float
    today: core.Today
    gathered: Gathered
    up: Period
    days: tuple[Day, ...]
    steps: tuple[tuple[str, bool], ...]


def view(
    whole: Store,
    store: OrganisationStore,
    organisation: Organisation,
    about: Around,
    index: SnapshotIndex,
    now: float,
) -> TodayView:
    """The organisation at ``now``. Raises what the store raises."""
    gathered = gather(whole, store, index, about, now)
    week = days(whole, organisation.id, now, WEEK_DAYS)
    alone = core.did_alone(by_kind(week), findings_closed=_closed(whole, store, now))
    hours = store.hours()
    return TodayView(
        organisation,
        now,
        hours,
        core.today(gathered.facts, hours, (door.state for door in gathered.up.doors), alone),
        gathered,
        past(whole, about.listening, now, WEEK_DAYS),
        week,
        _steps(gathered),
    )


def _closed(whole: Store, store: OrganisationStore, now: float) -> int:
    """How many findings were measured as gone in the week."""

    def count() -> int:
        query = AuditQuery(action=f"finding.{FindingState.VERIFIED}", since=now - WEEK_DAYS * DAY)
        return len(store.audit_entries.search(query, limit=MAX_CLOSED))

    return remembered(whole, ("closed", store.id), now, _MINUTES, count)


def _steps(gathered: Gathered) -> tuple[tuple[str, bool], ...]:
    people = gathered.people
    invited = people.devices > 0 or (people.factors and len(people.without_factor) < len(people.accounts))
    done = (bool(gathered.served), bool(people.accounts), bool(people.accounts) and invited)
    return () if all(done) else tuple(zip(STEPS, done, strict=True))
