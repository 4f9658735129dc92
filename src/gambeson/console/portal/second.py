"""The second step: a passkey, a code of an authenticator app, or a recovery code. For signing in and for step-up.

A step is good for ``MAX_TRIES`` wrong answers; then the password is due again. Guesses at codes are throttled by
account and source, apart from guesses at passwords.
"""

from __future__ import annotations

from gambeson.console.web import passkeys
from gambeson.console.web.passkeys import PasskeyError
from gambeson.console.web.visit import STEP, ProblemError, Reply, Visit, cookie, forget, go
from gambeson.process.portal_messages import Person, PersonAsk

from . import proofs, sessions
from .backend import ask
from .proofs import Proof
from .routing import get, post
from .services import ElsewhereError, Services
from .steps import CHALLENGE_OCTETS, MAX_TRIES, Purpose, Step

BACK = {"device": "/devices/new", "factor": "/factors/new", "factors": "/factors", "": "/"}


async def under_way(s: Services, visit: Visit, *purposes: Purpose) -> tuple[Step, Person]:
    """The browser's step, for one of these purposes, and whose it is. Raises ElsewhereError."""
    step = s.steps.find(visit.cookie_hash(STEP), visit.at)
    if step is None or step.purpose not in purposes:
        raise ElsewhereError("/sign-in")
    if step.session:
        row = await sessions.required(s, visit, recovering=step.purpose is Purpose.FACTOR)
        if row.id != step.session:
            raise ElsewhereError("/sign-in")
    person = await ask(s.backend, PersonAsk(account=step.account), Person)
    if not person.known or not person.enabled:
        s.steps.drop(visit.cookie_hash(STEP))
        raise ElsewhereError("/sign-in")
    return step, person


def page(person: Person, step: Step, error: str = "", status: int = 200) -> Reply:
    """The page with what the account has."""
    kinds = {a.kind for a in person.authenticators}
    recovery = proofs.RECOVERY in kinds and step.purpose is Purpose.SIGN_IN
    values = {
        "error": error,
        "passkey": proofs.PASSKEY in kinds,
        "totp": proofs.TOTP in kinds,
        "recovery": recovery,
        "step_up": step.purpose is Purpose.STEP_UP,
    }
    return Reply(status, "second", values)


async def show(s: Services, visit: Visit) -> Reply:
    """What the account may prove itself with."""
    step, person = await under_way(s, visit, Purpose.SIGN_IN, Purpose.STEP_UP)
    return page(person, step)


async def step_up(s: Services, visit: Visit) -> Reply:
    """Begin a step-up of the browser's session."""
    row = await sessions.required(s, visit)
    back = visit.given("back")
    step = Step(
        Purpose.STEP_UP,
        visit.source,
        visit.at + s.settings.step_seconds,
        account=row.account,
        address=row.address,
        session=row.id,
        back=back if back in BACK else "",
    )
    s.steps.drop(visit.cookie_hash(STEP))
    return go("/second", cookie(STEP, s.steps.open(step, visit.at), strict=True))


async def submit_code(s: Services, visit: Visit) -> Reply:
    """A code was typed."""
    step, person = await under_way(s, visit, Purpose.SIGN_IN, Purpose.STEP_UP)
    recovery = visit.given("kind") == proofs.RECOVERY
    if recovery and step.purpose is not Purpose.SIGN_IN:
        raise ProblemError(400)
    claimed, known = person.address, s.throttling.known_browser(visit, person)
    if not s.throttling.may_try(s.throttling.factors, visit, claimed, person, known):
        await sessions.tell_throttled(s, visit, person, claimed)
        raise ProblemError(429)
    # Counted before anything is awaited: a step has its tries, however many come at once.
    step.tries += 1
    if step.tries > MAX_TRIES:
        return _used_up(s, visit)
    prove = proofs.prove_recovery if recovery else proofs.prove_totp
    proof = await prove(s, person, visit.given("code"), visit.at)
    if proof is None:
        s.throttling.failed(s.throttling.factors, visit, claimed, known)
        await sessions.tell(s, visit, "portal.second.refused", person, guess=not known)
        return _used_up(s, visit) if step.tries >= MAX_TRIES else page(person, step, "second.wrong-code", 403)
    s.throttling.succeeded(s.throttling.factors, visit, claimed, known)
    return await _finish(s, visit, step, person, proof)


