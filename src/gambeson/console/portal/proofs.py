"""Second factors: whether what came proves one of an account's, and how a new one is made.

The store decides that nothing is used twice (``UseAuthenticator``), in one transaction; what it refuses is as wrong as
a wrong code.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from dataclasses import dataclass

import pyotp

from gambeson.console.web.passkeys import (
    Asked,
    PasskeyError,
    check_registration,
    check_sign_in,
    credential_id,
)
from gambeson.model.access import Rung
from gambeson.process.keeper_messages import SealAsk
from gambeson.process.messages import Message, Octets
from gambeson.process.portal_messages import (
    RECOVERY_CONTEXT,
    TOTP_CONTEXT,
    AddAuthenticator,
    Authenticator,
    CodeVerifierAsk,
    Person,
    PersonAsk,
    TotpAsk,
    TotpStep,
    UseAuthenticator,
)

from . import codewords
from .backend import DeniedError, ask, ask_keeper
from .services import Services
from .steps import Step

PASSKEY, TOTP, RECOVERY = "passkey", "totp", "recovery"
TOTP_OCTETS = 20  # RFC 4226 section 4: 160 bits
TOTP_DIGITS = 6
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Proof:
    """A second factor was proven. ``kind`` is passkey, totp or recovery."""

    kind: str
    rung: Rung


def of_kind(person: Person, kind: str) -> tuple[Authenticator, ...]:
    """The account's second factors of one kind."""
    return tuple(a for a in person.authenticators if a.kind == kind)


def has_factor(person: Person) -> bool:
    """Whether a second factor is registered; recovery codes alone are none."""
    return any(a.kind in (PASSKEY, TOTP) for a in person.authenticators)


async def prove_totp(s: Services, person: Person, code: str, at: float) -> Proof | None:
    """A code of an authenticator app; None where it is wrong or was used."""
    number = codewords.digits(code)
    if len(number) != TOTP_DIGITS:
        return None
    for factor in of_kind(person, TOTP):
        context = TOTP_CONTEXT + person.account
        question = TotpAsk(sealed=factor.sealed, context=context, code=number, last_step=factor.last_step)
        try:
            step = (await ask_keeper(s.backend, question, TotpStep)).step
            if step <= factor.last_step:
                continue
            use = UseAuthenticator(account=person.account, id=factor.id, at=at, last_step=step)
            await ask(s.backend, use, Message)
        except DeniedError:
            continue
        return Proof(TOTP, Rung.KNOWLEDGE_AND_CODE)
    return None


async def prove_recovery(s: Services, person: Person, code: str, at: float) -> Proof | None:
    """A recovery code; None where it is wrong or was used."""
    spent = await verifier(s, RECOVERY_CONTEXT, person.account, code)
    for factor in of_kind(person, RECOVERY):
        found = False
        for each in factor.verifiers:
            found |= hmac.compare_digest(each, spent)
        if not found:
            continue
        try:
            await ask(
                s.backend, UseAuthenticator(account=person.account, id=factor.id, at=at, spent=spent), Message
            )
        except DeniedError:
            continue
        return Proof(RECOVERY, Rung.KNOWLEDGE_AND_CODE)
    return None


async def prove_passkey(s: Services, person: Person, step: Step, text: str, at: float) -> Proof:
    """A passkey of this account, at the second step. Raises PasskeyError."""
    mine = of_kind(person, PASSKEY)
    wanted = credential_id(text)
    stored = next((a for a in mine if hmac.compare_digest(a.public_id, wanted)), None)
    return await _passkey(s, person, step, text, at, stored, tuple(a.public_id for a in mine))


async def prove_passkey_alone(s: Services, step: Step, text: str, at: float) -> tuple[Person, Proof]:
    """A passkey that also says whose it is. Raises PasskeyError."""
    wanted = credential_id(text)
    person = await ask(s.backend, PersonAsk(passkey=wanted), Person)
    stored = next((a for a in of_kind(person, PASSKEY) if hmac.compare_digest(a.public_id, wanted)), None)
    if not person.known or not person.enabled or stored is None:
        step.take_challenge(at)
        raise PasskeyError("unknown")
    try:
        return person, await _passkey(s, person, step, text, at, stored, None)
    except PasskeyError as error:
        if error.reason == "counter":
            raise PasskeyError("counter", person) from error
        raise


