"""The store as the worker needs it: snapshots out, events and their cursor in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from gambeson.guard.core.web.eas_findings import SEEN
from gambeson.model.event import Event
from gambeson.model.server import MailServer
from gambeson.model.snapshot import Snapshot
from gambeson.model.web import Site
from gambeson.process.ingestion import Cursor
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, NotFound
from gambeson.store.events import Cursor as StoredCursor
from gambeson.store.events import Failure

from .publishing import build_snapshot

# What counts towards the 100 guesses a day: attempts that proved nothing and were not let in. One that a closed
# throttle refused was no guess; were it counted, knocking on would keep the throttle closed for ever.
_GUESSES = ("door.login.refused",)
_DOORS = "a door"  # who tells of first DeviceIds, for the audit log


class WorkerStore:
    """See :class:`gambeson.process.worker.WorkerStore`. Runs on the worker's one store thread."""

    def __init__(
        self,
        store: Store,
        servers: Sequence[MailServer],
        enrolment_url: str = "",
        sites: Sequence[Site] = (),
    ) -> None:
        self._store, self._servers, self._sites = store, servers, sites
        self._enrolment_url = enrolment_url
        self._places = dict(self._store.events.cursors())
        self._account_of: Mapping[str, str] = {}
        self._firsts: set[str] = set()  # credentials whose first DeviceId is known
        self.troubles: tuple[str, ...] = ()
        self.newest: Snapshot | None = None

    def build(self, number: int, now: float) -> Snapshot:
        """The present state as a snapshot of that number."""
        parts = self._store.load_snapshot_parts(now)
        snapshot, self.troubles = build_snapshot(
            parts, self._servers, number, now, self._enrolment_url, self._sites
        )
        self.newest = snapshot
        self._firsts = {credential for credential, _ in parts.eas_firsts}
        self._account_of = {n: a.id for a in parts.accounts for n in (a.address, *a.aliases)}
        return snapshot

    def ingest(self, events: Sequence[Event], cursor: Cursor) -> None:
        """Store events, the failed guesses among them, and the cursor, in one transaction. Before it each credential's
        first DeviceId: a batch that comes again after a crash changes nothing there."""
        self._keep_firsts(events)
        before = self._places.get(cursor.segment, 0)
        place = StoredCursor(cursor.segment, before, cursor.offset)
        self._store.events.append(events, place, failures=tuple(self._failures(events)))
        self._places[cursor.segment] = cursor.offset

    def _keep_firsts(self, events: Sequence[Event]) -> None:
        for event in events:
            credential, name = (str(event.data.get(key, "")) for key in ("credential", "device_id"))
            new = event.kind == SEEN and event.data.get("first") is True
            if not new or not credential or credential in self._firsts:
                continue
            # What a door says may be made up: it can name a credential of the account that has no first yet.
            with suppress(BadValue, NotFound):
                devices = self._store.organisation(event.organisation).eas_devices
                devices.came_first(credential, event.account, name, by=_DOORS, at=event.at)
                self._firsts.add(credential)

    def _failures(self, events: Sequence[Event]) -> Iterator[Failure]:
        for event in events:
            claimed = str(event.data.get("claimed", ""))
            throttled = event.data.get("reason") == "throttled"
            if event.kind in _GUESSES and not event.account and claimed and not throttled:
                subject = self._account_of.get(claimed, claimed)
                yield Failure(event.id, event.organisation, subject, event.at)

    def cursors(self) -> Mapping[str, int]:
        """Every stored cursor."""
        return self._store.events.cursors()

    def forget(self, segment: str) -> None:
        """A segment is gone for good."""
        self._store.events.forget_spool(segment)
        self._places.pop(segment, None)
