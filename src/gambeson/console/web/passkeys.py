"""Passkeys: what is asked of a browser, and every check of what it answers (W3C Web Authentication Level 3, sections
7.1 and 7.2).

py_webauthn verifies the signature, and some of the rest. What it leaves to its caller is here, and so is what it does
too, so that no update of the library takes a check away: user verification is required, the ceremony's type, the
single-use challenge, the exact origin, no embedding (crossOrigin, topOrigin), the relying party's hash, presence,
backup flags that agree with each other and with what was registered, the offered algorithms, the length of the
credential id, who was asked, the user handle, and a counter that must grow.

The checks are a table. Each has a stable word, which is what a refusal says to the record; the person reads one
sentence for all.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.hazmat.backends.openssl import backend as _backend  # noqa: F401 - py_webauthn reads it on first use
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import options_to_json, parse_attestation_object, parse_authenticator_data
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import decode_credential_public_key
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gambeson.process.portal_messages import Authenticator, Person

MAX_CREDENTIAL_ID = 1023  # octets, section 7.1
MAX_ANSWER = 24 * 1024  # characters of the JSON that a browser sends
ALGORITHMS = (
    COSEAlgorithmIdentifier.EDDSA,  # -8
    COSEAlgorithmIdentifier.ECDSA_SHA_256,  # -7
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # -257
)
FORMATS = ("none", "packed")  # we ask for none; a self attestation may come as packed
TIMEOUT = 300_000  # milliseconds
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_TRANSPORTS = {t.value: t for t in AuthenticatorTransport}


class PasskeyError(Exception):
    """The answer proves nothing. ``reason`` is a check's word, ``malformed`` or ``invalid``; ``person`` is whose
    passkey it is, where the signature showed that and the counter did not fit."""

    def __init__(self, reason: str, person: Person | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.person = person


@dataclass(frozen=True, slots=True)
class Asked:
    """What the browser was asked. ``allowed`` are credential ids; None: whichever the person chooses (which then must
    say whose it is). ``handle`` is the account's user handle."""

    challenge: bytes
    rp_id: str
    origin: str
    allowed: tuple[bytes, ...] | None = None
    handle: bytes = b""
    stored: Authenticator | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came, taken apart and not believed. ``algorithm`` is 0 and ``format`` empty for a sign-in."""

    client: Mapping[str, Any]
    rp_id_hash: bytes
    flags: Any
    sign_count: int
    credential_id: bytes
    handle: bytes | None = None
    algorithm: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A passkey proved itself: what to store of it."""

    id: bytes
    sign_count: int
    backed_up: bool


Check = tuple[str, Callable[[Asked, Answered], bool]]


def _challenge(asked: Asked, answered: Answered) -> bool:
    return hmac.compare_digest(_octets(answered.client.get("challenge")), asked.challenge)


def _counter(asked: Asked, answered: Answered) -> bool:
    stored = asked.stored.sign_count if asked.stored is not None else 0
    return answered.sign_count > stored or answered.sign_count == stored == 0


def _handle(asked: Asked, answered: Answered) -> bool:
    """Section 7.2 step 6: who was not known before must be named; who is named must be the owner."""
    if answered.handle is None:
        return asked.allowed is not None
    return hmac.compare_digest(answered.handle, asked.handle)


COMMON: tuple[Check, ...] = (
    ("challenge", _challenge),
    ("origin", lambda asked, got: got.client.get("origin") == asked.origin),
    ("cross-origin", lambda _asked, got: got.client.get("crossOrigin", False) is False),
    ("top-origin", lambda _asked, got: "topOrigin" not in got.client),
    (
        "relying-party",
        lambda asked, got: hmac.compare_digest(got.rp_id_hash, sha256(asked.rp_id.encode()).digest()),
    ),
    ("user-presence", lambda _asked, got: bool(got.flags.up)),
    ("user-verification", lambda _asked, got: bool(got.flags.uv)),
    ("backup-state", lambda _asked, got: bool(got.flags.be or not got.flags.bs)),
)
REGISTRATION: tuple[Check, ...] = (
    ("type", lambda _asked, got: got.client.get("type") == "webauthn.create"),
    *COMMON,
    ("algorithm", lambda _asked, got: got.algorithm in ALGORITHMS),
    ("credential-id", lambda _asked, got: 0 < len(got.credential_id) <= MAX_CREDENTIAL_ID),
    ("format", lambda _asked, got: got.format in FORMATS),
)
SIGN_IN: tuple[Check, ...] = (
    ("type", lambda _asked, got: got.client.get("type") == "webauthn.get"),
    *COMMON,
    ("not-asked", lambda asked, got: asked.allowed is None or got.credential_id in asked.allowed),
    ("another-owner", _handle),
    (
        "backup-eligibility",
        lambda asked, got: asked.stored is not None and bool(got.flags.be) is asked.stored.backup_eligible,
    ),
)
# Asked only of what was signed: else anybody who knows the id could make a passkey look copied.
SIGNED: tuple[Check, ...] = (("counter", _counter),)


