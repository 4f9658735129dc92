"""The office: who asks, what they may, and the world that answers. One for each request; pages, operations and API
get it and nothing else.

Rules, and they hold below every handler:

* An organisation that the asker has no grant in answers exactly like one that does not exist.
* The store of one organisation is given out only with a verb, and only where the asker has that verb there.
* What many organisations are asked together is asked of exactly those that the asker reaches.
* A dangerous act needs a passkey that was shown in the last five minutes. A token has no finger: its verbs are its
  bounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gambeson.guard.core.walk_shields import Measured
from gambeson.model.organisation import Organisation
from gambeson.model.server import MailServer
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import EVERY, Staff, Verb
from gambeson.model.web import Site
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.worker_client import AdminWorker, WorkerGone, WorkerRefused
from gambeson.store.across import Across
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore

from .core.roles import BREAK_GLASS, everywhere, verbs

if TYPE_CHECKING:
    from .probes import Prober

FRESH_SECONDS = 300.0
PUBLISH_SECONDS = 1.0


class RefusedError(Exception):
    """It is not done. ``reason`` is a stable word, ``sentence`` what people read, ``status`` that of HTTP."""

    def __init__(self, reason: str, sentence: str, status: int = 409) -> None:
        super().__init__(sentence)
        self.reason, self.sentence, self.status = reason, sentence, status


class StepUpError(Exception):
    """The act wants a passkey that was shown just now."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener of the doors: where it is, whether TLS begins with the first octet, and whether every connection is to
    begin with a PROXY header."""

    name: str
    door: str
    host: str
    port: int
    implicit_tls: bool
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One declared setting as it is now. ``value`` is never a secret: a reference to one is shown as that."""

    name: str
    value: str
    default: str
    doc: str
    reason: str


@dataclass(frozen=True, slots=True)
class CloudService:
    """A cloud service that reads mail for its programs: see :mod:`gambeson.guard.core.clouds`."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the console knows of the installation. ``origin`` is its own, ``portal`` the portal's (empty: none)."""

    origin: str
    version: str = ""
    name: str = "Gambeson"
    portal: str = ""
    hostname: str = "localhost"
    playground: bool = False
    listeners: tuple[Listening, ...] = ()
    servers: tuple[MailServer, ...] = ()
    sites: tuple[Site, ...] = ()
    default_domain: str = ""
    settings: tuple[SettingRow, ...] = ()
    settings_file: str = ""
    request_log: str = ""
    clouds: tuple[CloudService, ...] = ()


class DoctorLine(Protocol):
    """One line of ``doctor``: see :class:`gambeson.app.doctor.Check`."""

    @property
    def name(self) -> str:
        """What was measured."""

    @property
    def state(self) -> Any:
        """ok, warning or failed."""

    @property
    def text(self) -> str:
        """One sentence."""

    @property
    def remedy(self) -> str:
        """What to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who acts on a change: ``number`` of the snapshot (0: nobody runs), ``missing`` doors that did not say so yet."""

    number: int = 0
    acknowledged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass
