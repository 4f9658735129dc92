"""A person's password for an application, sealed so that the portal alone cannot read it.

AES-256-GCM (NIST SP 800-38D) under a random key that only the browser's cookie has; memory has only the box. Octets:
12 of nonce, then ciphertext and tag. The additional data is ``AAD``, the session's id, a zero octet and, in the box
that goes to a door, the application's host name without its port: a box of one session or host opens at no other.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AAD = b"gambeson password box v1\0"
KEY, NONCE = 32, 12  # octets
MAX_BOXES = 20_000
MAX_PASSWORD = 1024  # characters


def context(session: str, host: str = "") -> bytes:
    """The additional data."""
    return AAD + session.encode() + b"\0" + host.encode()


def seal(password: str, key: bytes, nonce: bytes, additional: bytes) -> bytes:
    """The box."""
    return nonce + AESGCM(key).encrypt(nonce, password.encode(), additional)


def unseal(box: bytes, key: bytes, additional: bytes) -> str | None:
    """The password; None where key, box and context do not belong together."""
    if len(key) != KEY or len(box) < NONCE:
        return None
    try:
        return AESGCM(key).decrypt(box[:NONCE], box[NONCE:], additional).decode()
    except InvalidTag:
        return None


def key_text(key: bytes) -> str:
    """The key as a cookie's value."""
    return urlsafe_b64encode(key).rstrip(b"=").decode()


def read_key(text: str) -> bytes:
    """The key of a cookie; empty where it is none."""
    if len(text) != 43 or not text.isascii():
        return b""
    try:
        return urlsafe_b64decode(text + "=")
    except ValueError:
        return b""


class Boxes:
    """The boxes of live sessions, by the session's id. Bounded: the oldest goes first, and is then asked for again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._boxes: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def put(self, session: str, box: bytes, now: float) -> None:
        """Keep a session's box, instead of the one before."""
        self._boxes.pop(session, None)
        self._sweep(now)
        if len(self._boxes) >= MAX_BOXES:
            self._boxes.popitem(last=False)
        self._boxes[session] = (now + self._seconds, box)

    def get(self, session: str, now: float) -> bytes:
        """The box; empty for none."""
        self._sweep(now)
        return self._boxes.get(session, (0.0, b""))[1]

    def drop(self, session: str) -> None:
        """The session ended."""
        self._boxes.pop(session, None)

    def _sweep(self, now: float) -> None:
        # All live equally long, so the first is the first to end.
        while self._boxes and now >= next(iter(self._boxes.values()))[0]:
            self._boxes.popitem(last=False)
