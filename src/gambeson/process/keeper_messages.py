"""What is said with the keeper, which alone holds keys: who may ask what is in ``keeper_roles.ALLOWED``.

A request brings the proof itself, never the claim that there was one. repr hides secrets.
"""

from __future__ import annotations

from .messages import Blob, Message, Text

AUDIT_PREFIX = b"gambeson audit head v1\0"  # what is signed for the audit log is never anything else


class KeeperHello(Message, frozen=True):
    """Door to keeper: give me the keys that device secrets and session tokens are recognised with."""


class DeviceKey(Message, frozen=True):
    """``key`` is the 32 octets of the keyed BLAKE2b; ``session_pem`` the public half of the key of session tokens."""

    key: Blob
    session_pem: Text = ""

    def __repr__(self) -> str:
        return "DeviceKey(<hidden>)"


class CredentialAsk(Message, frozen=True, kw_only=False):
    """Door to keeper: this was proven to me; how do I sign in at ``server`` as ``account``?

    ``account`` is the account's id. The proof travels itself: ``secret`` (a device secret) or
    ``certificate`` (DER), with ``transcript`` (:mod:`gambeson.process.possession`) where the TLS
    library gives it, or ``fingerprint`` (hex SHA-256 of the certificate) where an edge ended TLS before the door;
    the keeper takes the last only where the installation has such an edge. Or it is a ``session`` token of the
    portal: then ``server`` is a site's name. Exactly one of them is set. repr hides the proof.
    """

    account: Text
    server: Text
    door: Text
    source: Text
    secret: Text = ""
    certificate: Blob = b""
    transcript: Blob = b""
    fingerprint: Text = ""
    session: Text = ""

    def __repr__(self) -> str:
        return f"CredentialAsk({self.account!r}, {self.server!r}, {self.door!r}, {self.source!r}, ...)"


class PasswordAsk(Message, frozen=True, kw_only=False):
    """Door to keeper: this certificate was proven to me; is the password beside it the account's own (local) one?

    Answered by Done or Refused. ``certificate`` is DER; ``fingerprint`` (hex SHA-256) stands for it where TLS ended
    before the door. repr hides the password.
    """

    account: Text
    password: Text
    door: Text
    source: Text
    certificate: Blob = b""
    fingerprint: Text = ""

    def __repr__(self) -> str:
        return f"PasswordAsk({self.account!r}, {self.door!r}, {self.source!r}, <hidden>)"


class CredentialGiven(Message, frozen=True):
    """Fields of :class:`gambeson.wire.dialogue.UpstreamCredential`; repr hides the secret."""

    mechanism: Text
    authcid: Text
    secret: Blob = b""
    authzid: Text = ""

    def __repr__(self) -> str:
        return f"CredentialGiven({self.mechanism}, {self.authcid!r}, <hidden>)"


class SecretVerifierAsk(Message, frozen=True):
    """Admin: what to store for this device secret."""

    secret: Text

    def __repr__(self) -> str:
        return "SecretVerifierAsk(<hidden>)"


class SealAsk(Message, frozen=True):
    """Admin: seal ``plain`` so that it opens only under ``context``."""

    plain: Blob
    context: Text

    def __repr__(self) -> str:
        return f"SealAsk({self.context!r}, <hidden>)"


class SignHeadAsk(Message, frozen=True):
    """Worker and admin: sign the head of the audit log (Ed25519)."""

    payload: Blob


class HashPasswordAsk(Message, frozen=True):
    """Admin: the argon2id hash, peppered by the keeper, of a password."""

    password: Text

    def __repr__(self) -> str:
        return "HashPasswordAsk(<hidden>)"


class CheckPasswordAsk(Message, frozen=True):
    """Admin: does the password fit the hash? Answered by Done or Refused("wrong")."""

    password: Text
    hashed: Text

    def __repr__(self) -> str:
        return "CheckPasswordAsk(<hidden>)"


class PublicKeysAsk(Message, frozen=True):
    """Worker and admin: every public half."""


class PublicKeys(Message, frozen=True):
    """PEM texts; ``token_jwk`` is a JSON Web Key, ``token_kid`` its thumbprint."""

    token_pem: Text
    token_jwk: Text
    token_kid: Text
    audit_pem: Text
    authority_pem: Text


class CertificateAsk(Message, frozen=True):
    """Admin: a client certificate for the device behind ``credential`` (the id that the store
    keeps it under; the serial number comes from it). With ``csr`` (PEM) the key stays where it was
    made and no PKCS#12 comes back. ``password`` protects the PKCS#12; ``legacy`` chooses its old
    encryption for phones that know no other."""

    credential: Text
    name: Text
    address: Text
    months: int = 12
    csr: Blob = b""
    password: Text = ""
    legacy: bool = False


class CertificateGiven(Message, frozen=True):
    """``fingerprint`` is the lower-case hex SHA-256 of the certificate, what the store keeps."""

    fingerprint: Text
    certificate_pem: Text
    authority_pem: Text
    expires_at: float
    key_pem: Text = ""
    pkcs12: Blob = b""

    def __repr__(self) -> str:
        return f"CertificateGiven({self.fingerprint})"


class RevocationListAsk(Message, frozen=True):
    """Admin: the certificate revocation list as of the keeper's snapshot (PEM)."""


KeeperRequest = (
    KeeperHello
    | CredentialAsk
    | PasswordAsk
    | SecretVerifierAsk
    | SealAsk
    | SignHeadAsk
    | HashPasswordAsk
    | CheckPasswordAsk
    | PublicKeysAsk
    | CertificateAsk
    | RevocationListAsk
)
WorkerAsks = SignHeadAsk | PublicKeysAsk