class World:
    """Everything that requests share. Threads use it together. ``build`` makes what a door would get; ``doctor``
    examines the installation, line by line; ``shields`` are those that a walk measured; ``probes`` and ``works`` are
    the console's own, see their modules; ``memo`` is for what a module reckons once and keeps."""

    store: Store
    keeper: AdminKeeper
    worker: AdminWorker
    facts: Facts
    build: Callable[[], SnapshotIndex]
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    doctor: Callable[[], Iterable[DoctorLine]] = tuple
    shields: Callable[[], Sequence[Measured]] = tuple
    probes: Prober | None = None
    works: Any = None
    memo: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _building: threading.Lock = field(default_factory=threading.Lock)
    _held: threading.local = field(default_factory=threading.local)
    _known: tuple[int, dict[str, Organisation]] = (-1, {})
    _index: tuple[int, SnapshotIndex | None] = (-1, None)
    _staff: tuple[int, dict[str, Staff]] = (-1, {})

    def counter(self) -> int:
        """What grows with every change of control data. Within :meth:`steady` it is asked for once."""
        held: int | None = getattr(self._held, "counter", None)
        if held is None:
            held = self.store.change_counter()
            if getattr(self._held, "steady", False):
                self._held.counter = held
        return held

    @contextmanager
    def steady(self) -> Iterator[None]:
        """For a page that only shows something, on this thread: it shows one state, and asks once which."""
        self._held.steady, self._held.counter = True, None
        try:
            yield
        finally:
            self._held.steady, self._held.counter = False, None

    def organisations(self) -> dict[str, Organisation]:
        """Every organisation by its id, as the store has them."""
        counter = self.counter()
        with self._lock:
            if self._known[0] == counter:
                return self._known[1]
        found = {o.id: o for o in self.store.organisations()}
        with self._lock:
            self._known = (counter, found)
        return found

    def staff(self) -> dict[str, Staff]:
        """Every member of staff by id. Nobody sees it as a whole: who may read one organisation sees who else may."""
        counter = self.counter()
        with self._lock:
            if self._staff[0] == counter:
                return self._staff[1]
        found = {s.id: s for s in self.store.staff.list()}
        with self._lock:
            self._staff = (counter, found)
        return found

    def index(self) -> SnapshotIndex:
        """The store as a door would get it now. Made anew only after a change: it is much to read."""
        counter = self.counter()
        with self._building:
            if self._index[0] != counter or self._index[1] is None:
                self._index = (counter, self.build())
            assert self._index[1] is not None
            return self._index[1]


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks. ``by`` is their name in the audit log. Of a token: ``organisations`` and ``only`` bound it further;
    both None for somebody who signed in. ``proven_at`` is when a passkey was shown last."""

    staff: Staff
    by: str
    source: str = ""
    session: str = ""
    proven_at: float = 0.0
    break_glass: bool = False
    organisations: tuple[str, ...] | None = None
    only: frozenset[Verb] | None = None
    token: str = ""

    def verbs(self, organisation: str, now: float) -> frozenset[Verb]:
        """What may be done in an organisation (its id), or in the installation as a whole (:data:`EVERY`)."""
        bound = self.organisations
        if bound is not None and EVERY not in bound and organisation not in bound:
            return frozenset()
        found = verbs(self.staff.grants, organisation, now) if self.staff.enabled else frozenset()
        if self.break_glass:
            found &= BREAK_GLASS
        return found if self.only is None else found & self.only


@dataclass(frozen=True, slots=True)
class Office:
    """One request's view of the world. ``at`` is its time."""

    world: World
    access: Access
    at: float

    @property
    def by(self) -> str:
        """Who acts, for the audit log."""
        return self.access.by

    @property
    def facts(self) -> Facts:
        """Of the installation."""
        return self.world.facts

    def may(self, verb: Verb, organisation: str = EVERY) -> bool:
        """Whether the asker may do this there."""
        return verb in self.access.verbs(organisation, self.at)

    def known(self, id: str) -> Organisation:
        """The organisation with this id, that the asker may read. Raises RefusedError(404)."""
        found = self.world.organisations().get(id)
        if found is None or not self.may(Verb.READ, id):
            raise RefusedError("not-found", "There is no such organisation, or it is not yours to see.", 404)
        return found

    def organisation(self, id: str, verb: Verb = Verb.READ) -> OrganisationStore:
        """The store of one organisation. Raises RefusedError: 404 where the asker may not read it, 403 where the verb
        is missing."""
        self.known(id)
        if not self.may(verb, id):
            raise RefusedError("not-allowed", f"Your role here does not include “{verb}”. Ask an owner.", 403)
        return self.world.store.of(id)

    def either(self, id: str, *wanted: Verb) -> OrganisationStore:
        """Like :meth:`organisation`, for whoever has one of these verbs there: what takes access away may be done by
        who looks after it and by who contains. Raises RefusedError."""
        return self.organisation(id, next((verb for verb in wanted if self.may(verb, id)), wanted[0]))

    def organisations(self, verb: Verb = Verb.READ) -> tuple[Organisation, ...]:
        """All that the asker reaches with this verb, by name."""
        found = [o for o in self.world.organisations().values() if self.may(verb, o.id)]
        return tuple(sorted(found, key=lambda o: (o.name.casefold(), o.id)))

    def everywhere(self) -> bool:
        """Whether the asker has a grant for every organisation."""
        bound = self.access.organisations
        return everywhere(self.access.staff.grants, self.at) and (bound is None or EVERY in bound)

    def installation(self, verb: Verb) -> Store:
        """The whole store, for what belongs to no organisation. Raises RefusedError(404): only with this verb in every
        organisation."""
        if not self.may(verb, EVERY):
            raise RefusedError("not-found", "There is no such page, or it is not yours to see.", 404)
        return self.world.store

    def across(self, verb: Verb = Verb.READ) -> Across:
        """What can be asked of all reached organisations together."""
        return self.world.store.across([o.id for o in self.organisations(verb)])

    def index(self) -> SnapshotIndex:
        """The store as a door would get it: all organisations, so show nothing of it that was not asked through
        :meth:`organisation`."""
        return self.world.index()

    def publish(self) -> Told:
        """Every door acts on the store as it is now, within a second."""
        try:
            done = self.world.worker.publish(PUBLISH_SECONDS)
        except (WorkerGone, WorkerRefused):
            return Told(missing=("worker",))
        return Told(done.number, tuple(done.acknowledged), tuple(done.missing))

    def fresh(self) -> None:
        """For a dangerous act. Raises StepUpError where no passkey was shown in the last five minutes."""
        if self.access.token or self.access.break_glass:
            return
        if self.at - self.access.proven_at > FRESH_SECONDS:
            raise StepUpError


def names(organisations: Sequence[Organisation]) -> dict[str, str]:
    """Names by id."""
    return {o.id: o.name for o in organisations}
