"""Second factors of one's own: list, add, remove, new recovery codes. Adding and removing need a second factor of the
last minutes; one passkey or authenticator app must stay."""

from __future__ import annotations

import secrets

from gambeson.console.web.passkeys import PasskeyError
from gambeson.console.web.qr import svg
from gambeson.console.web.visit import STEP, ProblemError, Reply, Visit, cookie, go
from gambeson.model.access import Rung
from gambeson.process.messages import Message
from gambeson.process.portal_messages import Authenticator, Person, RemoveAuthenticator, SessionRow

from . import proofs, sessions
from .backend import DeniedError, ask
from .routing import get, post
from .second import under_way
from .services import Services
from .steps import Purpose, Step

BOTH = (Purpose.ENROL, Purpose.FACTOR)


async def listing(s: Services, visit: Visit) -> Reply:
    """What is registered."""
    row = await sessions.required(s, visit)
    person = await sessions.owner(s, row)
    left = sum(len(a.verifiers) for a in proofs.of_kind(person, proofs.RECOVERY))
    mine = [a for a in person.authenticators if a.kind != proofs.RECOVERY]
    return Reply(
        page="factors", values={"session": row, "factors": mine, "left": left, "last": len(mine) < 2}
    )


async def new(s: Services, visit: Visit) -> Reply:
    """Choose and register: in a step of an enrolment, or of a session that was just stepped up."""
    step = s.steps.find(visit.cookie_hash(STEP), visit.at)
    cookies: list[str] = []
    if step is None or step.purpose not in BOTH or (step.session and not await _mine(s, visit, step)):
        row = await sessions.fresh(s, visit, "factor", recovering=True)
        step = Step(
            Purpose.FACTOR,
            visit.source,
            visit.at + s.settings.step_seconds,
            account=row.account,
            address=row.address,
            session=row.id,
        )
        cookies.append(cookie(STEP, s.steps.open(step, visit.at), strict=True))
        person = await sessions.owner(s, row)
    else:
        step, person = await under_way(s, visit, *BOTH)
    reply = await _page(s, visit, step, person)
    reply.cookies = cookies
    return reply


async def _mine(s: Services, visit: Visit, step: Step) -> bool:
    row = await sessions.current(s, visit)
    return row is not None and row.id == step.session


async def _page(
    s: Services, visit: Visit, step: Step, person: Person, error: str = "", status: int = 200
) -> Reply:
    if not step.secret:
        step.secret = s.random(proofs.TOTP_OCTETS)
    uri = proofs.totp_uri(step.secret, person.address, s.settings.name)
    text = proofs.totp_text(step.secret)
    row = await sessions.current(s, visit)
    values = {
        "session": row if step.session else None,
        "error": error,
        "enrolling": step.purpose is Purpose.ENROL,
        "recovering": row is not None and sessions.recovered(s, row),
        "qr": svg(uri, s.texts("factor.qr")),
        "uri": uri,
        "key": " ".join(text[i : i + 4] for i in range(0, len(text), 4)),
        "replaces": bool(proofs.of_kind(person, proofs.TOTP)),
    }
    return Reply(status, "factor_new", values)


async def add_totp(s: Services, visit: Visit) -> Reply:
    """The first code of an authenticator app came."""
    step, person = await under_way(s, visit, *BOTH)
    known = s.throttling.known_browser(visit, person)
    if not s.throttling.may_try(s.throttling.factors, visit, person.address, person, known):
        raise ProblemError(429)
    name = _name(visit) or s.texts("factor.totp")
    if not await proofs.register_totp(s, person, step, visit.given("code"), name, visit.at):
        s.throttling.failed(s.throttling.factors, visit, person.address, known)
        return await _page(s, visit, step, person, "factor.wrong-code", 403)
    s.throttling.succeeded(s.throttling.factors, visit, person.address, known)
    return await _added(s, visit, step, person, proofs.TOTP, Rung.KNOWLEDGE_AND_CODE)


