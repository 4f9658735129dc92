"""The device authority: client certificates for devices, and the list of those revoked.

X.509 (RFC 5280) on ECDSA P-256. A certificate says which device of whom; whether it still opens
anything is said by its fingerprint in the snapshot alone, at once and without the list. The serial
number is a keyed hash of the credential's id. Where the credential is gone with its device, the
list takes the serial number itself, which the store keeps until the certificate expires.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_YEARS = 10
MAX_MONTHS = 36
LIST_DAYS = 7
MAX_SERIAL = 1 << 159  # RFC 5280 section 4.1.2.2: at most 20 octets, and positive
CLOCK_SLACK = timedelta(minutes=5)


class AuthorityError(ValueError):
    """A certificate cannot be issued so. One sentence."""


@dataclass(frozen=True, slots=True)
class Issued:
    """``fingerprint`` is lower-case hex SHA-256 of the DER. ``key_pem`` and ``bundle`` (PKCS#12) are
    empty where the key never left its device (a signing request)."""

    fingerprint: str
    certificate_pem: str
    expires_at: float
    key_pem: str = field(default="", repr=False)
    bundle: bytes = field(default=b"", repr=False)


class Authority:
    """One certificate authority: its key and certificate."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, serial_key: bytes
    ) -> None:
        self._key, self._certificate, self._serial_key = key, certificate, serial_key

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def serial(self, credential: str) -> int:
        """The serial number that belongs to a credential's id: 127 bits, positive."""
        digest = blake2b(credential.encode(), key=self._serial_key, digest_size=16).digest()
        return int.from_bytes(digest) >> 1 or 1

    def issue(
        self,
        *,
        credential: str,
        name: str,
        address: str,
        now: float,
        months: int = 12,
        csr: bytes = b"",
        password: str = "",
        legacy: bool = False,
    ) -> Issued:
        """A client certificate for one device. Without ``csr`` the key is made here and comes back as
        PEM and, where a password is given, as PKCS#12. Raises AuthorityError."""
        if not 1 <= months <= MAX_MONTHS:
            raise AuthorityError(f"a device certificate is valid from 1 to {MAX_MONTHS} months, not {months}")
        if not credential or not name or len(name) > 64 or not address.isascii():
            raise AuthorityError(
                "a device certificate needs a name of 1 to 64 characters and an ASCII address"
            )
        key = None if csr else ec.generate_private_key(ec.SECP256R1())
        public = _requested(csr) if key is None else key.public_key()
        start = datetime.fromtimestamp(int(now), UTC)
        end = min(start + timedelta(days=months * 30.5), self._certificate.not_valid_after_utc)
        if end <= start:
            raise AuthorityError("the device authority itself has expired; renew it first")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(public)
            .serial_number(self.serial(credential))
            .not_valid_before(start - CLOCK_SLACK)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return Issued(
            sha256(der).hexdigest(),
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            end.timestamp(),
            _pem(key) if key is not None else "",
            self._bundle(name, key, certificate, password, legacy) if key is not None and password else b"",
        )

    def revocation_list(self, revoked: Sequence[tuple[str | int, float]], now: float) -> str:
        """The list as PEM, valid for a week: (credential id or serial number, when) of each revoked
        certificate. One named twice stands there once, with the earlier time. Raises AuthorityError."""
        entries: dict[int, float] = {}
        for named, at in revoked:
            serial = self.serial(named) if isinstance(named, str) else named
            if not 0 < serial < MAX_SERIAL:
                raise AuthorityError("a revoked certificate is named by a number that is no serial number")
            entries[serial] = min(at, entries.get(serial, at))
        start = datetime.fromtimestamp(int(now), UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(start)
            .next_update(start + timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(int(now)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        for serial, at in entries.items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(datetime.fromtimestamp(int(at), UTC))
                .build()
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def issued(self, der: bytes) -> bool:
        """True where this authority signed the certificate and it is for clients."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.verify_directly_issued_by(self._certificate)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return ExtendedKeyUsageOID.CLIENT_AUTH in usage

    def _bundle(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        password: str,
        legacy: bool,
    ) -> bytes:
        builder = serialization.PrivateFormat.PKCS12.encryption_builder()
        if legacy:
            # Phones that cannot read AES in PKCS#12; the password then is all that protects it.
            builder = (
                builder.kdf_rounds(50000)
                .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
                .hmac_hash(hashes.SHA1())  # noqa: S303 - what those phones check
            )
        else:
            builder = (
                builder.kdf_rounds(50000)
                .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
                .hmac_hash(hashes.SHA256())
            )
        encryption = builder.build(password.encode())
        return pkcs12.serialize_key_and_certificates(
            name.encode(), key, certificate, [self._certificate], encryption
        )


def found(name: str, now: float) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A new authority's key and self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.fromtimestamp(int(now), UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_SLACK)
        .not_valid_after(start + timedelta(days=365 * AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _usage(
    digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _requested(csr: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a signing request that proves possession of its private half."""
    try:
        request = x509.load_pem_x509_csr(csr)
        key = request.public_key() if request.is_signature_valid else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if key is None:
        raise AuthorityError("the signing request is no PEM request, or its signature does not fit")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1
    ):
        raise AuthorityError("the signing request needs an ECDSA key on P-256 or P-384")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def same_fingerprint(der: bytes, fingerprint: str) -> bool:
    """True where the certificate has that lower-case hex SHA-256."""
    return hmac.compare_digest(sha256(der).hexdigest(), fingerprint)
