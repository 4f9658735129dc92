"""Did the client hold the certificate's key? What the keeper can check itself, and what not.

TLS 1.3 (RFC 8446 section 4.4.3): the client signs 64 spaces, a label, a zero octet and the hash of the
handshake so far. Where a door's TLS library hands out that hash and the signature, the door sends them
and the keeper verifies. Python's ``ssl`` does not: then ``transcript`` is empty and the keeper takes the
door's word that the handshake was completed, so a hijacked door can use every certificate that is
alive. A secret, by contrast, is always proven to the keeper itself. See the threat model.
"""

from __future__ import annotations

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

LABEL = b" " * 64 + b"TLS 1.3, client CertificateVerify\x00"
_HASHES: dict[int, hashes.HashAlgorithm] = {0x0403: hashes.SHA256(), 0x0503: hashes.SHA384()}
ED25519 = 0x0807


class Transcript(msgspec.Struct, frozen=True):
    """``scheme`` is TLS's SignatureScheme, ``digest`` the transcript hash up to the client's
    Certificate, ``signature`` the CertificateVerify's."""

    scheme: int
    digest: bytes
    signature: bytes


def proven(certificate: bytes, transcript: bytes) -> bool:
    """True where the transcript's signature was made with the certificate's key."""
    try:
        told = msgspec.msgpack.decode(transcript, type=Transcript)
        key = x509.load_der_x509_certificate(certificate).public_key()
        if len(told.digest) not in (32, 48):
            return False
        signed = LABEL + told.digest
        if told.scheme in _HASHES and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(told.signature, signed, ec.ECDSA(_HASHES[told.scheme]))
            return True
        if told.scheme == ED25519 and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(told.signature, signed)
            return True
    except (msgspec.MsgspecError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return False
