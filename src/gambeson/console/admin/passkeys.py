"""Passkeys of staff: what a browser is asked, and whose answer it was. The checks are those of the portal
(:mod:`gambeson.console.web.passkeys`); here is who is asked, and that each challenge works once.
"""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.web import passkeys
from gambeson.console.web.passkeys import Asked, PasskeyError
from gambeson.console.web.visit import Visit
from gambeson.model.staff import Staff
from gambeson.process.portal_messages import Authenticator
from gambeson.store.authenticators import UsedAlready
from gambeson.store.errors import NotFound
from gambeson.store.staff_passkeys import StoredPasskey

from .services import Services
from .sessions import STEP

CHALLENGE_OCTETS = 32
ALONE, CREATE, STEP_UP = "alone", "create", "step-up"


def options(s: Services, purpose: str, person: Staff | None, at: float) -> tuple[str, str]:
    """JSON for the browser, and the cookie's value that remembers the question."""
    challenge = s.world.random(CHALLENGE_OCTETS)
    known = _authenticators(s.world.store.staff.passkeys(person.id)) if person is not None else ()
    if purpose == CREATE:
        assert person is not None
        text = passkeys.registration_options(
            rp_id=s.rp_id,
            rp_name=s.world.facts.name,
            address=person.address or person.name,
            handle=person.id.encode(),
            challenge=challenge,
            known=known,
        )
    else:
        text = passkeys.sign_in_options(rp_id=s.rp_id, challenge=challenge, known=known)
    return text, s.challenges.make(challenge, _purpose(purpose, person), at)


def registered(s: Services, visit: Visit, person: Staff) -> Authenticator:
    """The new passkey of an answer, not kept yet. Raises PasskeyError."""
    asked = _asked(s, visit, CREATE, person)
    made = passkeys.check_registration(visit.given("credential", 32768), asked)
    _spend(s, asked, visit)
    return made


def keep(
    s: Services, person: Staff, made: Authenticator, name: str, by: str, at: float, link: bytes = b""
) -> None:
    """Store a passkey that :func:`registered` gave; ``link`` (its verifier) is used up with it, or nothing is done.
    Raises Conflict, NotFound, BadValue."""
    s.world.store.staff.add_passkey(
        person.id,
        name=name,
        public_id=made.public_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        backup_eligible=made.backup_eligible,
        backed_up=made.backed_up,
        transports=made.transports,
        link=link,
        by=by,
        at=at,
    )


def proven(s: Services, visit: Visit, person: Staff | None = None) -> Staff:
    """Who showed a passkey; with ``person`` only that one. Raises PasskeyError; a counter that went back is in its
    reason."""
    text = visit.given("credential", 32768)
    stored = s.world.store.staff.passkey(passkeys.credential_id(text))
    if stored is None or (person is not None and stored.staff != person.id):
        raise PasskeyError("unknown")
    try:
        owner = s.world.store.staff.get(stored.staff)
    except NotFound:
        raise PasskeyError("unknown") from None
    asked = _asked(s, visit, ALONE if person is None else STEP_UP, person)
    whole = Asked(
        asked.challenge,
        asked.rp_id,
        asked.origin,
        None if person is None else (stored.public_id,),
        owner.id.encode(),
        _authenticators([stored])[0],
    )
    used = passkeys.check_sign_in(text, whole)
    _spend(s, asked, visit)
    try:
        s.world.store.staff.use_passkey(
            stored.id,
            sign_count=used.sign_count,
            backed_up=used.backed_up,
            by=f"{owner.name} (console)",
            at=visit.at,
        )
    except UsedAlready:
        raise PasskeyError("counter") from None
    if not owner.enabled:
        raise PasskeyError("disabled")
    return owner


def _purpose(purpose: str, person: Staff | None) -> str:
    return f"{purpose}:{person.id}" if person is not None else purpose


def _asked(s: Services, visit: Visit, purpose: str, person: Staff | None) -> Asked:
    challenge = s.challenges.read(visit.cookies.get(STEP, ""), _purpose(purpose, person), visit.at)
    if not challenge:
        raise PasskeyError("challenge")
    handle = person.id.encode() if person is not None else b""
    return Asked(challenge, s.rp_id, s.world.facts.origin, handle=handle)


def _spend(s: Services, asked: Asked, visit: Visit) -> None:
    if not s.challenges.spend(asked.challenge, visit.at):
        raise PasskeyError("challenge")


def _authenticators(stored: Sequence[StoredPasskey]) -> tuple[Authenticator, ...]:
    return tuple(
        Authenticator(
            id=each.id,
            kind="passkey",
            public_id=each.public_id,
            public_key=each.public_key,
            sign_count=each.sign_count,
            backup_eligible=each.backup_eligible,
            backed_up=each.backed_up,
            transports=tuple(each.transports),
        )
        for each in stored
    )
