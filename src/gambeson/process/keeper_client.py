"""Asking the keeper: from a door (asynchronous, three questions) and as an administrator (blocking)."""

from __future__ import annotations

import socket
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gambeson.wire.dialogue import UpstreamCredential

from .call import Caller
from .channel import Channel, ChannelGone, ChannelRefused
from .keeper_messages import (
    AUDIT_PREFIX,
    CertificateAsk,
    CertificateGiven,
    CheckPasswordAsk,
    CredentialAsk,
    CredentialGiven,
    DeviceKey,
    HashPasswordAsk,
    KeeperHello,
    PasswordAsk,
    PublicKeys,
    PublicKeysAsk,
    RevocationListAsk,
    SealAsk,
    SecretVerifierAsk,
    SignHeadAsk,
)
from .messages import Done, LongText, Octets
from .portal_messages import CodeVerifierAsk

__all__ = ["AdminKeeper", "CredentialAsk", "DoorKeeper", "KeeperGone", "KeeperRefused"]

KeeperGone = ChannelGone
KeeperRefused = ChannelRefused
SECONDS = 2.0
PASSWORD_SECONDS = 8.0  # hashing takes its time, and turns


class DoorKeeper:
    """A door's channel to the keeper. To be made inside a running loop."""

    def __init__(self, sock: socket.socket) -> None:
        # The keeper never speaks first: whatever comes unasked is dropped.
        self._channel = Channel(sock, Done, lambda _m, _f: None, name="the keeper", take_fds=False)

    async def hello(self) -> DeviceKey:
        """The keys that device secrets and session tokens are recognised with. Raises KeeperGone."""
        return await self._channel.request(KeeperHello(), DeviceKey, SECONDS)

    async def credential(self, ask: CredentialAsk) -> UpstreamCredential:
        """How to sign in upstream. Raises KeeperRefused(reason) and, after two seconds, KeeperGone."""
        given = await self._channel.request(ask, CredentialGiven, SECONDS)
        return UpstreamCredential(given.mechanism, given.authcid, given.secret.decode(), given.authzid)

    async def password(self, ask: PasswordAsk) -> None:
        """Returns where the password is right. Raises KeeperRefused(reason; "wrong" where it is not) and KeeperGone."""
        await self._channel.request(ask, Done, PASSWORD_SECONDS)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class AdminKeeper:
    """Over ``run/keeper.sock`` (a path) or the console's inherited channel (a socket). Every call
    raises KeeperGone where nobody answers and KeeperRefused where the answer is no."""

    def __init__(self, where: Path | socket.socket) -> None:
        self._caller = Caller(where, "the keeper")

    def secret_verifier(self, text: str) -> bytes:
        """What the store keeps of a device secret (32 octets)."""
        return self._caller.ask(SecretVerifierAsk(secret=text), Octets).value

    def seal(self, plain: bytes, context: str) -> bytes:
        """A sealed box that opens only under ``context`` (``sealing.account_context``)."""
        return self._caller.ask(SealAsk(plain=plain, context=context), Octets).value

    def sign(self, payload: bytes) -> bytes:
        """The Ed25519 signature of an audit head (64 octets), over ``AUDIT_PREFIX`` + payload."""
        return self._caller.ask(SignHeadAsk(payload=payload), Octets).value

    def public_keys(self) -> PublicKeys:
        """Every public half, as PEM and JWK."""
        return self._caller.ask(PublicKeysAsk(), PublicKeys)

    def issue_certificate(
        self,
        credential: str,
        name: str,
        address: str,
        *,
        months: int = 12,
        csr: bytes = b"",
        password: str = "",
        legacy: bool = False,
    ) -> CertificateGiven:
        """A client certificate for a device; see :class:`CertificateAsk`."""
        ask = CertificateAsk(
            credential=credential,
            name=name,
            address=address,
            months=months,
            csr=csr,
            password=password,
            legacy=legacy,
        )
        return self._caller.ask(ask, CertificateGiven)

    def revocation_list(self) -> str:
        """The certificate revocation list (PEM)."""
        return self._caller.ask(RevocationListAsk(), LongText).text

    def code_verifier(self, code: str, context: str) -> bytes:
        """What the store keeps of a binding code (32 octets), under ``BINDING_CONTEXT`` and the account's id."""
        return self._caller.ask(CodeVerifierAsk(code=code, context=context), Octets).value

    def hash_password(self, password: str) -> str:
        """The argon2id hash to store; it can only be checked by this keeper."""
        return self._caller.ask(HashPasswordAsk(password=password), Octets, 30.0).value.decode()

    def check_password(self, password: str, hashed: str) -> bool:
        """True where the password fits."""
        try:
            self._caller.ask(CheckPasswordAsk(password=password, hashed=hashed), Done, 30.0)
        except ChannelRefused as refused:
            if refused.reason == "wrong":
                return False
            raise
        return True


def verify_head(audit_pem: str, payload: bytes, signature: bytes) -> bool:
    """True where the keeper of that public key signed this audit head."""
    key = load_pem_public_key(audit_pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(signature, AUDIT_PREFIX + payload)
    except InvalidSignature:
        return False
    return True
