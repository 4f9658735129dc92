"""Every key the keeper holds, and their one sealed file ``DIR/keeper/keys.sealed``.

Derived from the master key: the one device secrets are recognised with, the passwords' pepper, the
certificates' serial numbers, the key that session tokens are signed with (Ed25519). Made at the first start and
sealed: the token key (ECDSA P-256, ES256), the audit key (Ed25519), the device authority. They are written together
in one step, so that there is never half a set; a file that does not open stops the start instead of being replaced.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from . import authority
from .authority import Authority
from .sealing import Sealer, SealingError, read_credential, read_key_file, stretch

CONTEXT = "keeper-keys"


class _Stored(msgspec.Struct, frozen=True):
    token: bytes
    audit: bytes
    authority_key: bytes
    authority_certificate: bytes
    version: int = 1


@dataclass(frozen=True, slots=True)
class KeeperKeys:
    """What the keeper works with. repr shows none of it."""

    sealer: Sealer
    device: bytes = field(repr=False)
    pepper: bytes = field(repr=False)
    token: ec.EllipticCurvePrivateKey = field(repr=False)
    audit: ed25519.Ed25519PrivateKey = field(repr=False)
    authority: Authority = field(repr=False)
    session: ed25519.Ed25519PrivateKey = field(repr=False)

    @property
    def session_pem(self) -> str:
        """The session key's public half, with which doors verify session tokens."""
        return _public_pem(self.session.public_key())

    @property
    def token_pem(self) -> str:
        """The token key's public half, for Dovecot's local validation."""
        return _public_pem(self.token.public_key())

    @property
    def audit_pem(self) -> str:
        """The audit key's public half."""
        return _public_pem(self.audit.public_key())

    def token_jwk(self) -> dict[str, str]:
        """The token key's public half as a JSON Web Key (RFC 7517); ``kid`` is its thumbprint."""
        numbers = self.token.public_key().public_numbers()
        bare = {
            "crv": "P-256",
            "kty": "EC",
            "x": base64url(numbers.x.to_bytes(32)),
            "y": base64url(numbers.y.to_bytes(32)),
        }
        # RFC 7638: the required members only, in lexical order, no blanks.
        thumb = sha256(json.dumps(bare, separators=(",", ":"), sort_keys=True).encode()).digest()
        return {**bare, "use": "sig", "alg": "ES256", "kid": base64url(thumb)}


def base64url(data: bytes) -> str:
    """RFC 4648 section 5, without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def read_master(
    folder: Path, *, key_file: Path | None = None, credentials: str = "", passphrase: str = ""
) -> bytes:
    """The master key, by the first way that is given: passphrase, credential, key file (made where it
    is missing and nothing was ever sealed). Raises SealingError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if passphrase:
        return stretch(passphrase, _salt(folder))
    credential = read_credential(credentials)
    if credential is not None:
        return credential
    if key_file is not None:
        # Named by the settings: a missing one is a typo, not a first start.
        how = f"name the right file, or make one with (umask 077; head -c 32 /dev/urandom > {key_file})"
        return read_key_file(key_file, remedy=how)
    return read_key_file(folder / "master.key", make=not (folder / "keys.sealed").exists())


def _salt(folder: Path) -> bytes:
    path = folder / "passphrase.salt"
    if not path.exists():
        if (folder / "keys.sealed").exists():
            raise SealingError(f"{path} is missing: bring it back from a backup")
        _write(path, os.urandom(16))
    return path.read_bytes()


def open_keys(folder: Path, master: bytes, now: float, name: str = "Gambeson device authority") -> KeeperKeys:
    """Every key; made and sealed where ``folder`` has none yet. Raises SealingError: the master key
    does not fit, or the file is damaged."""
    sealer = Sealer(master)
    path = folder / "keys.sealed"
    if path.exists():
        try:
            stored = msgspec.msgpack.decode(sealer.open(path.read_bytes(), CONTEXT), type=_Stored)
        except (SealingError, msgspec.MsgspecError, OSError) as error:
            raise SealingError(f"the keeper's keys in {path} do not open: {error}") from None
    else:
        stored = _make(now, name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, sealer.seal(msgspec.msgpack.encode(stored), CONTEXT))
    token = serialization.load_der_private_key(stored.token, None)
    audit = serialization.load_der_private_key(stored.audit, None)
    ca = serialization.load_der_private_key(stored.authority_key, None)
    if (
        not isinstance(token, ec.EllipticCurvePrivateKey)
        or not isinstance(audit, ed25519.Ed25519PrivateKey)
        or not isinstance(ca, ec.EllipticCurvePrivateKey)
    ):
        raise SealingError(f"the keeper's keys in {path} are of another kind than this version uses")
    certificate = x509.load_der_x509_certificate(stored.authority_certificate)
    return KeeperKeys(
        sealer,
        sealer.derive("device secret"),
        sealer.derive("password pepper"),
        token,
        audit,
        Authority(ca, certificate, sealer.derive("certificate serial")),
        # Derived, so that an installation older than the web doors has it too.
        ed25519.Ed25519PrivateKey.from_private_bytes(sealer.derive("session token")),
    )


def _make(now: float, name: str) -> _Stored:
    ca, certificate = authority.found(name, now)
    return _Stored(
        token=_der(ec.generate_private_key(ec.SECP256R1())),
        audit=_der(ed25519.Ed25519PrivateKey.generate()),
        authority_key=_der(ca),
        authority_certificate=certificate.public_bytes(serialization.Encoding.DER),
    )


def _write(path: Path, data: bytes) -> None:
    """In one step, 0600, synced, never over an existing file."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.link(beside, path)
        beside.unlink()
    except OSError as error:
        raise SealingError(f"{path} cannot be written: {error.strerror}") from None


def _der(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
