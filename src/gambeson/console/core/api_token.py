"""The token of the API as its owner holds it: ``gamt_PUBLICID_SECRET``.

The public id finds the token in the store, which knows of the rest only the SHA-256 of the whole text. The secret has
256 random bits, so nothing slower is needed. The prefix is there to be found by whoever looks for secrets in the wrong
place.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256

ENTROPY_BYTES = 40  # eight for the public id
_PUBLIC_BYTES = 8
_FORM = re.compile(r"gamt_([0-9a-f]{16})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiSecret:
    """A token's text, shown once, and what is kept of it."""

    text: str = field(repr=False)
    public_id: str
    verifier: bytes = field(repr=False)


def make(random: bytes) -> ApiSecret:
    """The token that ``ENTROPY_BYTES`` random octets give."""
    if len(random) != ENTROPY_BYTES:
        raise ValueError(f"a token is made of {ENTROPY_BYTES} random octets")
    public_id = random[:_PUBLIC_BYTES].hex()
    secret = urlsafe_b64encode(random[_PUBLIC_BYTES:]).rstrip(b"=").decode()
    text = f"gamt_{public_id}_{secret}"
    return ApiSecret(text, public_id, sha256(text.encode()).digest())


def read(text: str) -> ApiSecret | None:
    """What somebody brought, where it has the form of a token; None for anything else."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    return ApiSecret(text, found[1], sha256(text.encode()).digest())
