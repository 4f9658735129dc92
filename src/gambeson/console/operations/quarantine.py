"""The quarantine queue: devices that are answered and served nothing, and ActiveSync phones that wait for a word.

A phone waits where somebody put it there, or where a door turned it away because it came with another phone's
credential, or because the account has too many. What the doors said of phones is remembered, and read on from there:
a month of a large record is read once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from gambeson.console.office import Office
from gambeson.guard.core.web.eas import Outcome
from gambeson.guard.core.web.eas_findings import REFUSED
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.snapshot import SnapshotIndex
from gambeson.store.control import Store
from gambeson.store.eas_devices import QUARANTINED
from gambeson.store.tenant import OrganisationStore

PAGE = 20  # a form has few fields
LOOKED_BACK = 30 * 86400.0
MAX_READ, MAX_PHONES = 5_000, 5_000
_LATE = 600.0  # an event may be written down that much after another that was later
_TURNED_AWAY = (Outcome.OTHER_DEVICE.value, Outcome.TOO_MANY.value)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One that waits. ``phone`` is an ActiveSync DeviceId (empty: a registered device, ``device``). ``rung`` is the
    word of the proof that it showed last (empty: none was seen), ``why`` a stable word; times are 0 where nothing was
    seen."""

    account: str
    address: str
    device: str = ""
    name: str = ""
    phone: str = ""
    program: str = ""
    source: str = ""
    country: str = ""
    door: str = ""
    rung: str = ""
    proofs: tuple[CredentialKind, ...] = ()
    doors: tuple[DoorKind, ...] = ()
    why: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0

    @property
    def key(self) -> str:
        """What a form calls it."""
        return f"eas {self.account} {self.phone}" if self.phone else f"device {self.device}"


@dataclass(frozen=True, slots=True)
class Queue:
    """Some that wait, and how many do."""

    waiting: Sequence[Waiting]
    devices: int
    phones: int

    @property
    def total(self) -> int:
        """How many wait."""
        return self.devices + self.phones


@dataclass(frozen=True, slots=True)
class _Seen:
    account: str
    phone: str
    first: float
    last: Event


@dataclass
class _Memory:
    upto: float = 0.0
    seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_memories: WeakKeyDictionary[Store, dict[str, _Memory]] = WeakKeyDictionary()
_lock = threading.Lock()


def queue(office: Office, organisation: str, *, offset: int = 0, limit: int = PAGE) -> Queue:
    """Who waits: devices by account, then phones by when they came first. Raises RefusedError."""
    store = office.organisation(organisation)
    index = office.index()
    state = DeviceState.QUARANTINED
    devices = store.devices.count(state=state)
    phones = _phones(office, organisation, index)
    found = [
        _device(store, index, device.id)
        for device in (
            store.devices.list(state=state, limit=limit, offset=offset) if offset < devices else ()
        )
    ]
    start = max(0, offset - devices)
    found += phones[start : start + limit - len(found)]
    return Queue(found, devices, len(phones))


def counts(office: Office, organisation: str) -> int:
    """How many wait. Raises RefusedError."""
    store = office.organisation(organisation)
    return store.devices.count(state=DeviceState.QUARANTINED) + len(
        _phones(office, organisation, office.index())
    )


def _device(store: OrganisationStore, index: SnapshotIndex, id: str) -> Waiting:
    device = store.devices.get(id)
    events = store.events.query(device=id, limit=20)
    last = next((e for e in events if e.door), None)
    account = index.account.get(device.account)
    proofs = tuple(c.kind for c in store.credentials.list(device=id) if not c.revoked_at)
    made = Waiting(
        device.account,
        account.address if account is not None else device.account,
        device=id,
        name=device.name,
        proofs=proofs,
        doors=device.doors,
        why="quarantined",
        first_seen=device.created_at,
    )
    return made if last is None else _with(made, last)


def _with(waiting: Waiting, event: Event) -> Waiting:
    def said(key: str) -> str:
        return str(event.data.get(key, "") or "")[:200]

    return replace(
        waiting,
        program=said("program"),
        source=event.source,
        country=said("country"),
        door=event.door,
        rung=said("rung"),
        last_seen=event.at,
    )


def _phones(office: Office, organisation: str, index: SnapshotIndex) -> list[Waiting]:
    seen = _turned_away(office, organisation)
    found = []
    for each in seen.values():
        word = index.eas_device.get((each.account, each.phone), "")
        account = index.account.get(each.account)
        if word in ("", QUARANTINED) and account is not None and account.organisation == organisation:
            made = Waiting(
                each.account,
                account.address,
                phone=each.phone,
                why=str(each.last.data.get("why", ""))[:64],
                first_seen=each.first,
            )
            found.append(_with(made, each.last))
    for (whose, phone), word in index.eas_device.items():
        account = index.account.get(whose)
        if word != QUARANTINED or account is None or account.organisation != organisation:
            continue
        if (whose, phone) not in seen:
            found.append(Waiting(whose, account.address, phone=phone, why=Outcome.QUARANTINED.value))
    return sorted(found, key=lambda w: (w.first_seen, w.account, w.phone))


def _turned_away(office: Office, organisation: str) -> Mapping[tuple[str, str], _Seen]:
    """What doors turned away lately, by account and DeviceId. The caller may read the organisation."""
    world = office.world.store
    with _lock:
        memory = _memories.setdefault(world, {}).setdefault(organisation, _Memory())
    with memory.lock:
        since = max(office.at - LOOKED_BACK, memory.upto - _LATE)
        events = world.organisation(organisation).events.query(kind=REFUSED, since=since, limit=MAX_READ)
        for event in reversed(events):
            phone = str(event.data.get("device_id", "")).lower()
            if not phone or not event.account or event.data.get("why") not in _TURNED_AWAY:
                continue
            key = (event.account, phone)
            known = memory.seen.pop(key, None)
            memory.seen[key] = _Seen(*key, known.first if known else event.at, event)
            memory.upto = max(memory.upto, event.at)
        old = office.at - LOOKED_BACK
        memory.seen = {k: s for k, s in memory.seen.items() if s.last.at >= old}
        while len(memory.seen) > MAX_PHONES:
            del memory.seen[next(iter(memory.seen))]
        # The next time begins where this one ended, though nothing was found.
        memory.upto = max(memory.upto, office.at)
        return dict(memory.seen)
