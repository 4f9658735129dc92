"""The audit log: look acts up, take the log along, and prove that it is whole.

Rules: an organisation's log is for who may audit there; the log of the installation, and whether its chain is whole,
for who may audit everywhere. The chain runs through all organisations, so who sees one of them verifies less: that each
of its entries is what its hash was made of, that the newest signed head is the keeper's and stands in the log, and how
many entries no head covers yet. The answer says which of the two it is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gambeson.console.office import Office, RefusedError
from gambeson.model.staff import Verb
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.keeper_client import verify_head
from gambeson.store.audit import AuditEntry, SignedHead
from gambeson.store.audit_entries import AuditEntries, AuditQuery
from gambeson.store.audit_verify import AuditFault
from gambeson.store.control import Store

from .kept import note_audit

PAGE = 50
MAX_FAULTS = 200
CHUNK = 200  # lines of an export that are sent together
MAX_DETAILS = 200
_verifying = threading.Lock()


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; ``more``: the number to go on before, 0 where these are the last."""

    entries: Sequence[AuditEntry]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. ``whole``: the chain of all entries was walked; else one organisation's entries were looked at.
    ``head`` is the newest signed one, None where there is none or it is not the keeper's."""

    whole: bool
    entries: int
    unsealed: int
    head: SignedHead | None
    faults: Sequence[AuditFault]
    more_faults: int = 0


def page(
    office: Office, organisation: str, query: AuditQuery, *, before: int = 0, limit: int = PAGE
) -> AuditPage:
    """Entries of an organisation; with organisation "" of the installation. Raises RefusedError, BadValue."""
    found = _entries(office, organisation).search(query, before=before, limit=limit + 1)
    return AuditPage(found[:limit], found[limit - 1].seq if len(found) > limit else 0)


def get(office: Office, organisation: str, seq: int) -> AuditEntry:
    """One entry. Raises RefusedError."""
    found = _entries(office, organisation).get(seq)
    if found is None:
        raise RefusedError("not-found", "There is no such entry, or it is not yours to see.", 404)
    return found


def export(office: Office, organisation: str) -> Iterator[bytes]:
    """An organisation's entries (with "" all, for an owner of every organisation) as JSON lines, oldest first, and the
    newest signed head at the end of the whole log. Raises RefusedError before the first line."""
    if not organisation:
        office.installation(Verb.STAFF)  # an auditor sees the log; to take all of it along is the owner's
    entries = _entries(office, organisation).forward()
    head = None if organisation else office.world.store.audit.signed_head()
    return _lines(entries, head)


def verify(office: Office, organisation: str) -> Verified:
    """Walks the chain where the asker may audit everywhere, else looks at the organisation's entries. One at a time:
    it reads the whole log. Raises RefusedError."""
    everywhere = office.may(Verb.AUDIT)
    entries = _entries(office, organisation)
    if not _verifying.acquire(blocking=False):
        raise RefusedError("busy", "The log is being verified right now: try again in a moment.")
    try:
        public = _public_key(office)
        store = office.world.store
        if everywhere:
            found = _whole(store, public)
            note_audit(store, not found.faults, office.at)
            return found
        return _part(store, entries, public)
    finally:
        _verifying.release()


def details(entry: AuditEntry, moment: Callable[[float], str]) -> list[tuple[str, str]]:
    """An entry's details as names and values that people read; what is nested has a name with dots. ``moment`` makes a
    text of a time in seconds since 1970."""
    found: list[tuple[str, object]] = []
    try:
        _flatten("", json.loads(entry.details), found)
    except (ValueError, RecursionError):
        return [("", entry.details)]
    return [(name, _shown(name, value, moment)) for name, value in found]


def plain_details(entry: AuditEntry) -> Mapping[str, object]:
    """An entry's details as they are; empty where they cannot be read."""
    try:
        found = json.loads(entry.details)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(office: Office, organisation: str) -> AuditEntries:
    if organisation:
        return office.organisation(organisation, Verb.AUDIT).audit_entries
    return office.installation(Verb.AUDIT).audit_entries


def _public_key(office: Office) -> str:
    try:
        return office.world.keeper.public_keys().audit_pem
    except (ChannelGone, ChannelRefused):
        raise RefusedError(
            "no-keeper",
            "The keeper does not answer, so no signature can be checked: see gambeson doctor.",
            503,
        ) from None


def _whole(store: Store, public: str) -> Verified:
    faults = store.audit.verify(lambda payload, signature: verify_head(public, payload, signature))
    count, _ = store.audit.head()
    return Verified(
        True,
        count,
        store.audit.unsealed(),
        _good_head(store, public),
        faults[:MAX_FAULTS],
        max(0, len(faults) - MAX_FAULTS),
    )


def _part(store: Store, entries: AuditEntries, public: str) -> Verified:
    head, faults = _good_head(store, public), list[AuditFault]()
    if head is None:
        faults.append(AuditFault("head", 0, "The newest signed head is missing or not signed by the keeper."))
    else:
        there = store.audit_entries.get(head.count)
        if head.count and (there is None or there.hash != head.hash):
            faults.append(
                AuditFault("rewritten", head.count, "The log is not the one that the keeper signed last.")
            )
    count = unsealed = more = 0
    for entry in entries.forward():
        count += 1
        unsealed += entry.seq > (head.count if head is not None else 0)
        if entry.hash_as(entry.seq) != entry.hash:
            if len(faults) < MAX_FAULTS:
                sentence = f"Audit entry {entry.seq} was changed: its text does not fit its hash."
                faults.append(AuditFault("changed", entry.seq, sentence))
            else:
                more += 1
    return Verified(False, count, unsealed, head, faults, more)


def _good_head(store: Store, public: str) -> SignedHead | None:
    head = store.audit.signed_head()
    good = head is not None and verify_head(public, head.payload(store.installation()), head.signature)
    return head if good else None


def _lines(entries: Iterator[AuditEntry], head: SignedHead | None) -> Iterator[bytes]:
    some: list[str] = []
    for entry in entries:
        some.append(entry.line() + "\n")
        if len(some) == CHUNK:
            yield "".join(some).encode("utf-8", "surrogatepass")
            some.clear()
    if head is not None:
        some.append(head.line() + "\n")
    yield "".join(some).encode("utf-8", "surrogatepass")


def _flatten(name: str, value: object, into: list[tuple[str, object]]) -> None:
    if len(into) >= MAX_DETAILS:
        return
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _flatten(f"{name}.{key}" if name else str(key), inner, into)
    elif isinstance(value, list) and value and all(not isinstance(v, dict | list) for v in value):
        into.append((name, ", ".join(_plain(v) for v in value)))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value, 1):
            _flatten(f"{name}.{number}", inner, into)
    elif value not in ({}, [], "", None):
        into.append((name, value))


def _shown(name: str, value: object, moment: Callable[[float], str]) -> str:
    timely = name.rpartition(".")[2] in ("until", "at", "ends") or name.endswith("_at")
    if timely and isinstance(value, int | float) and not isinstance(value, bool):
        return moment(float(value)) if 0 < value < 253_402_300_800 else "\N{EN DASH}"
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
