"""The canary's passkey: made for one walk, held in this process's memory, answered as a browser would.

Its key is never written anywhere. What a walk that was killed leaves in the store is a public key that nobody can
sign with (W3C Web Authentication Level 3, sections 6.1 and 6.3.3).
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ID_OCTETS = 32
_PRESENT_AND_VERIFIED = 0x01 | 0x04
# A P-256 key for ES256 as COSE has it: type, algorithm and curve, then the two coordinates.
_COSE = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")


class PasskeyUnaskedError(Exception):
    """What the portal asks is nothing that this passkey can answer: one sentence."""


class Passkey:
    """One passkey for one origin."""

    def __init__(self) -> None:
        self.id = secrets.token_bytes(ID_OCTETS)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def __repr__(self) -> str:
        return "Passkey(...)"

    @property
    def public_key(self) -> bytes:
        """The public half, as the store keeps it."""
        point = self._key.public_key().public_numbers()
        head, between = _COSE
        return head + point.x.to_bytes(32, "big") + between + point.y.to_bytes(32, "big")

    def answer(self, options: bytes, origin: str) -> str:
        """The answer to the portal's question, as JSON. Raises PasskeyUnaskedError."""
        try:
            asked = json.loads(options)
            challenge, rp_id = str(asked["challenge"]), str(asked["rpId"])
            allowed = [_octets(str(one["id"])) for one in asked["allowCredentials"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise PasskeyUnaskedError("the portal's question for a passkey cannot be read") from None
        if self.id not in allowed:
            raise PasskeyUnaskedError("the portal does not ask for the canary's passkey")
        client = json.dumps(
            {"type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": False}
        ).encode()
        # The counter stays 0: it never counts.
        data = sha256(rp_id.encode()).digest() + bytes([_PRESENT_AND_VERIFIED]) + bytes(4)
        signature = self._key.sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": _text(client),
            "authenticatorData": _text(data),
            "signature": _text(signature),
        }
        name = _text(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
