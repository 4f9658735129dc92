"""A request that is sent twice is done once: ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header).

Rules:

* A key belongs to one token and one request. The same request gets the answer of the first time again, for a day;
  another request with that key gets 422, and one that comes while the first is being worked on gets 409.
* Only what was done is remembered. A request that was refused gives its key back and may be sent again. Where nobody
  knows whether it was done (the program failed), the key stays taken and says so.
* An answer may hold a secret that is shown once, so it is kept under a key that only the token's owner has: what lies
  in the store opens nothing (AES-256-GCM, NIST SP 800-38D).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gambeson.console.office import RefusedError, World
from gambeson.store.errors import StoreError

from .access import Asker
from .problems import ApiError

MAX_KEY = 255
_NONCE = 12
_log = logging.getLogger("gambeson.console")


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request's key; empty for none. Raises ApiError(400)."""
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        return ""
    text = found[0].decode("latin-1").strip(" \t")
    if len(found) > 1 or not 0 < len(text) <= MAX_KEY or any(not "!" <= c <= "~" for c in text):
        detail = f"An Idempotency-Key is one word of up to {MAX_KEY} visible ASCII characters."
        raise ApiError(400, "bad-key", detail)
    return text


def digest_of(method: str, path: str, body: bytes) -> str:
    """What tells two requests apart."""
    return sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest()


def once(
    world: World, asker: Asker, key: str, digest: str, at: float, do: Callable[[], tuple[int, bytes]]
) -> tuple[int, bytes, bool]:
    """Status and body of ``do``, done now or remembered (then True). Raises ApiError, and what ``do`` raises."""
    tokens = world.store.tokens
    known = tokens.reserve(asker.token, key, digest, at)
    if known is not None:
        if not hmac.compare_digest(known.digest, digest):
            raise ApiError(
                422, "key-reused", "This Idempotency-Key was used for another request: take a new one."
            )
        if not known.status:
            raise ApiError(
                409,
                "in-work",
                "This request is being worked on, or was interrupted: look whether it was done, or ask again soon.",
                headers={"retry-after": "2"},
            )
        return known.status, _open(asker, key, known.body), True
    try:
        status, body = do()
    except Exception as error:
        if _nothing_done(error):
            tokens.release(asker.token, key)
        raise
    try:
        tokens.remember(asker.token, key, digest, status, _seal(asker, key, body, world.random(_NONCE)), at)
    except StoreError as error:  # it was done, and that is what has to be said
        _log.error("the answer of a request is not remembered: %s", error)
    return status, body, False


def _nothing_done(error: Exception) -> bool:
    """Whether an exception says so."""
    return isinstance(error, (RefusedError, ApiError)) or (isinstance(error, StoreError) and error.usage)


def _cipher(asker: Asker) -> AESGCM:
    return AESGCM(hmac.new(asker.secret.encode(), b"gambeson-idempotency-1", sha256).digest())


def _seal(asker: Asker, key: str, body: bytes, nonce: bytes) -> bytes:
    return nonce + _cipher(asker).encrypt(nonce, body, key.encode())


def _open(asker: Asker, key: str, box: bytes) -> bytes:
    try:
        return _cipher(asker).decrypt(box[:_NONCE], box[_NONCE:], key.encode())
    except (InvalidTag, ValueError):
        raise ApiError(409, "forgotten", "The answer to this request is not known any more.") from None