def registration_options(
    *,
    rp_id: str,
    rp_name: str,
    address: str,
    handle: bytes,
    challenge: bytes,
    known: tuple[Authenticator, ...],
) -> str:
    """JSON for ``navigator.credentials.create``. ``known`` are the account's passkeys: none is made twice."""
    options = generate_registration_options(
        rp_id=rp_id,
        rp_name=rp_name,
        user_name=address,
        user_id=handle,
        user_display_name=address,
        challenge=challenge,
        timeout=TIMEOUT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(a) for a in known],
        supported_pub_key_algs=list(ALGORITHMS),
    )
    return options_to_json(options)


def sign_in_options(*, rp_id: str, challenge: bytes, known: tuple[Authenticator, ...]) -> str:
    """JSON for ``navigator.credentials.get``; ``known`` empty: the person chooses the account."""
    options = generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        timeout=TIMEOUT,
        allow_credentials=[_descriptor(a) for a in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def credential_id(text: str) -> bytes:
    """Whose answer it claims to be, before anything is checked. Raises PasskeyError."""
    found = _octets(_document(text).get("id"))
    if not 0 < len(found) <= MAX_CREDENTIAL_ID:
        raise PasskeyError("malformed")
    return found


def check_registration(text: str, asked: Asked) -> Authenticator:
    """A new passkey, as it is stored (without id and name). That nobody has its id yet is asked of the store. Raises
    PasskeyError."""
    document = _document(text)
    response = _table(document.get("response"))
    try:
        attestation = parse_attestation_object(_octets(response.get("attestationObject")))
        data = attestation.auth_data
        credential = data.attested_credential_data
        if credential is None:
            raise PasskeyError("malformed")
        answered = Answered(
            _client(response),
            data.rp_id_hash,
            data.flags,
            data.sign_count,
            credential.credential_id,
            algorithm=decode_credential_public_key(credential.credential_public_key).alg,
            format=str(getattr(attestation.fmt, "value", attestation.fmt)),
        )
    except PasskeyError:
        raise
    except Exception as error:  # a library's parser on hostile octets: whatever it raises is a refusal
        raise PasskeyError("malformed") from error
    _interpret(REGISTRATION, asked, answered)
    try:
        verified = verify_registration_response(
            credential=document,
            expected_challenge=asked.challenge,
            expected_rp_id=asked.rp_id,
            expected_origin=asked.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except Exception as error:
        raise PasskeyError("invalid") from error
    return Authenticator(
        id="",
        kind="passkey",
        public_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=bool(data.flags.be),
        backed_up=verified.credential_backed_up,
        transports=_transports(response.get("transports")),
    )


def check_sign_in(text: str, asked: Asked) -> Used:
    """The passkey that proved itself; ``asked.stored`` is the one it claims to be. Raises PasskeyError."""
    document = _document(text)
    response = _table(document.get("response"))
    stored = asked.stored
    try:
        data = parse_authenticator_data(_octets(response.get("authenticatorData")))
        handle = response.get("userHandle")
        answered = Answered(
            _client(response),
            data.rp_id_hash,
            data.flags,
            data.sign_count,
            credential_id(text),
            handle=None if handle is None else _octets(handle),
        )
    except PasskeyError:
        raise
    except Exception as error:
        raise PasskeyError("malformed") from error
    _interpret(SIGN_IN, asked, answered)
    if stored is None or stored.kind != "passkey" or stored.public_id != answered.credential_id:
        raise PasskeyError("not-asked")
    try:
        verified = verify_authentication_response(
            credential=document,
            expected_challenge=asked.challenge,
            expected_rp_id=asked.rp_id,
            expected_origin=asked.origin,
            credential_public_key=stored.public_key,
            credential_current_sign_count=0,  # ours to judge, below
            require_user_verification=True,
        )
    except Exception as error:
        raise PasskeyError("invalid") from error
    _interpret(SIGNED, asked, answered)
    return Used(verified.credential_id, verified.new_sign_count, verified.credential_backed_up)


def _interpret(checks: tuple[Check, ...], asked: Asked, answered: Answered) -> None:
    for reason, holds in checks:
        if not holds(asked, answered):
            raise PasskeyError(reason)


def _descriptor(passkey: Authenticator) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        id=passkey.public_id, transports=[_TRANSPORTS[t] for t in passkey.transports if t in _TRANSPORTS]
    )


def _document(text: str) -> dict[str, Any]:
    if len(text) > MAX_ANSWER:
        raise PasskeyError("malformed")
    return _json(text)


def _client(response: Mapping[str, Any]) -> dict[str, Any]:
    return _json(_octets(response.get("clientDataJSON")))


def _json(text: str | bytes) -> dict[str, Any]:
    """An object without a name twice: two readers would take different ones."""
    try:
        return _table(json.loads(text, object_pairs_hook=_once))
    except (ValueError, RecursionError):
        raise PasskeyError("malformed") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name came twice")
    return found


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PasskeyError("malformed")
    return value


def _transports(value: object) -> tuple[str, ...]:
    """Hints for the browser's dialogue; what we do not know is left out."""
    return tuple(known for known in _TRANSPORTS if isinstance(value, list) and known in value)


def _octets(text: object) -> bytes:
    """Base64url without padding (RFC 4648 section 5)."""
    if not isinstance(text, str) or _BASE64URL.match(text) is None:
        raise PasskeyError("malformed")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise PasskeyError("malformed") from None
