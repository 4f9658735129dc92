"""What is known of one organisation now, for Today, the report and the weekly mail.

It asks the store and nothing of the web, so that the worker can use it too. What hangs on the control data alone is
reckoned once per snapshot; what is counted among events is remembered for a while (``memory.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from gambeson.console.core.availability import Availability, Up
from gambeson.console.core.chores import DoorFact, EndingFact, Facts, SideDoorFact
from gambeson.console.core.matrix import EXCEPTION, matrix
from gambeson.guard.core.ready import ready
from gambeson.model.access import BROWSER_DOORS, DoorKind, Mode, Rung
from gambeson.model.asset import DeviceState
from gambeson.model.finding import Finding
from gambeson.model.rule import ModeEntry, PolicyException
from gambeson.model.snapshot import SnapshotIndex
from gambeson.store.control import Store
from gambeson.store.eas_devices import QUARANTINED
from gambeson.store.tenant import OrganisationStore

from .kept import Kept, kept
from .memory import remembered
from .probes import present
from .served import served_doors

DAY = 86400.0
UNUSED = 180 * DAY
MAX_FINDINGS = 200  # of the worst; Today shows five
MAX_LOGINS = 1_000  # the newest, put to enforcement where a door only watches
SOME_MINUTES, HOUR = 300.0, 3600.0
# What these findings say stands among the facts already, with more detail.
_SAID_OTHERWISE = frozenset(
    (
        "policy.exception-open",
        "policy.not-enforced",
        "policy.bypassed",
        "device.quarantined",
        "doors.not-acknowledging",
    )
)


@dataclass(frozen=True, slots=True)
class Around:
    """What the store does not know: ``listening`` are the doors that have a listener, ``lagging`` how many processes
    lack the newest snapshot (None: the worker does not answer, so nothing is measured either). ``whole``: who asks
    looks after the installation as well; else its safety is not their business. ``shields_off`` are the ids of shields
    that were measured as ineffective."""

    listening: tuple[str, ...]
    lagging: int | None = 0
    whole: bool = True
    shields_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """Ids of enabled accounts, and of those that have no device or no second factor; ``factors``: one is of use here,
    because a door asks for it."""

    accounts: tuple[str, ...]
    without_device: tuple[str, ...]
    without_factor: tuple[str, ...]
    factors: bool
    devices: int
    quarantined: int
    eas_waiting: int
    old_devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """All of it. ``facts`` go to the core; ``up`` is the last hour's availability: how things are now."""

    facts: Facts
    people: People
    served: tuple[DoorKind, ...]
    up: Availability


def gather(
    store: Store, organisation: OrganisationStore, index: SnapshotIndex, around: Around, now: float
) -> Gathered:
    """The organisation at ``now``. Raises what the store raises."""
    id = organisation.id
    served = served_doors(index.snapshot.servers, index.snapshot.sites, id)
    people = people_of(organisation, index, served, now)
    doors = tuple(door_facts(index, id, served, now))
    known = kept(store, now) if around.whole else Kept(now, False, now)
    up = present(store, around.listening, now)
    codes_left, codes_used_at = _codes(store) if around.whole else (None, 0.0)
    policy = index.policy.get(id)
    facts = Facts(
        now=now,
        accounts=len(people.accounts),
        findings=None if around.lagging is None else tuple(_findings(organisation)),
        quarantined=people.quarantined,
        eas_waiting=people.eas_waiting,
        doors=doors,
        stopped=_stopped(store, organisation, index, doors, now),
        side_doors=tuple(side_doors(index, id, served, now)),
        shields_off=around.shields_off,
        exceptions=tuple(EndingFact(e.name, e.until) for e in (policy.exceptions if policy else ())),
        bypass_until=index.bypass_until.get(id, 0.0),
        codes_left=codes_left,
        codes_used_at=codes_used_at,
        lagging=around.lagging or 0,
        unused_devices=_unused(store, organisation, people.old_devices, now),
        without_second_factor=len(people.without_factor) if people.factors else 0,
        without_device=len(people.without_device),
        audit_verified_at=known.audit_verified_at,
        audit_broken=known.audit_broken,
        backup_at=known.backup_at,
        down=tuple(d.door for d in up.doors if d.state in (Up.DOWN, Up.DEGRADED)),
        blind=tuple(d.door for d in up.doors if d.state is Up.BLIND),
    )
    return Gathered(facts, people, served, up)


def people_of(
    organisation: OrganisationStore, index: SnapshotIndex, served: Sequence[DoorKind], now: float
) -> People:
    """Kept with the snapshot; a device whose end came since is counted again with the next."""
    key = f"console:today:{organisation.id}"
    found = index.memo.get(key)
    if not isinstance(found, People):
        found = index.memo[key] = _people(organisation, index, served, now)
    return found


