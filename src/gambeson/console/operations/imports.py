"""People from a table, and as one: what it would change is shown before anything is.

Rules: what is applied is what was shown. The mark of a preview stands for the table's octets and for every change that
it would make; where either is another by then, nothing is applied. Rows with a problem are told and left out. More than
``MAX_AT_ONCE`` are written in parts: whoever cancels keeps the parts that are written, and is told so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from weakref import WeakKeyDictionary

from gambeson.console.core.csv_diff import Diff, diff
from gambeson.console.core.csv_import import MAX_BYTES, Row, Table, export, read
from gambeson.console.office import Office, RefusedError, Told
from gambeson.console.works import CancelledError, Progress, Result, Work, Works
from gambeson.model.asset import Account
from gambeson.model.staff import Verb
from gambeson.store.control import Store
from gambeson.store.people import MAX_AT_ONCE, Wanted
from gambeson.store.tenant import OrganisationStore

from .people import servers

KIND = "people"
KEPT_SECONDS, MAX_KEPT, MAX_OCTETS = 1800.0, 20, 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Preview:
    """What applying the table would do. ``mark`` has to be given back to apply it."""

    table: Table
    diff: Diff
    mark: str

    @property
    def applies(self) -> int:
        """How many rows would change something."""
        return len(self.diff.new) + len(self.diff.changed)


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and which doors act on it."""

    new: int
    changed: int
    told: Told


@dataclass(frozen=True, slots=True)
class Sentences:
    """How long work tells what it did: (new, changed), and, where it was cancelled, (written, of how many)."""

    done: Callable[[int, int], str]
    cancelled: Callable[[int, int], str]


def preview(office: Office, organisation: str, data: bytes) -> Preview:
    """What the table (its octets) would change. Raises RefusedError."""
    store = office.organisation(organisation, Verb.PEOPLE)
    return _preview(office, store, organisation, data)


def apply(
    office: Office, organisation: str, data: bytes, mark: str, sentences: Sentences | None = None
) -> Applied | Work:
    """Applies what was shown. A long table becomes long work where there are ``sentences`` for it. Raises RefusedError
    (changed: it is not what was shown; nothing), StoreError."""
    store = office.organisation(organisation, Verb.PEOPLE)
    found = _preview(office, store, organisation, data)
    if found.mark != mark:
        said = (
            "The table or the accounts changed since this was shown: nothing was applied. Look at it again."
        )
        raise RefusedError("changed", said)
    if not found.applies:
        raise RefusedError("nothing", "This table changes nothing.", 422)
    wanted = [_new(row) for row in found.diff.new]
    wanted += [_new(each.row, each.account) for each in found.diff.changed]
    new, changed = len(found.diff.new), len(found.diff.changed)
    works = office.world.works
    if len(wanted) > MAX_AT_ONCE and sentences is not None and isinstance(works, Works):
        return _start(office, works, store, wanted, (new, changed), sentences)
    for part in _parts(wanted):
        store.people.write(part, by=office.by, at=office.at)
    return Applied(new, changed, office.publish())


def table(office: Office, organisation: str) -> str:
    """All accounts as CSV; every cell is safe in a spreadsheet. Raises RefusedError."""
    office.organisation(organisation)
    return export(_accounts(office, organisation))


def _accounts(office: Office, organisation: str) -> list[Account]:
    mine = [a for a in office.index().snapshot.accounts if a.organisation == organisation]
    return sorted(mine, key=lambda a: a.address)


def _preview(office: Office, store: OrganisationStore, organisation: str, data: bytes) -> Preview:
    if len(data) > MAX_BYTES:
        raise RefusedError("too-large", "The table is larger than 5 MB: import it in parts.", 413)
    table = read(data)
    made = diff(
        table.rows,
        _accounts(office, organisation),
        office.known(organisation).domains,
        servers(office, organisation),
    )
    return Preview(table, made, _mark(organisation, data, made))


def _mark(organisation: str, data: bytes, made: Diff) -> str:
    mark = sha256(repr((organisation, sha256(data).hexdigest())).encode())
    for row in made.new:
        mark.update(repr(row).encode())
    for each in made.changed:
        mark.update(repr((each.account, each.changes)).encode())
    return mark.hexdigest()


def _new(row: Row, account: str = "") -> Wanted:
    return Wanted(row.address, account, row.aliases, row.groups, row.server, row.upstream_login)


def _parts(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    return (wanted[i : i + MAX_AT_ONCE] for i in range(0, len(wanted), MAX_AT_ONCE))


def _start(
    office: Office,
    works: Works,
    store: OrganisationStore,
    wanted: Sequence[Wanted],
    counts: tuple[int, int],
    sentences: Sentences,
) -> Work:
    def write(progress: Progress) -> Result:
        written = 0
        try:
            for part in _parts(wanted):
                progress.step(written, part[0].address)
                store.people.write(part, by=office.by, at=office.world.clock())
                written += len(part)
        except CancelledError:
            return Result(sentences.cancelled(written, len(wanted)))
        finally:
            if written:
                office.publish()
        return Result(sentences.done(*counts))

    return works.start(store.id, by=office.by, verb=Verb.PEOPLE, kind=KIND, total=len(wanted), function=write)


# -- between the preview and the act


@dataclass(frozen=True, slots=True)
class _Kept:
    organisation: str
    staff: str
    data: bytes = field(repr=False)
    at: float = 0.0


_drawers: WeakKeyDictionary[Store, OrderedDict[str, _Kept]] = WeakKeyDictionary()
_lock = threading.Lock()


def keep(office: Office, organisation: str, data: bytes) -> str:
    """Keeps a table in memory until it is applied, for half an hour and for who brought it; gives its name. Raises
    RefusedError."""
    office.organisation(organisation, Verb.PEOPLE)
    if len(data) > MAX_BYTES:
        raise RefusedError("too-large", "The table is larger than 5 MB: import it in parts.", 413)
    name = office.world.random(16).hex()
    with _lock:
        drawer = _drawers.setdefault(office.world.store, OrderedDict())
        for old in [n for n, k in drawer.items() if office.at - k.at > KEPT_SECONDS]:
            del drawer[old]
        drawer[name] = _Kept(organisation, office.access.staff.id, data, office.at)
        while len(drawer) > MAX_KEPT or sum(len(k.data) for k in drawer.values()) > MAX_OCTETS:
            drawer.popitem(last=False)
    return name


def kept(office: Office, organisation: str, name: str) -> bytes:
    """The table of that name. Raises RefusedError(404) where there is none (any more), or it is somebody else's."""
    office.organisation(organisation, Verb.PEOPLE)
    with _lock:
        found = _drawers.get(office.world.store, OrderedDict()).get(name)
    mine = found is not None and (found.organisation, found.staff) == (organisation, office.access.staff.id)
    if found is None or not mine or office.at - found.at > KEPT_SECONDS:
        raise RefusedError("gone", "This table is not kept any more: bring it again.", 404)
    return found.data


def drop(office: Office, name: str) -> None:
    """It was applied, or is not wanted."""
    with _lock:
        _drawers.get(office.world.store, OrderedDict()).pop(name, None)
