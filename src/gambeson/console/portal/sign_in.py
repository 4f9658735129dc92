"""The first step: address and password, or a passkey alone.

Nobody learns here whether an address exists, whether the password was the wrong half, or whether the account has a
second factor: one sentence for all, after the same questions to desk, keeper and identity source, and the same time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gambeson.console.web.passkeys import PasskeyError
from gambeson.console.web.visit import BOX, STEP, ProblemError, Reply, Visit, cookie, go
from gambeson.model import device_secret
from gambeson.model.address import canonical
from gambeson.process.portal_messages import Person, PersonAsk

from . import box, proofs, sessions
from .backend import ask
from .routing import get, post
from .services import Services
from .steps import Purpose, Step
from .target import Target, read_target

MAX_ADDRESS = 320
MAX_PASSWORD = box.MAX_PASSWORD
NOBODY = Person(known=False)


@dataclass(frozen=True, slots=True)
class FirstStep:
    """What became of address and password. ``right``: the account is there, enabled, and the password fits."""

    person: Person
    claimed: str
    password: str
    known: bool
    right: bool
    begun: float = 0.0  # by the loop's clock

    def __repr__(self) -> str:
        return f"FirstStep({self.claimed!r}, right={self.right})"


def wanted(s: Services, visit: Visit) -> Target | None:
    """Where the person wants to go, from the form or the query."""
    return read_target(s.settings, visit.given("host"), visit.given("state"), visit.given("to", 2048))


async def first_step(s: Services, visit: Visit) -> FirstStep:
    """Check address and password of a form. Raises ProblemError(429) where that may not be tried now."""
    begun = asyncio.get_running_loop().time()
    typed, password = visit.given("address", 4096)[:MAX_ADDRESS], visit.given("password", 4096)
    try:
        claimed = canonical(typed)
    except ValueError:
        claimed = typed.strip().lower() or "-"  # nobody, who is asked for like anybody
    person = await ask(s.backend, PersonAsk(address=claimed), Person)
    known = s.throttling.known_browser(visit, person)
    if not s.throttling.may_try(s.throttling.passwords, visit, claimed, person, known):
        await sessions.tell_throttled(s, visit, person, claimed)
        raise ProblemError(429)
    # A device secret must never go where passwords go; too long a password is none. Both take the same way.
    never = device_secret.resembles(password) or not password or len(password) > MAX_PASSWORD
    fits = await s.backend.check_password(NOBODY if never else person, "" if never else password)
    right = fits and not never and person.known and person.enabled
    return FirstStep(person, claimed, password, known, right, begun)


async def refused(s: Services, visit: Visit, first: FirstStep, kind: str) -> None:
    """The first step was not enough: count it and tell the record."""
    s.throttling.failed(s.throttling.passwords, visit, first.claimed, first.known)
    person = first.person if first.person.known else None
    await sessions.tell(s, visit, kind, person, claimed=first.claimed, guess=not first.known)
    # A directory is quicker than argon2, and who is there costs the store a little more than who is not.
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, first.begun + s.settings.refusal_seconds - now))


def open_step(
    s: Services, visit: Visit, purpose: Purpose, first: FirstStep, target: Target | None
) -> list[str]:
    """The step that a right password earns; returns its cookies. The password waits sealed under a key that only the
    browser gets."""
    key = s.random(box.KEY)
    s.steps.drop(visit.cookie_hash(STEP))
    step = Step(
        purpose,
        visit.source,
        visit.at + s.settings.step_seconds,
        account=first.person.account,
        address=first.claimed,
        target=target,
        known=first.known,
        box=box.seal(first.password, key, s.random(box.NONCE), box.context("")),
    )
    return [cookie(STEP, s.steps.open(step, visit.at), strict=True), cookie(BOX, box.key_text(key))]


async def show(s: Services, visit: Visit) -> Reply:
    """The form. Whoever is signed in already goes on."""
    target = wanted(s, visit)
    if await sessions.current(s, visit) is not None:
        return go(f"/enter?{target.query()}" if target else "/")
    return page(s, target)


def page(s: Services, target: Target | None, error: str = "", status: int = 200, address: str = "") -> Reply:
    """The sign-in page, with an error's key or none."""
    label = ""
    if target is not None:
        application = s.settings.application(target.host)
        label = (application.label if application else "") or target.host
    values = {"target": target, "error": error, "address": address, "application": label}
    return Reply(status, "sign_in", values)


async def submit(s: Services, visit: Visit) -> Reply:
    """Address and password came."""
    target = wanted(s, visit)
    first = await first_step(s, visit)
    if not first.right or not proofs.has_factor(first.person):
        await refused(s, visit, first, "portal.sign-in.refused")
        return page(s, target, "sign-in.wrong", 403, visit.given("address", 4096)[:MAX_ADDRESS])
    return go("/second", *open_step(s, visit, Purpose.SIGN_IN, first, target))


async def alone(s: Services, visit: Visit) -> Reply:
    """A passkey came, without address or password."""
    target = wanted(s, visit)
    step = s.steps.find(visit.cookie_hash(STEP), visit.at)
    try:
        if step is None or step.purpose is not Purpose.PASSKEY:
            raise PasskeyError("challenge")
        person, proof = await proofs.prove_passkey_alone(s, step, visit.given("credential", 32768), visit.at)
    except PasskeyError as error:
        copied = error.person is not None and error.reason == "counter"
        if copied or s.throttling.may_tell(visit):
            kind = "portal.passkey.copied" if copied else "portal.passkey.refused"
            await sessions.tell(s, visit, kind, error.person, f"Check: {error.reason}.")
        return page(s, target, "second.wrong-passkey", 403)
    row, cookies = await sessions.begin(s, visit, person, proof.rung, s.texts("how.passkey-alone"), step)
    return go(f"/enter?{target.query()}" if target and row.id else "/", *cookies)


ROUTES = (get("/sign-in", show), post("/sign-in", submit), post("/sign-in/passkey", alone))
