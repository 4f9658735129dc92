"""Opening session tokens at a door: signature first, then what it says, then host and time.

The text's grammar is :mod:`gambeson.model.session_token`, which the keeper reads too.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gambeson.model.session_token import (
    LIFETIME,
    MAX_TOKEN,
    RENEW_BELOW,
    SESSION_PREFIX,
    Claims,
    TokenError,
    check,
    octets,
    read,
    split,
    token,
)

__all__ = [
    "LIFETIME",
    "MAX_TOKEN",
    "RENEW_BELOW",
    "SESSION_PREFIX",
    "Claims",
    "TokenError",
    "check",
    "octets",
    "open_token",
    "token",
]


def open_token(text: str, key: Ed25519PublicKey, host: str, now: float) -> Claims:
    """What the keeper of ``key`` said, for ``host``, in force at ``now``. Raises TokenError (``malformed``,
    ``forged``, ``another-host``, ``expired``, ``not-yet``)."""
    claims, signature = split(text)
    try:
        key.verify(signature, SESSION_PREFIX + claims)
    except InvalidSignature:
        raise TokenError("forged") from None
    said = read(claims)
    check(said, host, now)
    return said
