"""Doors: how each one is, what it demands and what is reached, what was decided just now, and how far it holds.

Whether a door is up is the prober's word; of a web door that of the https listeners, which serve all of them. One that
answers while the mail server behind it does not, or while a process holds old accounts and policy, is *degraded*. What
nobody measured is said to be that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gambeson.console.core.availability import SILENCE, Availability, Up, availability, combined
from gambeson.console.office import Office, RefusedError
from gambeson.console.probes import Probe
from gambeson.guard.core.compiled import compiled_policy
from gambeson.model.access import MAIL_DOORS, DoorKind, Mode, Rung
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, PolicyException
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Verb
from gambeson.process.worker_client import WorkerGone, WorkerRefused
from gambeson.store.decisions import ALLOWED, REFUSED, Counts
from gambeson.store.policy import Bypass

from .gather import exceptions, lax_modes
from .memory import remembered
from .served import served_doors

HOUR, DAY = 3600.0, 86400.0
FRESH, SOME, LONG = (
    2.0,
    60.0,
    600.0,
)  # seconds for which figures are kept: of an hour, a door's day, a whole day
NEWEST = 20
MAX_PROBES = 10_000


@dataclass(frozen=True, slots=True)
class Proof:
    """The rung that a door demands, and those that were reached (None: nobody came in). ``hours`` says of how long."""

    demanded: Rung
    lowest: Rung | None = None
    usual: Rung | None = None
    hours: int = 1

    @property
    def short(self) -> bool:
        """Somebody came in with less than the door demands."""
        return self.lowest is not None and self.lowest < self.demanded


@dataclass(frozen=True, slots=True)
class DoorView:
    """One door. ``since`` 0: not known. ``laxest`` is the mode of whom it holds least for; ``modes`` what is not
    enforced, ``exceptions`` what goes below the floor; ``trouble`` sentences about what is behind it."""

    door: DoorKind
    state: Up
    since: float
    sentence: str
    probes: tuple[Probe, ...]
    proof: Proof
    allowed: int
    refused: int
    laxest: Mode
    modes: tuple[ModeEntry, ...]
    exceptions: tuple[PolicyException, ...]
    trouble: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many were refused; ``door`` and the record's word for it."""

    door: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One decision for a list. ``who`` is an address, ``proven`` whether that was proven."""

    event: Event
    allowed: bool
    who: str
    proven: bool
    reason: str
    rung: str


@dataclass(frozen=True, slots=True)
class Live:
    """The last hour. ``whole`` False: there was more than was counted."""

    allowed: int
    refused: int
    reasons: tuple[Reason, ...]
    newest: tuple[Shown, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Doors:
    """All of it. ``lagging`` are the processes that hold an old snapshot (None: the worker does not answer)."""

    doors: tuple[DoorView, ...]
    live: Live
    bypass: Bypass | None
    lagging: tuple[str, ...] | None
    at: float


def overview(office: Office, organisation: str) -> Doors:
    """Every door that is served for this organisation. Raises RefusedError."""
    org = office.organisation(organisation)
    index, served = office.index(), served_here(office, organisation)
    hour = _counts(office, organisation, HOUR)
    probes, late = probes_of(office), lagging(office)
    troubled = _behind(office, organisation)
    views = [_view(office, organisation, index, d, hour, probes, late, troubled) for d in served]
    bypass = org.bypass.get()
    open_ = bypass if bypass is not None and bypass.until > office.at else None
    return Doors(tuple(views), live(office, organisation), open_, late, office.at)


def one(office: Office, organisation: str, door: str) -> DoorView:
    """One door. Raises RefusedError(404) where it is not served here."""
    office.organisation(organisation)
    kind = served_door(office, organisation, door)
    hour = _counts(office, organisation, HOUR)
    return _view(
        office,
        organisation,
        office.index(),
        kind,
        hour,
        probes_of(office),
        lagging(office),
        _behind(office, organisation),
    )


def served_here(office: Office, organisation: str) -> tuple[DoorKind, ...]:
    """The doors of an organisation that the asker may read."""
    return served_doors(office.facts.servers, office.facts.sites, organisation)


def served_door(office: Office, organisation: str, door: str) -> DoorKind:
    """The door of that name. Raises RefusedError(404) where it is not served here."""
    found = next((d for d in served_here(office, organisation) if d == door), None)
    if found is None:
        raise RefusedError("not-found", "There is no such door here.", 404)
    return found


def live(office: Office, organisation: str, door: str = "") -> Live:
    """The last hour's decisions, at one door or at all. Raises RefusedError."""
    org, index = office.organisation(organisation), office.index()
    counts = _counts(office, organisation, HOUR)
    mine = [c for c in counts.counts if door in ("", c.door)]
    refused = [c for c in mine if c.kind not in ALLOWED]
    newest = remembered(
        office.world.store,
        ("newest", organisation, door),
        office.at,
        FRESH,
        lambda: org.decisions.newest(office.at - HOUR, NEWEST, door=door),
    )
    return Live(
        allowed=sum(c.count for c in mine if c.kind in ALLOWED),
        refused=sum(c.count for c in refused),
        reasons=_reasons((c.door, c.reason, c.count) for c in refused),
        newest=tuple(shown(event, index) for event in newest),
        whole=counts.whole,
    )


