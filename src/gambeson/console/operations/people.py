"""People: the list of accounts beside the doors that each gets in at, one person as a whole, and what is done to an
account.

Rules: whoever may only contain switches off and ends sessions, and gives nothing back. What the matrix says is reckoned
once for a state of the store; a page of people costs a handful of statements however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gambeson.console.core.matrix import Cell, Matrix, SideDoor, matrix
from gambeson.console.office import Office, RefusedError, Told
from gambeson.model.access import DoorKind
from gambeson.model.asset import Account, CredentialKind, Device, IdentitySource
from gambeson.model.event import Event
from gambeson.model.staff import Verb
from gambeson.process.messages import KillAsk, SessionInfo
from gambeson.process.worker_client import WorkerGone, WorkerRefused
from gambeson.store.authenticators import StoredAuthenticator
from gambeson.store.people import PeopleCounts, PeopleQuery, Person
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import WebSession

from .memory import remembered
from .served import served_doors

PAGE = 50
MOST_DEVICES = 25  # on a person's page at once: a form has few fields
MOST_EVENTS = 50
_LOOKED_AT = 400  # of an account's newest events, for those that are of signing in
_SECONDS = 30.0
_TAKING_AWAY = (Verb.PEOPLE, Verb.CONTAIN)
_SIGNING_IN = ("door.login.", "door.eas.refused", "door.request.refused", "portal.", "console.help-desk.")


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some people, how many fit in all, and of each the cells of the matrix in the order of ``doors`` (empty where the
    store was changed this very moment); those of one of ``classes`` have the same cells."""

    people: Sequence[Person]
    total: int
    doors: tuple[DoorKind, ...]
    cells: Mapping[str, tuple[Cell, ...]]
    classes: Mapping[str, int]
    side_doors: tuple[SideDoor, ...]
    counts: PeopleCounts
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device, what it proves itself with (kinds that are good still), and its last use."""

    device: Device
    proofs: tuple[CredentialKind, ...]
    used_at: float = 0.0
    used_from: str = ""
    used_door: str = ""


@dataclass(frozen=True, slots=True)
class EasPhone:
    """An ActiveSync phone of the account: what was decided of it (may be empty), whether it is a credential's first,
    and when it was seen last (0: not lately)."""

    device_id: str
    decision: str = ""
    first: bool = False
    program: str = ""
    seen_at: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person as a whole. ``mail_sessions`` None: the worker does not answer."""

    account: Account
    devices: Sequence[DeviceLine]
    device_count: int
    factors: Sequence[StoredAuthenticator]
    web_sessions: Sequence[WebSession]
    mail_sessions: Sequence[SessionInfo] | None
    phones: Sequence[EasPhone]
    doors: tuple[DoorKind, ...]
    cells: tuple[Cell, ...]
    events: Sequence[Event]
    code_until: float


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended. ``mail`` None: the worker does not answer, so the doors do it when they hear of the change."""

    web: int
    mail: int | None
    told: Told


def grid(office: Office, organisation: str) -> Matrix:
    """The matrix of an organisation. Raises RefusedError."""
    office.organisation(organisation)
    index = office.index()
    doors = served_doors(office.facts.servers, office.facts.sites, organisation)
    return matrix(index, organisation, doors, office.at)


def page(
    office: Office, organisation: str, query: PeopleQuery, *, side_door: str = "", offset: int = 0
) -> PeoplePage:
    """A page of people. ``side_door``: only those who get past this door's floor (its word; ``any``: some door's).
    Raises RefusedError, BadValue."""
    store = office.organisation(organisation)
    found = grid(office, organisation)
    side = found.side_doors()
    if side_door:
        among = {a for s in side if side_door in ("any", s.door.value) for a in s.accounts}
        query = PeopleQuery(
            query.search,
            query.group,
            query.without_device,
            query.without_factor,
            query.off,
            among,
        )
    total, people = store.people.page(query, limit=PAGE, offset=offset)
    counter = office.world.counter()
    counts, groups = remembered(
        office.world.store,
        ("people", organisation, counter),
        office.at,
        _SECONDS,
        lambda: (store.people.counts(), store.people.groups()),
    )
    ids = [p.account.id for p in people]
    cells = {id: found.row(id) for id in ids if id in found.of}
    classes = {id: found.of[id] for id in cells}
    return PeoplePage(people, total, found.doors, cells, classes, side, counts, groups)


def person(office: Office, organisation: str, account: str, *, offset: int = 0) -> PersonView:
    """One person. ``offset`` is of the devices. Raises RefusedError, NotFound."""
    store = office.organisation(organisation)
    who = store.accounts.get(account)
    found = grid(office, organisation)
    events = [
        e for e in store.events.query(account=account, limit=_LOOKED_AT) if e.kind.startswith(_SIGNING_IN)
    ]
    return PersonView(
        account=who,
        devices=[_line(store, d) for d in _devices(store, account, offset)],
        device_count=store.devices.count(account=account),
        factors=store.authenticators.list(account),
        web_sessions=store.web_sessions.list(account, office.at),
        mail_sessions=mail_sessions(office, organisation, account),
        phones=phones(store, account),
        doors=found.doors,
        cells=found.row(account) if account in found.of else (),
        events=events[:MOST_EVENTS],
        code_until=store.binding_codes.pending(account, office.at),
    )


def mail_sessions(office: Office, organisation: str, account: str) -> Sequence[SessionInfo] | None:
    """The account's sessions at the doors. None: nobody knows."""
    try:
        found, _ = office.world.worker.sessions(organisation)
    except (WorkerGone, WorkerRefused):
        return None
    return [session for session in found if session.account == account]


