"""The device secret: what it looks like, how it is recognised, how it is stored.

``gam-`` + 8 characters public id + ``-`` + 28 characters secret + 4 characters checksum, in
Crockford's base 32 (no i, l, o, u), lower case: 40 bits of id, 140 bits of secret, 20 bits of
checksum. The prefix and checksum tell a device secret from a person's password without looking
anything up, so that neither is ever relayed to a place meant for the other. A high-entropy
secret needs no slow hash (NIST SP 800-63B section 5.1.2.2): the verifier is keyed BLAKE2b-256.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import blake2b

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 8, 28, 4
ENTROPY_BYTES = 23  # 8 + 28 characters of 5 bits = 180 bits, taken from 184

MISTYPED, FEW_DIGITS = 8, 4  # see resembles

_FILLING = re.compile(r"[\s-]+")
_SHAPE = re.compile(r"gam-?([0-9a-z]{8})-?([0-9a-z]{28})([0-9a-z]{4})\Z")


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A well-formed device secret: its checksum holds; whether it opens anything is not known."""

    public_id: str
    text: str

    def __repr__(self) -> str:
        return f"DeviceSecret({self.public_id}, <hidden>)"


def _base32(value: int, length: int) -> str:
    return "".join(ALPHABET[(value >> 5 * i) & 31] for i in reversed(range(length)))


def _check(body: str) -> str:
    digest = blake2b(body.encode(), digest_size=8, person=b"gam-check").digest()
    return _base32(int.from_bytes(digest) >> 44, CHECK_LENGTH)


def make(entropy: bytes) -> DeviceSecret:
    """A new secret from ``ENTROPY_BYTES`` random bytes. Raises ValueError on another length."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a device secret needs {ENTROPY_BYTES} random bytes")
    body = _base32(int.from_bytes(entropy), ID_LENGTH + SECRET_LENGTH)
    public_id, secret = body[:ID_LENGTH], body[ID_LENGTH:]
    return DeviceSecret(public_id, f"gam-{public_id}-{secret}{_check(public_id + secret)}")


def parse(text: str) -> DeviceSecret | None:
    """The device secret in ``text``, or None where it has not the shape or its checksum fails.

    Upper case (phones capitalise) and missing or additional blanks around are forgiven.
    """
    if len(text) > 64:
        return None
    match = _SHAPE.match(text.strip().lower())
    if match is None:
        return None
    public_id, secret, check = match.groups()
    if _check(public_id + secret) != check:
        return None
    return DeviceSecret(public_id, f"gam-{public_id}-{secret}{check}")


def resembles(text: str) -> bool:
    """Whether the text is a device secret or most likely a mistyped one: such a text must not go where passwords go,
    for it gives most of the secret away. Blanks and hyphens don't count; a random secret has a dozen digits, a
    sentence that begins with gam has few."""
    bare = _FILLING.sub("", text).lower()
    body = bare.removeprefix("gam")
    return (
        bare != body
        and len(body) >= ID_LENGTH + SECRET_LENGTH + CHECK_LENGTH - MISTYPED
        and body.isascii()
        and body.isalnum()
        and sum(c.isdigit() for c in body) >= FEW_DIGITS
    )


def verifier(secret: DeviceSecret, key: bytes) -> bytes:
    """What is stored: keyed BLAKE2b-256. ``key`` is the keeper's, 32 bytes, never in a database."""
    return blake2b(secret.text.encode(), key=key, digest_size=32, person=b"gam-device-key").digest()


def matches(secret: DeviceSecret, key: bytes, stored: bytes) -> bool:
    """Constant-time comparison of a presented secret with the stored verifier."""
    return hmac.compare_digest(verifier(secret, key), stored)