async def submit_passkey(s: Services, visit: Visit) -> Reply:
    """A passkey answered."""
    step, person = await under_way(s, visit, Purpose.SIGN_IN, Purpose.STEP_UP)
    try:
        proof = await proofs.prove_passkey(s, person, step, visit.given("credential", 32768), visit.at)
    except PasskeyError as error:
        kind = "portal.passkey.copied" if error.reason == "counter" else "portal.passkey.refused"
        await sessions.tell(s, visit, kind, person, f"Check: {error.reason}.")
        return page(person, step, "second.wrong-passkey", 403)
    return await _finish(s, visit, step, person, proof)


def _used_up(s: Services, visit: Visit) -> Reply:
    s.steps.drop(visit.cookie_hash(STEP))
    reply = Reply(429, "problem", {"error": "second.used-up", "status": 429})
    reply.cookies.append(forget(STEP))
    return reply


async def _finish(s: Services, visit: Visit, step: Step, person: Person, proof: Proof) -> Reply:
    if step.purpose is Purpose.STEP_UP:
        row = await sessions.required(s, visit)
        cookies = await sessions.step_up(s, visit, row, proof.rung)
        await sessions.tell(s, visit, "portal.step-up", person)
        return go(BACK[step.back], *cookies)
    how = s.texts(f"how.sign-in-{proof.kind}")
    s.throttling.succeeded(s.throttling.passwords, visit, step.address, step.known)
    _row, cookies = await sessions.begin(s, visit, person, proof.rung, how, step)
    if proof.kind == proofs.RECOVERY:
        await sessions.tell(s, visit, "portal.recovery.used", person)
        return go("/factors/new", *cookies)
    return go(f"/enter?{step.target.query()}" if step.target else "/", *cookies)


async def options(s: Services, visit: Visit) -> Reply:
    """What the browser's passkey dialogue needs, as JSON; each time with a new challenge. ``for`` is alone (nobody is
    known yet), get (the second step) or create (a new passkey)."""
    challenge = s.random(CHALLENGE_OCTETS)
    cookies: list[str] = []
    rp_id = s.settings.rp_id
    match visit.query.get("for", ""):
        case "alone":
            step = Step(Purpose.PASSKEY, visit.source, visit.at + s.settings.step_seconds)
            s.steps.drop(visit.cookie_hash(STEP))
            cookies.append(cookie(STEP, s.steps.open(step, visit.at), strict=True))
            text = passkeys.sign_in_options(rp_id=rp_id, challenge=challenge, known=())
        case "get":
            step, person = await under_way(s, visit, Purpose.SIGN_IN, Purpose.STEP_UP)
            mine = proofs.of_kind(person, proofs.PASSKEY)
            text = passkeys.sign_in_options(rp_id=rp_id, challenge=challenge, known=mine)
        case "create":
            step, person = await under_way(s, visit, Purpose.ENROL, Purpose.FACTOR)
            text = passkeys.registration_options(
                rp_id=rp_id,
                rp_name=s.settings.name,
                address=person.address,
                handle=person.user_handle,
                challenge=challenge,
                known=proofs.of_kind(person, proofs.PASSKEY),
            )
        case _:
            raise ProblemError(400)
    step.ask(challenge, visit.at + s.settings.challenge_seconds)
    return Reply(body=text.encode(), kind="application/json", cookies=cookies)


ROUTES = (
    get("/second", show),
    post("/second/code", submit_code),
    post("/second/passkey", submit_passkey),
    get("/step-up", step_up),
    post("/passkey/options", options),
)