def _people(
    organisation: OrganisationStore, index: SnapshotIndex, served: Sequence[DoorKind], now: float
) -> People:
    id, snapshot = organisation.id, index.snapshot
    accounts = tuple(a.id for a in snapshot.accounts if a.organisation == id and a.enabled)
    mine = [d for d in snapshot.devices if d.organisation == id]
    good = [d for d in mine if d.state is DeviceState.REGISTERED and not 0 < d.expires_at <= now]
    with_device = {d.account for d in good}
    holders = organisation.authenticators.holders()
    own = frozenset(accounts)
    return People(
        accounts=accounts,
        without_device=tuple(a for a in accounts if a not in with_device),
        without_factor=tuple(a for a in accounts if a not in holders),
        factors=bool(set(served) & set(BROWSER_DOORS)),
        devices=len(mine),
        quarantined=sum(d.state is DeviceState.QUARANTINED for d in mine),
        eas_waiting=sum(a in own and word == QUARANTINED for a, _, word in snapshot.eas_devices),
        old_devices=tuple(d.id for d in good if d.created_at <= now - UNUSED),
    )


def door_facts(
    index: SnapshotIndex, organisation: str, served: Iterable[DoorKind], now: float
) -> Iterable[DoorFact]:
    """How far each door holds: the laxest mode that is in force for anybody, and when it ends."""
    policy = index.policy.get(organisation)
    entries = policy.modes if policy else ()
    for door in served:
        lax = lax_modes(entries, door, now)
        if lax:
            mode = Mode.OBSERVE if any(m.mode is Mode.OBSERVE for m in lax) else Mode.WARN
            yield DoorFact(door, mode, max(m.until for m in lax))
        else:
            yield DoorFact(door, Mode.ENFORCE)


def lax_modes(entries: Iterable[ModeEntry], door: DoorKind, now: float) -> list[ModeEntry]:
    """The entries by which a door does not enforce, for all or for some."""
    return [m for m in entries if m.door is door and m.mode is not Mode.ENFORCE and now < m.until]


def exceptions(index: SnapshotIndex, organisation: str, now: float) -> tuple[PolicyException, ...]:
    """Those of the policy that are not over."""
    policy = index.policy.get(organisation)
    return tuple(e for e in (policy.exceptions if policy else ()) if now < e.until)


def side_doors(
    index: SnapshotIndex, organisation: str, served: Sequence[DoorKind], now: float
) -> Iterable[SideDoorFact]:
    """Doors that an exception lets somebody past the floor of. What a mode or the bypass opens is told as that."""
    if organisation not in index.organisation:
        return
    found = matrix(index, organisation, served, now)
    for place, door in enumerate(found.doors):
        cells = [(c.cells[place], len(c.accounts)) for c in found.classes]
        open_ = [(cell, n) for cell, n in cells if cell.side_door and cell.why == EXCEPTION]
        if open_:
            lowest = min(
                (cell.lowest for cell, _ in open_ if cell.lowest is not None), default=Rung.KNOWLEDGE
            )
            yield SideDoorFact(door, sum(n for _, n in open_), lowest)


def _findings(organisation: OrganisationStore) -> Iterable[Finding]:
    found = organisation.findings.list(limit=MAX_FINDINGS)
    return (finding for finding in found if finding.rule not in _SAID_OTHERWISE)


def _stopped(
    store: Store,
    organisation: OrganisationStore,
    index: SnapshotIndex,
    doors: Iterable[DoorFact],
    now: float,
) -> int:
    """How many accounts enforcement would stop, of those that came in lately where a door only watches."""
    watching = {fact.door.value for fact in doors if fact.mode is not Mode.ENFORCE}
    if not watching:
        return 0

    def count() -> int:
        events = organisation.events.query(kind="door.login.allowed", since=now - 7 * DAY, limit=MAX_LOGINS)
        asked = (event for event in events if event.door in watching)
        return len({each.account for each in ready(asked, index, now, organisation.id).stopped})

    key = ("stopped", organisation.id, tuple(sorted(watching)), store.change_counter())
    return remembered(store, key, now, 2 * SOME_MINUTES, count)


def _unused(store: Store, organisation: OrganisationStore, old: Sequence[str], now: float) -> int:
    """How many of the old devices were not let in for half a year."""
    if not old:
        return 0

    def last() -> Mapping[str, tuple[float, str, str]]:
        return organisation.events.last_use()

    used = remembered(store, ("last-use", organisation.id), now, 12 * HOUR, last)
    return sum(used.get(device, (-inf, "", ""))[0] <= now - UNUSED for device in old)


def _codes(store: Store) -> tuple[int, float]:
    """How many break-glass codes are good, and when one was used since the last were made (0: none was)."""
    good, _ = store.staff.codes()
    return good, store.staff.code_used_at()
