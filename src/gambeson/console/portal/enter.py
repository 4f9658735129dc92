"""The way to an application: a single-use code, to a host that is ours, for the browser that asked there."""

from __future__ import annotations

from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.model import device_secret
from gambeson.process.portal_messages import SessionRow

from . import box, sessions
from .routing import get, post
from .services import Services
from .sign_in import MAX_PASSWORD, NOBODY, wanted
from .target import Target


async def enter(s: Services, visit: Visit) -> Reply:
    """Send a signed-in person on; everybody else signs in first and comes back."""
    target = wanted(s, visit)
    if target is None:
        raise ProblemError(400, "enter.unknown")
    row = await sessions.current(s, visit)
    if row is None:
        return go(f"/sign-in?{target.query()}")
    row = await sessions.required(s, visit)
    return await _onward(s, visit, row, target)


async def _onward(s: Services, visit: Visit, row: SessionRow, target: Target) -> Reply:
    application = s.settings.application(target.host)
    key, sealed = b"", b""
    if application is not None and application.password:
        password = sessions.kept_password(s, visit, row)
        if password is None:
            return page(row, target)
        key, sealed = seal_for(s, row, application.name, password)
    return go(target.back(s.codes.issue(row, target, key, sealed)))


def seal_for(s: Services, row: SessionRow, name: str, password: str) -> tuple[bytes, bytes]:
    """A fresh key and the box for one host: the door never sees the portal's own."""
    key = s.random(box.KEY)
    return key, box.seal(password, key, s.random(box.NONCE), box.context(row.id, name))


def page(row: SessionRow, target: Target, error: str = "", status: int = 200) -> Reply:
    """The application wants a password, and none was given: a passkey was enough to sign in."""
    return Reply(status, "password", {"session": row, "target": target, "error": error})


async def submit_password(s: Services, visit: Visit) -> Reply:
    """The password came: checked as at the sign-in, then sealed to the session."""
    row = await sessions.required(s, visit)
    person = await sessions.owner(s, row)
    target = wanted(s, visit)
    application = s.settings.application(target.host) if target is not None else None
    if target is None or application is None:
        raise ProblemError(400, "enter.unknown")
    known = s.throttling.known_browser(visit, person)
    if not s.throttling.may_try(s.throttling.passwords, visit, person.address, person, known):
        await sessions.tell_throttled(s, visit, person, person.address)
        raise ProblemError(429)
    password = visit.given("password", 4096)
    fine = 0 < len(password) <= MAX_PASSWORD and not device_secret.resembles(password)
    if not await s.backend.check_password(person if fine else NOBODY, password if fine else "") or not fine:
        s.throttling.failed(s.throttling.passwords, visit, person.address, known)
        await sessions.tell(s, visit, "portal.password.refused", person, guess=not known)
        return page(row, target, "password.wrong", 403)
    s.throttling.succeeded(s.throttling.passwords, visit, person.address, known)
    kept = sessions.keep_password(s, row, password, visit.at)
    key, sealed = seal_for(s, row, application.name, password)
    return go(target.back(s.codes.issue(row, target, key, sealed)), kept)


ROUTES = (get("/enter", enter), post("/password", submit_password))
