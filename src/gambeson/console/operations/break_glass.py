"""Break-glass: sealed codes for the day on which nobody can sign in.

Rules: a code opens one session, and with its use all codes are void and new ones made; whoever used it sees these once.
Nothing is asked but the store: neither the directory nor a mail server nor the network has to be there. Everybody is
told: an event and a critical finding in every organisation, mail to the administrators and to staff (the worker sends
it), and the audit log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gambeson.console import glass
from gambeson.console.core.glass import CODES, OCTETS, code, plain, verifier
from gambeson.console.office import Office, RefusedError, World
from gambeson.model.staff import Verb
from gambeson.store.control import Store
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.staff_sessions import StaffSession

BY = "break-glass (console)"
_log = logging.getLogger("gambeson.console")


@dataclass(frozen=True, slots=True)
class Kept:
    """How many codes are good, when they were made (0: never), and the sessions that are open by one."""

    unused: int
    made_at: float
    sessions: tuple[StaffSession, ...] = ()


def kept(office: Office) -> Kept:
    """What there is. Raises RefusedError(404): only for an owner of every organisation."""
    staff = office.installation(Verb.STAFF).staff
    return Kept(*staff.codes(), tuple(staff.sessions(glass.NOBODY, office.at)))


def end(office: Office) -> int:
    """Ends every session by break-glass; gives how many. Raises RefusedError, StepUpError."""
    staff = office.installation(Verb.STAFF).staff
    office.fresh()
    return len(staff.end_sessions(glass.NOBODY, reason="ended by an owner", by=office.by, at=office.at))


def make(office: Office) -> tuple[str, ...]:
    """New codes, instead of all before. They are shown once and kept nowhere. Raises RefusedError, StepUpError."""
    store = office.installation(Verb.STAFF)
    if office.access.break_glass or office.access.token:
        raise RefusedError(
            "break-glass", "Only an owner who signed in with a passkey makes break-glass codes.", 403
        )
    office.fresh()
    return _make(office.world, store, office.by, office.at)


def use(world: World, typed: str, source: str, at: float) -> tuple[str, ...]:
    """Takes a code and tells everybody; gives the new codes. The session is the caller's to open. Raises RefusedError
    (403) where it is none, and StoreError."""
    store, given = world.store, plain(typed)
    try:
        if not given:
            raise NotFound("no code")
        store.staff.use_code(verifier(given), by=BY, at=at)
    except NotFound:
        raise RefusedError("code", "This code is not right or not good any more.", 403) from None
    codes = _make(world, store, BY, at)
    try:
        store.events.append(list(glass.events(store, world.random(12).hex(), source, at)))
    except StoreError as error:
        # Who breaks the glass may do so because the disk is full: the audit log has it, and the finding comes.
        _log.error("break-glass was used and could not be recorded as an event: %s", error)
    return codes


def _make(world: World, store: Store, by: str, at: float) -> tuple[str, ...]:
    codes = tuple(code(world.random(OCTETS)) for _ in range(CODES))
    store.staff.set_codes([verifier(plain(each)) for each in codes], by=by, at=at)
    return codes