def history(
    office: Office, organisation: str, door: DoorKind
) -> tuple[Availability, list[tuple[float, int, int]]]:
    """A day of one door: when it was up, and by hour (start, let in, refused). Raises RefusedError."""
    org, store, now = office.organisation(organisation), office.world.store, office.at
    heard = listened(door)
    first = now - DAY

    def look() -> tuple[Availability, dict[int, dict[str, int]]]:
        events = store.events.recent("door.probe", first - SILENCE, MAX_PROBES)
        of_door = [event for event in events if event.door == heard]
        hours = org.decisions.hours((first // HOUR + 1) * HOUR, door)
        return availability(of_door, first, now, [heard]), hours

    up, hours = remembered(store, ("door-day", organisation, door), now, SOME, look)
    starts = [int(first // HOUR) + 1 + i for i in range(24)]
    rows = []
    for start in starts:
        kinds = hours.get(start, {})
        allowed = sum(n for kind, n in kinds.items() if kind in ALLOWED)
        rows.append((start * HOUR, allowed, sum(kinds.values()) - allowed))
    return up, rows


def listened(door: DoorKind) -> str:
    """The door's word in what the prober records: the web doors have the https listener in common."""
    return door.value if door in MAIL_DOORS else DoorKind.WEBMAIL.value


def shown(event: Event, index: SnapshotIndex) -> Shown:
    """An event as a line. Names come from the accounts as they are now."""
    account = index.account.get(event.account) if event.account else None
    own = account is not None and account.organisation == event.organisation
    who = account.address if own and account is not None else str(event.data.get("claimed", ""))
    data = event.data
    reason = str(data.get("reason") or data.get("why") or data.get("failure") or "")
    return Shown(
        event, event.kind in ALLOWED, who[:254], bool(event.account), reason[:200], str(data.get("rung", ""))
    )


def probes_of(office: Office) -> tuple[Probe, ...]:
    """How every listener is; blind where nobody probes."""
    prober = office.world.probes
    if prober is not None:
        return prober.states(office.at)
    return tuple(
        Probe(each.name, each.door, Up.BLIND, sentence="Nobody probes this listener.")
        for each in office.facts.listeners
    )


def lagging(office: Office) -> tuple[str, ...] | None:
    """The processes that hold an old snapshot; None where the worker does not answer."""

    def ask() -> tuple[str, ...] | None:
        try:
            health = office.world.worker.health()
        except (WorkerGone, WorkerRefused):
            return None
        return tuple(sorted(name for name, held in health.followers.items() if held < health.number))

    return remembered(office.world.store, "lagging", office.at, FRESH, ask)


def laxest(modes: Iterable[ModeEntry]) -> Mode:
    """Of entries that do not enforce: the one that holds least."""
    found = {entry.mode for entry in modes}
    return Mode.OBSERVE if Mode.OBSERVE in found else Mode.WARN if Mode.WARN in found else Mode.ENFORCE


def _counts(office: Office, organisation: str, seconds: float) -> Counts:
    org, keep = office.organisation(organisation), FRESH if seconds == HOUR else LONG
    key = ("decisions", organisation, seconds)
    return remembered(
        office.world.store, key, office.at, keep, lambda: org.decisions.counts(office.at - seconds)
    )


def _view(
    office: Office,
    organisation: str,
    index: SnapshotIndex,
    door: DoorKind,
    hour: Counts,
    probes: Sequence[Probe],
    late: tuple[str, ...] | None,
    troubled: Mapping[str, tuple[str, ...]],
) -> DoorView:
    policy = index.policy.get(organisation)
    modes = tuple(lax_modes(policy.modes if policy else (), door, office.at))
    mine = tuple(probe for probe in probes if probe.door == listened(door))
    trouble = troubled.get(door, ())
    if late and any(name.startswith("doors") for name in late):
        trouble = (*trouble, "A door process holds old accounts and policy.")
    state, since, sentence = _state(mine, bool(trouble))
    counts = [c for c in hour.counts if c.door == door]
    return DoorView(
        door=door,
        state=state,
        since=since,
        sentence=sentence,
        probes=mine,
        proof=_proof(office, organisation, index, door, hour),
        allowed=sum(c.count for c in counts if c.kind in ALLOWED),
        refused=sum(c.count for c in counts if c.kind in REFUSED),
        laxest=laxest(modes),
        modes=modes,
        exceptions=tuple(e for e in exceptions(index, organisation, office.at) if e.door is door),
        trouble=trouble,
    )


def _state(probes: Sequence[Probe], trouble: bool) -> tuple[Up, float, str]:
    """All listeners of a door as one; since when, and what the worst says."""
    if not probes:
        return Up.BLIND, 0.0, "No listener is known that serves this door."
    state = combined(probe.state for probe in probes)
    if state is Up.UP:
        return Up.DEGRADED if trouble else Up.UP, max(p.since for p in probes), ""
    worst = [p for p in probes if p.state is (Up.BLIND if state is Up.BLIND else Up.DOWN)]
    first = min(worst, key=lambda p: p.since)
    return state, first.since, first.sentence


def _proof(office: Office, organisation: str, index: SnapshotIndex, door: DoorKind, hour: Counts) -> Proof:
    demanded = compiled_policy(index, organisation).floor(door, frozenset())
    for hours, counts in ((1, hour), (24, None)):
        known = counts or _counts(office, organisation, DAY)
        rungs: dict[Rung, int] = {}
        for c in known.counts:
            if c.door == door and c.kind in ALLOWED and (rung := _rung(c.rung)) is not None:
                rungs[rung] = rungs.get(rung, 0) + c.count
        if rungs:
            usual = max(rungs, key=lambda rung: (rungs[rung], -rung))
            return Proof(demanded, min(rungs), usual, hours)
    return Proof(demanded, hours=24)


def _rung(word: str) -> Rung | None:
    try:
        return Rung.from_word(word)
    except ValueError:
        return None


def _behind(office: Office, organisation: str) -> dict[str, tuple[str, ...]]:
    """By door what the findings say of the mail servers behind it."""
    found: dict[str, tuple[str, ...]] = {}
    for finding in office.organisation(organisation, Verb.READ).findings.list(
        rule="server.unreachable", limit=100
    ):
        door = finding.asset_name.rpartition(" ")[2]
        found[door] = (*found.get(door, ()), finding.reason)
    return found


def _reasons(counts: Iterable[tuple[str, str, int]]) -> tuple[Reason, ...]:
    """The ten that stopped most."""
    sums: dict[tuple[str, str], int] = {}
    for door, reason, count in counts:
        sums[(door, reason)] = sums.get((door, reason), 0) + count
    found = sorted((Reason(door, reason, n) for (door, reason), n in sums.items()), key=lambda r: -r.count)
    return tuple(found[:10])
