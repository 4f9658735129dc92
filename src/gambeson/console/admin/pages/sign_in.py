"""Signing in with a passkey, proving it again, signing out; and the link that binds somebody's first passkey.

A link is used up by the passkey that it binds, not by looking at it: mail programs and chats look at links.
"""

from __future__ import annotations

from hashlib import sha256

from gambeson.console.admin import frame, passkeys, record, sessions
from gambeson.console.admin.desk import Desk
from gambeson.console.admin.routing import Who, get, post
from gambeson.console.web.passkeys import PasskeyError
from gambeson.console.web.visit import ProblemError, Reply, Visit, cookie, forget, go
from gambeson.model.staff import Staff
from gambeson.store.errors import Conflict, NotFound

LINK = "__Host-gambeson-console-link"
LINK_SECONDS = 900.0
MAX_NAME = 60


def show(desk: Desk, visit: Visit) -> Reply:
    """The form. Whoever is signed in goes on."""
    back = frame.local(visit.given("back") or "/")
    if desk.session is not None:
        return go(back)
    return desk.page("sign_in", back=back, error="")


def options(desk: Desk, visit: Visit) -> Reply:
    """What the browser shall be asked."""
    purpose = visit.query.get("for", "")
    person: Staff | None = None
    if purpose == passkeys.CREATE:
        person = _invited(desk, visit)
        if person is None:
            person = _signed_in(desk)
            desk.office.fresh()
    elif purpose == passkeys.STEP_UP:
        person = _signed_in(desk)
    elif purpose != passkeys.ALONE:
        raise ProblemError(400)
    text, value = passkeys.options(desk.services, purpose, person, desk.at)
    return Reply(
        body=text.encode(), kind="application/json", cookies=[cookie(sessions.STEP, value, strict=True)]
    )


def submit(desk: Desk, visit: Visit) -> Reply:
    """A passkey came."""
    s, back = desk.services, frame.local(visit.given("back") or "/")
    try:
        person = passkeys.proven(s, visit)
    except PasskeyError as error:
        s.tries.wrong(visit.source, desk.at)
        record.tell(s.world, "console.sign-in.refused", desk.at, source=visit.source, reason=error.reason)
        return desk.page("sign_in", 403, back=back, error="sign-in.wrong")
    cookies = sessions.begin(s, visit, person, sessions.PASSKEY)
    record.tell(
        s.world, "console.sign-in", desk.at, source=visit.source, staff=person.id, how=sessions.PASSKEY
    )
    return go(back, *cookies)


def show_step_up(desk: Desk, visit: Visit) -> Reply:
    """Asks for the passkey once more."""
    return desk.page("step_up", back=frame.local(visit.given("back") or "/"), error="")


def step_up(desk: Desk, visit: Visit) -> Reply:
    """It came: back to where the person was going."""
    s, back = desk.services, frame.local(visit.given("back") or "/")
    assert desk.session is not None
    try:
        passkeys.proven(s, visit, desk.office.access.staff)
    except PasskeyError as error:
        s.tries.wrong(visit.source, desk.at)
        record.tell(s.world, "console.step-up.refused", desk.at, source=visit.source, reason=error.reason)
        return desk.page("step_up", 403, back=back, error="sign-in.wrong")
    return go(back, *sessions.prove(s, visit, desk.session))


def welcome(desk: Desk, visit: Visit) -> Reply:
    """A link was opened: shows whom it is for. It changes nothing."""
    token = visit.path["token"]
    person = _person(desk, token)
    if person is None:
        desk.services.tries.wrong(visit.source, desk.at)
        return desk.page("welcome", 404, person=None, error="")
    reply = desk.page("welcome", person=person, error="")
    reply.cookies.append(cookie(LINK, token, strict=True, seconds=LINK_SECONDS))
    return reply


def bind(desk: Desk, visit: Visit) -> Reply:
    """The passkey that the link binds came: the link is used up, and its person signed in."""
    s, token = desk.services, visit.cookies.get(LINK, "")
    person = _person(desk, token)
    if person is None:
        return desk.page("welcome", 404, person=None, error="")
    by = f"{person.name} (console)"
    try:
        made = passkeys.registered(s, visit, person)
        name = visit.given("name", MAX_NAME).strip() or desk.t("passkey.first")
        passkeys.keep(s, person, made, name, by, desk.at, _verifier(token))
    except PasskeyError:
        return desk.page("welcome", 403, person=person, error="welcome.wrong")
    except (Conflict, NotFound):
        return desk.page("welcome", 404, person=None, error="")
    cookies = sessions.begin(s, visit, person, sessions.FIRST)
    record.tell(s.world, "console.sign-in", desk.at, source=visit.source, staff=person.id, how=sessions.FIRST)
    return go("/?said=welcome", *cookies, forget(LINK))


def sign_out(desk: Desk, visit: Visit) -> Reply:
    """Ends this session. Without one it does nothing, and looks the same."""
    if desk.session is not None:
        desk.services.world.store.staff.end_session(
            desk.session.id, "signed out", by=desk.office.by, at=desk.at
        )
    reply = go("/sign-in?said=signed-out", forget(sessions.SESSION), forget(sessions.STEP))
    reply.headers["clear-site-data"] = '"cache", "storage"'
    return reply


def _verifier(token: str) -> bytes:
    return sha256(token.encode("latin-1", "replace")).digest()


def _person(desk: Desk, token: str) -> Staff | None:
    """Whom a live link is for."""
    staff = desk.services.world.store.staff
    link = staff.link(_verifier(token), desk.at) if token else None
    if link is None:
        return None
    try:
        person = staff.get(link.staff)
    except NotFound:
        return None
    return person if person.enabled else None


def _signed_in(desk: Desk) -> Staff:
    if desk.here is None:
        raise ProblemError(403)
    return desk.here.access.staff


def _invited(desk: Desk, visit: Visit) -> Staff | None:
    return _person(desk, visit.cookies.get(LINK, ""))


ROUTES = (
    get("/sign-in", show, None, who=Who.ANYBODY),
    post("/passkey/options", options, None, who=Who.ANYBODY),
    post("/sign-in/passkey", submit, None, who=Who.ANYBODY),
    get("/step-up", show_step_up, None),
    post("/step-up", step_up, None),
    get("/welcome/{token:str}", welcome, None, who=Who.ANYBODY),
    post("/welcome", bind, None, who=Who.ANYBODY),
    post("/sign-out", sign_out, None, who=Who.ANYBODY),
)