async def add_passkey(s: Services, visit: Visit) -> Reply:
    """A new passkey came."""
    step, person = await under_way(s, visit, *BOTH)
    name = _name(visit) or s.texts("factor.passkey")
    try:
        await proofs.register_passkey(s, person, step, visit.given("credential", 32768), name, visit.at)
    except PasskeyError as error:
        await sessions.tell(s, visit, "portal.passkey.refused", person, f"Check: {error.reason}.")
        key = "factor.taken" if error.reason == "taken" else "factor.wrong-passkey"
        return await _page(s, visit, step, person, key, 403)
    return await _added(s, visit, step, person, proofs.PASSKEY, Rung.DEVICE_KEY)


async def _added(s: Services, visit: Visit, step: Step, person: Person, kind: str, rung: Rung) -> Reply:
    await sessions.tell(s, visit, "portal.factor.added", person, s.texts(f"factor.{kind}"))
    how = s.texts(f"how.enrol-{kind}")
    if step.purpose is Purpose.ENROL:
        row, cookies = await sessions.begin(s, visit, person, rung, how, step)
        shown = await proofs.new_recovery_codes(s, person, visit.at)
        return _codes(row, shown, f"/enter?{step.target.query()}" if step.target else "/", cookies)
    row = await sessions.required(s, visit, recovering=True)
    # The rung does not rise by registering: the new one has to prove itself at the next sign-in or step-up.
    cookies = await sessions.step_up(
        s, visit, row, Rung.from_word(row.rung), how if sessions.recovered(s, row) else ""
    )
    if not any(a.verifiers for a in proofs.of_kind(person, proofs.RECOVERY)):
        shown = await proofs.new_recovery_codes(s, person, visit.at)
        return _codes(row, shown, "/factors", cookies)
    return go("/factors", *cookies)


def _codes(row: SessionRow, shown: list[str], onward: str, cookies: list[str] | None = None) -> Reply:
    values = {"session": row, "codes": shown, "onward": onward}
    return Reply(page="recovery", values=values, cookies=cookies or [])


async def renew_recovery(s: Services, visit: Visit) -> Reply:
    """A new list of recovery codes; the old one is void."""
    row = await sessions.fresh(s, visit, "factors")
    person = await sessions.owner(s, row)
    shown = await proofs.new_recovery_codes(s, person, visit.at)
    await sessions.tell(s, visit, "portal.recovery.renewed", person)
    return _codes(row, shown, "/factors")


async def ask_remove(s: Services, visit: Visit) -> Reply:
    """Shows which one would go."""
    row = await sessions.fresh(s, visit, "factors")
    _person, factor, last = await _one(s, visit, row)
    return Reply(page="factor_remove", values={"session": row, "factor": factor, "last": last})


async def remove(s: Services, visit: Visit) -> Reply:
    """Forget one; never the last."""
    row = await sessions.fresh(s, visit, "factors")
    person, factor, last = await _one(s, visit, row)
    if last:
        return Reply(409, "factor_remove", {"session": row, "factor": factor, "last": True})
    try:
        await ask(s.backend, RemoveAuthenticator(account=person.account, id=factor.id), Message)
    except DeniedError as error:
        if (
            error.reason != "taken"
        ):  # else the other one went at the same moment: the store lets the last stay
            raise
        return Reply(409, "factor_remove", {"session": row, "factor": factor, "last": True})
    await sessions.tell(s, visit, "portal.factor.removed", person, factor.name)
    return go("/factors")


async def _one(s: Services, visit: Visit, row: SessionRow) -> tuple[Person, Authenticator, bool]:
    person = await sessions.owner(s, row)
    mine = [a for a in person.authenticators if a.kind != proofs.RECOVERY]
    found = next(
        (a for a in mine if secrets.compare_digest(a.id.encode(), visit.path["factor"].encode())), None
    )
    if found is None:
        raise ProblemError(404)
    return person, found, len(mine) < 2


def _name(visit: Visit) -> str:
    shown = "".join(c if c.isprintable() else " " for c in visit.given("name"))
    return " ".join(shown.split())[: proofs.MAX_NAME]


ROUTES = (
    get("/factors", listing),
    get("/factors/new", new),
    post("/factors/totp", add_totp),
    post("/factors/passkey", add_passkey),
    post("/factors/recovery", renew_recovery),
    get("/factors/{factor:str}/remove", ask_remove),
    post("/factors/{factor:str}/remove", remove),
)
