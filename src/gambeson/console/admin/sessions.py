"""Sessions of the console: whose request this is, how one begins, proves itself again, and ends.

Rules: the cookie is 256 random bits and new at every sign-in and step-up (the store knows its SHA-256 only); a session
ends after an hour of rest, after twelve hours, and one by break-glass after one hour whatever happens.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

from gambeson.console.office import Access, Office
from gambeson.console.web.visit import Visit, cookie, forget
from gambeson.model.staff import EVERY, Grant, Role, Staff
from gambeson.store.staff_sessions import StaffSession

from .services import Services

SESSION = "__Host-gambeson-console"
STEP = "__Host-gambeson-console-step"
PASSKEY, BREAK_GLASS, FIRST = "passkey", "break-glass", "link"
COOKIE_OCTETS = 32
# Who broke the glass is nobody in particular; what the session may is bounded in core/roles.py.
GLASS = Staff("", "Break-glass", grants=(Grant(EVERY, Role.OWNER),))
MAX_AGENT = 200


def current(s: Services, visit: Visit, *, touch: bool = True) -> tuple[StaffSession, Office] | None:
    """The browser's live session and what it may; None for none. ``touch``: the person did something."""
    secret = visit.cookie_hash(SESSION)
    row = s.world.store.staff.session(secret, visit.at) if secret else None
    if row is None or visit.at >= min(row.ends, row.at + s.absolute) or visit.at >= row.last_seen + s.idle:
        return None
    person = GLASS if row.how == BREAK_GLASS else s.world.staff().get(row.staff)
    if person is None or not person.enabled:
        return None
    if touch and visit.at > row.last_seen + 60:
        s.world.store.staff.touch(row.id, visit.at)
    return row, Office(s.world, access_of(person, row, visit), visit.at)


def access_of(person: Staff, row: StaffSession, visit: Visit) -> Access:
    """What a session is worth."""
    return Access(
        staff=person,
        by="break-glass (console)" if row.how == BREAK_GLASS else f"{person.name} (console)",
        source=visit.source,
        session=row.id,
        proven_at=max(row.at, row.stepped_at) if row.how != BREAK_GLASS else 0.0,
        break_glass=row.how == BREAK_GLASS,
    )


def begin(s: Services, visit: Visit, person: Staff, how: str) -> list[str]:
    """Open a session; returns its cookies. One that the browser had is ended."""
    before = current(s, visit)
    if before is not None:
        s.world.store.staff.end_session(before[0].id, "signed in again", by=before[1].by, at=visit.at)
    value, secret = _new_cookie(s)
    lasts = s.break_glass if how == BREAK_GLASS else s.absolute
    s.world.store.staff.open_session(
        person.id,
        secret=secret,
        how=how,
        source=visit.source,
        agent=visit.agent[:MAX_AGENT],
        ends=visit.at + lasts,
        by=f"{person.name} (console)",
        at=visit.at,
    )
    return [cookie(SESSION, value), forget(STEP)]


def prove(s: Services, visit: Visit, row: StaffSession) -> list[str]:
    """A passkey was shown again: returns the cookies, a new one for the session among them."""
    value, secret = _new_cookie(s)
    s.world.store.staff.step(
        row.id, secret, by=f"{s.world.store.staff.get(row.staff).name} (console)", at=visit.at
    )
    return [cookie(SESSION, value), forget(STEP)]


def _new_cookie(s: Services) -> tuple[str, bytes]:
    value = urlsafe_b64encode(s.world.random(COOKIE_OCTETS)).rstrip(b"=").decode()
    return value, sha256(value.encode()).digest()
