"""The worker's chore that measures the doors and keeps the findings true.

Every round asks the worker how the processes are, reads what was recorded, has ``guard.core.health`` say what is wrong,
and brings the store in line: opened, seen again, or closed because it was measured as right. Nothing is closed because
nobody looked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gambeson.guard.core import health, notice_portal
from gambeson.guard.core.health import Kept, Recorded, Running
from gambeson.guard.core.notice import CAUSE, KIND, REASON
from gambeson.guard.core.policy_toml import PolicyError, parse_policy
from gambeson.model.asset import DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Finding, FindingState
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.store.control import Store
from gambeson.store.jobs import JobState
from gambeson.store.tenant import OrganisationStore

from .chores import repeat

EVERY_SECONDS = 5.0
SEEN_EVERY = 60.0  # a finding that is still true is written no more often
_DAY = 86400.0
_MANY = 500
_EAS_EVERY = 60.0  # seconds between two looks at the records of ActiveSync devices, which may be many
_EAS_MANY = 5000
_LIVE = (FindingState.OPEN, FindingState.ACKNOWLEDGED, FindingState.WAIVED)
BY = "worker"


@dataclass(slots=True)
class Lag:
    """For how long each follower has not acknowledged the newest snapshot."""

    _since: dict[str, float] = field(default_factory=dict)

    def behind(self, number: int, followers: Mapping[str, int], now: float) -> dict[str, float]:
        """Seconds by follower, of those that lag. ``now`` by a clock that nobody sets."""
        self._since = {n: self._since.get(n, now) for n, held in followers.items() if held < number}
        return {name: now - since for name, since in self._since.items()}


class Findings:
    """``running()`` is asked on the loop; ``snapshot()`` gives the newest that was built, None before the first."""

    def __init__(
        self,
        store: Store,
        running: Callable[[], Running],
        snapshot: Callable[[], Snapshot | None],
        *,
        warn_age: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._running, self._snapshot = store, running, snapshot
        self._warn_age, self._clock = warn_age, clock
        self._policies: dict[
            str, tuple[int, str]
        ] = {}  # by organisation: version looked at, and what is wrong
        self._eas: dict[str, tuple[float, Sequence[Event]]] = {}  # by organisation: when read, and what

    async def run(self) -> None:
        """For ever, beginning a little later: what was never tried would look as if it worked."""
        await asyncio.sleep(EVERY_SECONDS)
        await repeat("measuring the doors", EVERY_SECONDS, self._step)

    async def _step(self) -> None:
        running, snapshot = self._running(), self._snapshot()
        if snapshot is not None:
            await asyncio.to_thread(self.step, running, snapshot)

    def step(self, running: Running, snapshot: Snapshot) -> None:
        """One round. Blocks. Raises what the store raises; the next round does it again."""
        now = self._clock()
        index = SnapshotIndex(snapshot)
        for organisation in snapshot.organisations:
            store = self._store.organisation(organisation.id)
            live = store.findings.list(states=_LIVE)
            kept = self._kept(store, index)
            recorded = self._recorded(store, index, live, now)
            measured, well = health.measure(running, recorded, kept, now, self._warn_age)
            self._settle(store, measured, well | health.gone(live, running, kept), live, now)

    def _settle(
        self,
        store: OrganisationStore,
        measured: Sequence[Finding],
        well: set[health.Name],
        live: Sequence[Finding],
        now: float,
    ) -> None:
        before = {(f.rule, f.asset_name): f for f in live}
        for finding in measured:
            known = before.get((finding.rule, finding.asset_name))
            waived_out = known is not None and 0 < known.waived_until <= now
            if known is None or waived_out or not 0 <= now - known.last_seen < SEEN_EVERY:
                store.findings.open(finding, by=BY, at=now)
        for finding in health.changes(measured, well, live):
            reason = "measured again: it is not so any more"
            store.findings.close(finding.id, FindingState.VERIFIED, reason=reason, by=BY, at=now)

    def _kept(self, store: OrganisationStore, index: SnapshotIndex) -> Kept:
        mine = [d for d in index.snapshot.devices if d.organisation == store.id]
        return Kept(
            policy=index.policy.get(store.id),
            policy_error=self._policy_error(store),
            bypass_until=index.bypass_until.get(store.id, 0.0),
            devices=mine,
            accounts=index.account,
            servers=index.servers.get(store.id, ()),
        )

    def _policy_error(self, store: OrganisationStore) -> str:
        """Why the saved policy is not the one that holds; a version never changes, so it is read once."""
        source = store.policies.active()
        if source is None:
            return ""
        version, error = self._policies.get(store.id, (0, ""))
        if version != source.version:
            error = ""
            try:
                parse_policy(source.source, store.id)
            except PolicyError as trouble:
                error = f"version {source.version}: {trouble}"
            self._policies[store.id] = (source.version, error)
        return error

    def _eas_events(self, store: OrganisationStore, now: float) -> Sequence[Event]:
        at, events = self._eas.get(store.id, (-_EAS_EVERY, ()))
        if not 0 <= now - at < _EAS_EVERY:
            events = store.events.query(kind="door.eas", since=now - _DAY, limit=_EAS_MANY)
            self._eas[store.id] = (now, events)
        return events

    def _recorded(
        self, store: OrganisationStore, index: SnapshotIndex, live: Sequence[Finding], now: float
    ) -> Recorded:
        since = now - _DAY
        servers = self._store.events.recent("door.server", since, _MANY)
        failed = store.events.query(kind="door.login.failed", since=since, limit=_MANY)
        return Recorded(
            servers=servers,
            failed=failed,
            allowed=_served(store, servers, failed, live, since),
            quarantined=list(_asking(store, index, now)),
            undelivered=_undelivered(store, since),
            eas=self._eas_events(store, now),
        )


def _served(
    store: OrganisationStore,
    servers: Sequence[Event],
    failed: Sequence[Event],
    live: Sequence[Finding],
    since: float,
) -> list[Event]:
    """Sign-ins that were served by servers about which something bad is known: the first of each after it."""
    bad: dict[str, float] = {}
    for event in (*servers, *failed):
        name = str(event.data.get("server", ""))
        if name and event.kind != "door.server.reachable":
            bad[name] = max(event.at, bad.get(name, 0.0))
    for finding in live:
        if finding.rule.startswith("server."):
            name = (
                finding.asset_name.rpartition(" ")[0]
                if finding.rule.endswith("unreachable")
                else finding.asset_name
            )
            bad.setdefault(name, since)
    found: list[Event] = []
    for name, at in bad.items():
        for door in ("imap", "pop3", "submission", "sieve"):
            events = store.events.query(kind="door.login.allowed", door=door, since=at, limit=_MANY)
            found += [e for e in events if e.data.get("server") == name][:1]
    return found


def _asking(store: OrganisationStore, index: SnapshotIndex, now: float) -> Iterable[Event]:
    """The newest try of each device in quarantine, of the last week."""
    for device in index.snapshot.devices:
        if device.organisation == store.id and device.state is DeviceState.QUARANTINED:
            events = store.events.query(kind=CAUSE, device=device.id, since=now - 7 * _DAY, limit=20)
            yield from [e for e in events if e.data.get("reason") == REASON][:1]


def _undelivered(store: OrganisationStore, since: float) -> list[str]:
    jobs = store.jobs.list(states=(JobState.FAILED,), limit=50)
    return [
        str(j.result)
        for j in jobs
        if j.kind in (KIND, notice_portal.KIND)
        and j.changed_at >= since
        and not str(j.result).startswith("not sent")
    ]


def damaged_files(spool: Path) -> list[str]:
    """Segments that were put aside because they hold octets that are no events."""
    return sorted(path.name for path in spool.glob("*.damaged"))
