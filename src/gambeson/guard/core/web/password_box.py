"""A person's password for an application in a box that the door cannot open by itself.

AES-256-GCM (NIST SP 800-38D). The key is only in the browser's cookie, the box only in the door's memory. Octets: 12 of
nonce, then ciphertext and tag. The additional data is ``AAD``, the session's id, a zero octet and the host's name
without port: a box of one session or host opens at no other. The portal makes it (``console/portal/box.py``).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AAD = b"gambeson password box v1\0"
KEY, NONCE = 32, 12  # octets
MAX_BOX = 8192


def read_key(text: str) -> bytes:
    """The key of the cookie (hex); empty where it is none."""
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY else b""
    except ValueError:
        return b""
    return key if len(key) == KEY else b""


def seal(password: str, key: bytes, nonce: bytes, session: str, host: str) -> bytes:
    """The box."""
    return nonce + AESGCM(key).encrypt(nonce, password.encode(), _bound(session, host))


def unseal(box: bytes, key: bytes, session: str, host: str) -> str | None:
    """The password; None where key, box, session and host do not belong together."""
    if len(key) != KEY or not NONCE < len(box) <= MAX_BOX:
        return None
    try:
        return AESGCM(key).decrypt(box[:NONCE], box[NONCE:], _bound(session, host)).decode()
    except (InvalidTag, UnicodeDecodeError):
        return None


def _bound(session: str, host: str) -> bytes:
    return AAD + session.encode() + b"\0" + host.partition(":")[0].encode()
