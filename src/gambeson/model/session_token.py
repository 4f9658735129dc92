"""The session token: what says at an application's door that a person signed in at the portal.

Text: base64url of the claims, ``.``, base64url of 64 octets Ed25519 signature (RFC 8032) over ``SESSION_PREFIX`` and
the claims; both without padding (RFC 4648 section 5). The claims are one JSON array of fixed order. It is no JWT:
there is one algorithm, one key and one reader, so nothing in it chooses how it is verified.

Rules:

- A token is for one host name, lives at most ``LIFETIME`` seconds, and never beyond the session's own end.
- Claims are read only after their signature held; what reads them here believes nobody all the same.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass

from .access import Rung

SESSION_PREFIX = b"gambeson session token v1\0"  # what is signed for a session is never anything else
LIFETIME = 900.0  # seconds
RENEW_BELOW = 300.0  # seconds left, from which on the door asks for the next one
SKEW = 5.0  # seconds that a token may seem to come from the future
MAX_TOKEN = 2048  # characters
MAX_FIELD = 320  # characters of one text in the claims
SIGNATURE = 64  # octets

_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,1900})\.([A-Za-z0-9_-]{86})\Z")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?\Z")


class TokenError(ValueError):
    """The token opens nothing. ``reason`` is a stable word for the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. ``session`` is the portal session's id, ``organisation`` and ``account`` are ids. ``host`` is
    the application's public name. ``issued``, ``expires`` (the token) and ``ends`` (the session at the latest) are
    seconds since 1970."""

    session: str
    organisation: str
    account: str
    address: str
    rung: Rung
    host: str
    issued: float
    expires: float
    ends: float

    @property
    def name(self) -> str:
        """The host without a port: cookies know none."""
        return self.host.partition(":")[0]


def octets(claims: Claims) -> bytes:
    """What is signed, after ``SESSION_PREFIX``."""
    c = claims
    fields = (
        c.session,
        c.organisation,
        c.account,
        c.address,
        c.rung.word,
        c.host,
        c.issued,
        c.expires,
        c.ends,
    )
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


def token(claims: bytes, signature: bytes) -> str:
    """The text for the cookie."""
    return f"{_base64url(claims)}.{_base64url(signature)}"


def split(text: str) -> tuple[bytes, bytes]:
    """The claims' octets and the signature, nothing verified. Raises TokenError("malformed")."""
    found = _SHAPE.match(text) if len(text) <= MAX_TOKEN else None
    if found is None:
        raise TokenError("malformed")
    claims, signature = _octets(found[1]), _octets(found[2])
    # One spelling only: a token that was changed in bits that nobody reads is another token.
    if _base64url(claims) != found[1] or _base64url(signature) != found[2]:
        raise TokenError("malformed")
    return claims, signature


def read(claims: bytes) -> Claims:
    """The claims behind the octets. Raises TokenError("malformed")."""
    try:
        fields = json.loads(claims)
    except (ValueError, RecursionError):
        raise TokenError("malformed") from None
    if not isinstance(fields, list) or len(fields) != 9:
        raise TokenError("malformed")
    texts, times = fields[:6], fields[6:]
    if not all(isinstance(t, str) and 0 < len(t) <= MAX_FIELD for t in texts):
        raise TokenError("malformed")
    # bool is an int in Python, and json reads NaN and Infinity.
    if not all(type(t) in (int, float) and 0 < t < 1e11 for t in times):
        raise TokenError("malformed")
    session, organisation, account, address, word, host = texts
    issued, expires, ends = map(float, times)
    try:
        rung = Rung.from_word(word)
    except ValueError:
        raise TokenError("malformed") from None
    if _HOST.match(host) is None or not issued < expires <= min(issued + LIFETIME, ends):
        raise TokenError("malformed")
    return Claims(session, organisation, account, address, rung, host, issued, expires, ends)


def check(claims: Claims, host: str, now: float) -> None:
    """Raises TokenError("another-host", "expired" or "not-yet"). ``host`` is the name that was asked for; a port is
    not compared, because a cookie has none."""
    if claims.name != host.partition(":")[0]:
        raise TokenError("another-host")
    if not now < claims.expires:
        raise TokenError("expired")
    if not claims.issued <= now + SKEW:
        raise TokenError("not-yet")


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _octets(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError):
        raise TokenError("malformed") from None
