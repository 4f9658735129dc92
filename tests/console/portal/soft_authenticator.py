"""A passkey in software: makes credentials and answers challenges as an authenticator and its browser would, and lies
where a test tells it to. Written from the W3C Web Authentication specification (Level 3, sections 6.1 and 6.5)."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from webauthn.helpers import encode_cbor

UP, UV, BE, BS, AT, ED = 1, 4, 8, 16, 64, 128


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Lies:
    """What to change of the truth. None: nothing."""

    type: str | None = None
    challenge: bytes | None = None
    origin: str | None = None
    rp_id: str | None = None
    flags_on: int = 0
    flags_off: int = 0
    client: dict[str, Any] = field(default_factory=dict)
    count: int | None = None
    algorithm: int | None = None
    id: bytes | None = None
    handle: bytes | None = None
    no_handle: bool = False
    format: str | None = None
    signature: bytes | None = None


TRUTH = Lies()


class SoftAuthenticator:
    """One authenticator with any number of passkeys. ``counts`` false: its counter stays 0, as that of phones."""

    def __init__(
        self, origin: str, *, algorithm: int = -7, synced: bool = False, counts: bool = True
    ) -> None:
        self.origin, self.algorithm, self.counts = origin, algorithm, counts
        self.flags = UP | UV | (BE | BS if synced else 0)
        self.keys: dict[bytes, tuple[Any, bytes]] = {}
        self.count = 0

    def create(self, options: str, lies: Lies = TRUTH) -> str:
        asked = json.loads(options)
        identifier = lies.id if lies.id is not None else secrets.token_bytes(32)
        key, cose = self._new_key(lies)
        self.keys[identifier] = (key, unb64(asked["user"]["id"]))
        length = len(identifier).to_bytes(2)
        data = self._data(asked["rp"]["id"], AT, lies) + bytes(16) + length + identifier + encode_cbor(cose)
        client = self._client("webauthn.create", asked["challenge"], lies)
        statement: dict[str, Any] = {}
        if lies.format == "packed":
            statement = {
                "alg": self.algorithm,
                "sig": self._sign(key, data + hashlib.sha256(client).digest()),
            }
        attestation = encode_cbor({"fmt": lies.format or "none", "attStmt": statement, "authData": data})
        return self._written(
            identifier,
            {
                "clientDataJSON": b64(client),
                "attestationObject": b64(attestation),
                "transports": ["internal", 7, "x"],
            },
        )

    def get(self, options: str, lies: Lies = TRUTH, identifier: bytes | None = None) -> str:
        asked = json.loads(options)
        allowed = [unb64(each["id"]) for each in asked.get("allowCredentials", [])]
        chosen = identifier or next(i for i in self.keys if not allowed or i in allowed)
        key, handle = self.keys[chosen]
        data = self._data(asked["rpId"], 0, lies)
        client = self._client("webauthn.get", asked["challenge"], lies)
        signature = lies.signature or self._sign(key, data + hashlib.sha256(client).digest())
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
        }
        if not lies.no_handle:
            response["userHandle"] = b64(lies.handle if lies.handle is not None else handle)
        return self._written(lies.id if lies.id is not None else chosen, response)

    def copy(self) -> SoftAuthenticator:
        """A thief's copy: the same keys, the counter of now."""
        twin = SoftAuthenticator(self.origin, algorithm=self.algorithm, counts=self.counts)
        twin.flags, twin.keys, twin.count = self.flags, dict(self.keys), self.count
        return twin

    def _new_key(self, lies: Lies) -> tuple[Any, dict[int, Any]]:
        match self.algorithm:
            case -7:
                key: Any = ec.generate_private_key(ec.SECP256R1())
                n = key.public_key().public_numbers()
                cose = {1: 2, 3: -7, -1: 1, -2: n.x.to_bytes(32), -3: n.y.to_bytes(32)}
            case -8:
                key = ed25519.Ed25519PrivateKey.generate()
                cose = {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
            case _:
                key = rsa.generate_private_key(65537, 2048)
                n = key.public_key().public_numbers()
                cose = {1: 3, 3: -257, -1: n.n.to_bytes(256), -2: n.e.to_bytes(3)}
        return key, cose | ({3: lies.algorithm} if lies.algorithm is not None else {})

    def _sign(self, key: Any, data: bytes) -> bytes:
        match self.algorithm:
            case -7:
                return bytes(key.sign(data, ec.ECDSA(hashes.SHA256())))
            case -8:
                return bytes(key.sign(data))
            case _:
                return bytes(key.sign(data, padding.PKCS1v15(), hashes.SHA256()))

    def _data(self, rp_id: str, more: int, lies: Lies) -> bytes:
        if self.counts:
            self.count += 1
        flags = (self.flags | more | lies.flags_on) & ~lies.flags_off
        count = self.count if lies.count is None else lies.count
        return hashlib.sha256((lies.rp_id or rp_id).encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _client(self, kind: str, challenge: str, lies: Lies) -> bytes:
        return json.dumps(
            {
                "type": lies.type or kind,
                "challenge": challenge if lies.challenge is None else b64(lies.challenge),
                "origin": lies.origin or self.origin,
                "crossOrigin": False,
                **lies.client,
            }
        ).encode()

    def _written(self, identifier: bytes, response: dict[str, Any]) -> str:
        return json.dumps(
            {"id": b64(identifier), "rawId": b64(identifier), "type": "public-key", "response": response}
        )


def lying(**changes: Any) -> Lies:
    return replace(TRUTH, **changes)