def phones(store: OrganisationStore, account: str) -> list[EasPhone]:
    """The account's ActiveSync phones, by DeviceId."""
    decided = {each.device_id: each.decision for each in store.eas_devices.list(account=account)}
    firsts = set(store.eas_devices.firsts(account=account).values())
    seen: dict[str, Event] = {}
    for event in store.events.query(account=account, kind="door.eas", limit=200):
        seen.setdefault(str(event.data.get("device_id", "")).lower(), event)
    found = []
    for name in sorted({*decided, *firsts, *seen} - {""}):
        last = seen.get(name)
        found.append(
            EasPhone(
                name,
                decided.get(name, ""),
                name in firsts,
                str(last.data.get("program", ""))[:200] if last else "",
                last.at if last else 0.0,
                last.source if last else "",
            )
        )
    return found


def add(
    office: Office,
    organisation: str,
    address: str,
    *,
    aliases: Iterable[str] = (),
    groups: Iterable[str] = (),
    server: str = "",
    upstream_login: str = "",
    source: str = "local",
) -> Account:
    """A new account. Raises RefusedError, BadValue, Conflict."""
    store = office.organisation(organisation, Verb.PEOPLE)
    try:
        where = IdentitySource(source)
    except ValueError:
        raise RefusedError("source", "A password is checked here (local) or by the directory.", 422) from None
    if server and server not in servers(office, organisation):
        raise RefusedError("server", f"There is no mail server {server[:100]!a} for this organisation.", 422)
    made = store.accounts.create(
        address,
        aliases=aliases,
        groups=groups,
        server=server,
        upstream_login=upstream_login,
        source=where,
        by=office.by,
        at=office.at,
    )
    office.publish()
    return made


def servers(office: Office, organisation: str) -> tuple[str, ...]:
    """The names of the mail servers that serve an organisation."""
    return tuple(s.name for s in office.facts.servers if s.organisation in ("", organisation))


def change(
    office: Office,
    organisation: str,
    account: str,
    *,
    aliases: Iterable[str] | None = None,
    groups: Iterable[str] | None = None,
) -> Told:
    """Another list of aliases or groups. Raises RefusedError, NotFound, BadValue, Conflict."""
    store = office.organisation(organisation, Verb.PEOPLE)
    store.accounts.update(account, aliases=aliases, groups=groups, by=office.by, at=office.at)
    return office.publish()


def switch(office: Office, organisation: str, account: str, *, on: bool) -> Told:
    """Switches an account on, or off: then its sessions end. Raises RefusedError, NotFound."""
    store = (
        office.organisation(organisation, Verb.PEOPLE) if on else office.either(organisation, *_TAKING_AWAY)
    )
    store.accounts.update(account, enabled=on, by=office.by, at=office.at)
    told = office.publish()
    if not on:
        kill(office, organisation, account)
    return told


def end_sessions(office: Office, organisation: str, account: str, *, session: str = "") -> Ended:
    """Ends the sessions of an account at the portal and at the doors, or one of the portal (its id). Raises
    RefusedError, NotFound."""
    store = office.either(organisation, Verb.DEVICES, Verb.PEOPLE, Verb.CONTAIN)
    store.accounts.get(account)
    ended = store.web_sessions.end(
        account, id=session, reason="ended at the console", by=office.by, at=office.at
    )
    told = office.publish()
    return Ended(len(ended), 0 if session else kill(office, organisation, account), told)


def remove_factors(office: Office, organisation: str, account: str, *, factor: str = "") -> int:
    """Forgets the second factors of an account, or one of them (its id); gives how many. Raises RefusedError,
    NotFound."""
    store = office.organisation(organisation, Verb.PEOPLE)
    if factor:
        store.authenticators.remove(account, factor, by=office.by, at=office.at)
        return 1
    return store.authenticators.remove_all(account, by=office.by, at=office.at)


def kill(office: Office, organisation: str, account: str) -> int | None:
    """Closes an account's sessions at the doors; None where the worker does not answer."""
    try:
        return office.world.worker.kill(KillAsk(account=account, organisation=organisation)).count
    except (WorkerGone, WorkerRefused):
        return None


def _devices(store: OrganisationStore, account: str, offset: int) -> Sequence[Device]:
    return store.devices.list(account=account, limit=MOST_DEVICES, offset=offset)


def _line(store: OrganisationStore, device: Device) -> DeviceLine:
    proofs = tuple(c.kind for c in store.credentials.list(device=device.id) if not c.revoked_at)
    used = store.events.query(kind="door.login.allowed", device=device.id, limit=1)
    if not used:
        return DeviceLine(device, proofs)
    return DeviceLine(device, proofs, used[0].at, used[0].source, used[0].door)
