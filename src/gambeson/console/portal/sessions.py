"""Sessions of the portal: whose request this is, how one begins, how it proves itself again, how it ends.

Rules: the cookie is 256 random bits and new at every sign-in and step-up (the store knows only its SHA-256); a session
that began with a recovery code can do nothing but add a second factor; a dangerous act needs a second factor of the
last ``fresh`` seconds.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

from gambeson.console.web.visit import BOX, SESSION, STEP, Visit, cookie, forget
from gambeson.model.access import Rung
from gambeson.process.messages import Message
from gambeson.process.portal_messages import (
    Person,
    PersonAsk,
    PortalEvent,
    SessionEnd,
    SessionFind,
    SessionOpen,
    SessionRow,
    SessionStep,
)

from . import box
from .backend import DeniedError, ask
from .services import ElsewhereError, Services
from .steps import Step

COOKIE_OCTETS = 32
MAX_AGENT = 200


async def current(s: Services, visit: Visit) -> SessionRow | None:
    """The live session of the browser, None for none."""
    secret = visit.cookie_hash(SESSION)
    if not secret:
        return None
    try:
        row = await ask(s.backend, SessionFind(at=visit.at, secret=secret), SessionRow)
    except DeniedError:
        return None
    over = (
        visit.at >= min(row.ends, row.at + s.settings.absolute) or visit.at >= row.last_seen + s.settings.idle
    )
    return None if over else row


async def required(s: Services, visit: Visit, *, recovering: bool = False) -> SessionRow:
    """The live session. Raises ElsewhereError: to the sign-in for none, and to a new second factor after a recovery
    code (except where ``recovering``)."""
    row = await current(s, visit)
    if row is None:
        raise ElsewhereError("/sign-in")
    if not recovering and recovered(s, row):
        raise ElsewhereError("/factors/new")
    return row


def recovered(s: Services, row: SessionRow) -> bool:
    """Whether the session began with a recovery code and no second factor was added since."""
    return row.how == s.texts("how.sign-in-recovery")


async def fresh(s: Services, visit: Visit, back: str, *, recovering: bool = False) -> SessionRow:
    """As ``required``, and a second factor was proven just now. Raises ElsewhereError, with the way back."""
    row = await required(s, visit, recovering=recovering)
    if visit.at - max(row.at, row.stepped_at) > s.settings.fresh:
        if recovered(s, row):  # it has nothing to step up with
            await end(s, visit, row.account, row.id, "no second factor was added")
            raise ElsewhereError("/sign-in")
        raise ElsewhereError(f"/step-up?back={back}")
    return row


async def owner(s: Services, row: SessionRow) -> Person:
    """The person of a session. Raises ElsewhereError where the account is gone or disabled."""
    person = await ask(s.backend, PersonAsk(account=row.account), Person)
    if not person.known or not person.enabled or person.account != row.account:
        raise ElsewhereError("/sign-in")
    return person


async def begin(
    s: Services, visit: Visit, person: Person, rung: Rung, how: str, step: Step
) -> tuple[SessionRow, list[str]]:
    """Open the session that ``step`` earned; returns it and the cookies. A session that the browser had is ended."""
    before = await current(s, visit)
    if before is not None:
        await end(s, visit, before.account, before.id, "signed in again")
    value, secret = _new_cookie(s)
    opening = SessionOpen(
        account=person.account,
        rung=rung.word,
        secret=secret,
        at=visit.at,
        source=visit.source,
        agent=visit.agent[:MAX_AGENT],
        how=how,
    )
    row = await ask(s.backend, opening, SessionRow)
    cookies = [cookie(SESSION, value), forget(STEP), s.throttling.know(visit, person)]
    key = box.read_key(visit.cookies.get(BOX, ""))
    password = box.unseal(step.box, key, box.context("")) if step.box else None
    if password is not None:
        cookies.append(keep_password(s, row, password, visit.at))
    else:
        cookies.append(forget(BOX))
    s.steps.drop(visit.cookie_hash(STEP))
    await tell(s, visit, "portal.sign-in", person, how)
    return row, cookies


def keep_password(s: Services, row: SessionRow, password: str, now: float) -> str:
    """Seal the password to the session; returns the cookie with the only key."""
    key = s.random(box.KEY)
    s.boxes.put(row.id, box.seal(password, key, s.random(box.NONCE), box.context(row.id)), now)
    return cookie(BOX, box.key_text(key))


def kept_password(s: Services, visit: Visit, row: SessionRow) -> str | None:
    """The password that was sealed to the session, where the browser has its key; None for none."""
    sealed = s.boxes.get(row.id, visit.at)
    key = box.read_key(visit.cookies.get(BOX, ""))
    return box.unseal(sealed, key, box.context(row.id)) if sealed else None


async def step_up(s: Services, visit: Visit, row: SessionRow, rung: Rung, how: str = "") -> list[str]:
    """The session proved a second factor again: returns the cookies, a new one for the session among them."""
    value, secret = _new_cookie(s)
    message = SessionStep(id=row.id, at=visit.at, rung=rung.word, how=how, secret=secret)
    await ask(s.backend, message, Message)
    s.steps.drop(visit.cookie_hash(STEP))
    return [cookie(SESSION, value), forget(STEP)]


async def end(s: Services, visit: Visit, account: str, session: str, reason: str) -> None:
    """End one session everywhere."""
    s.boxes.drop(session)
    await ask(s.backend, SessionEnd(account=account, id=session, at=visit.at, reason=reason), Message)


async def tell(
    s: Services,
    visit: Visit,
    kind: str,
    person: Person | None = None,
    sentence: str = "",
    *,
    claimed: str = "",
    guess: bool = False,
) -> None:
    """One event for the record."""
    event = PortalEvent(
        kind=kind,
        at=visit.at,
        organisation=person.organisation if person is not None else "",
        account=person.account if person is not None else "",
        claimed=claimed or (person.address if person is not None else ""),
        source=visit.source,
        sentence=sentence,
        guess=guess,
    )
    await ask(s.backend, event, Message)


async def tell_throttled(s: Services, visit: Visit, person: Person, claimed: str) -> None:
    """A throttle is closed: the record hears of it, but not each time."""
    if s.throttling.may_tell(visit):
        await tell(s, visit, "portal.throttled", person if person.known else None, claimed=claimed)


def _new_cookie(s: Services) -> tuple[str, bytes]:
    value = urlsafe_b64encode(s.random(COOKIE_OCTETS)).rstrip(b"=").decode()
    return value, sha256(value.encode()).digest()