async def _passkey(
    s: Services,
    person: Person,
    step: Step,
    text: str,
    at: float,
    stored: Authenticator | None,
    allowed: tuple[bytes, ...] | None,
) -> Proof:
    challenge = step.take_challenge(at)
    if not challenge:
        raise PasskeyError("challenge")
    asked = Asked(challenge, s.settings.rp_id, s.settings.origin, allowed, person.user_handle, stored)
    used = check_sign_in(text, asked)
    assert stored is not None
    use = UseAuthenticator(
        account=person.account,
        id=stored.id,
        at=at,
        sign_count=used.sign_count,
        backed_up=used.backed_up,
    )
    try:
        await ask(s.backend, use, Message)
    except DeniedError as error:
        raise PasskeyError("counter") from error
    return Proof(PASSKEY, Rung.DEVICE_KEY)


async def register_passkey(s: Services, person: Person, step: Step, text: str, name: str, at: float) -> None:
    """Keep a new passkey. Raises PasskeyError; ``taken`` where somebody has it already."""
    challenge = step.take_challenge(at)
    if not challenge:
        raise PasskeyError("challenge")
    new = check_registration(text, Asked(challenge, s.settings.rp_id, s.settings.origin))
    holder = await ask(s.backend, PersonAsk(passkey=new.public_id), Person)
    if holder.known:
        raise PasskeyError("taken")
    factor = Authenticator(
        id=s.random(12).hex(),
        kind=PASSKEY,
        name=name,
        public_id=new.public_id,
        public_key=new.public_key,
        sign_count=new.sign_count,
        backup_eligible=new.backup_eligible,
        backed_up=new.backed_up,
        transports=new.transports,
        created_at=at,
    )
    try:
        await ask(s.backend, AddAuthenticator(account=person.account, authenticator=factor), Message)
    except DeniedError as error:
        raise PasskeyError("taken") from error


async def register_totp(s: Services, person: Person, step: Step, code: str, name: str, at: float) -> bool:
    """Keep the secret that the step showed, once a code of it came. False where the code is wrong."""
    number = codewords.digits(code)
    if not step.secret or len(number) != TOTP_DIGITS:
        return False
    context = TOTP_CONTEXT + person.account
    sealed = (await ask_keeper(s.backend, SealAsk(plain=step.secret, context=context), Octets)).value
    try:
        found = await ask_keeper(s.backend, TotpAsk(sealed=sealed, context=context, code=number), TotpStep)
    except DeniedError:
        return False
    factor = Authenticator(
        id=s.random(12).hex(), kind=TOTP, name=name, sealed=sealed, last_step=found.step, created_at=at
    )
    await ask(s.backend, AddAuthenticator(account=person.account, authenticator=factor), Message)
    step.secret = b""
    return True


async def new_recovery_codes(s: Services, person: Person, at: float) -> list[str]:
    """A new list, in place of the one before: what the person is shown, once."""
    shown = [
        codewords.recovery_code(s.random(codewords.RECOVERY_OCTETS)) for _ in range(codewords.RECOVERY_CODES)
    ]
    verifiers = [await verifier(s, RECOVERY_CONTEXT, person.account, code) for code in shown]
    factor = Authenticator(id=s.random(12).hex(), kind=RECOVERY, verifiers=tuple(verifiers), created_at=at)
    await ask(s.backend, AddAuthenticator(account=person.account, authenticator=factor), Message)
    return shown


async def verifier(s: Services, kind: str, account: str, code: str) -> bytes:
    """What the store keeps of a code that was typed; ``kind`` is how the keeper's context begins."""
    question = CodeVerifierAsk(code=codewords.typed(code), context=kind + account)
    return (await ask_keeper(s.backend, question, Octets)).value


def totp_uri(secret: bytes, address: str, issuer: str) -> str:
    """What an authenticator app reads from the QR code."""
    return pyotp.TOTP(totp_text(secret), digits=TOTP_DIGITS).provisioning_uri(
        name=address, issuer_name=issuer
    )


def totp_text(secret: bytes) -> str:
    """The secret in base 32 (RFC 4648 section 6), to be typed."""
    return b32encode(secret).decode()
