"""TLS for the playground, and for trying the doors without a certificate: an authority of its own, constrained
to the names it was made for.

``ca.pem`` can be given to a mail program to trust; the authority's key is thrown away once it has signed.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "mail.localhost", "devices.localhost", "login.localhost", "mail.playground.example")
ADDRESSES = ("127.0.0.1", "::1")
LIFE = timedelta(days=397)  # what Apple's and other clients accept at most
RENEW_BEFORE = timedelta(days=30)


def ensure(folder: Path, now: datetime, names: tuple[str, ...] = NAMES) -> tuple[Path, Path, Path]:
    """The paths of (ca, certificate, key) for ``names`` and this machine, made where they are missing, are for
    other names or about to expire."""
    ca, certificate, key = (folder / name for name in ("ca.pem", "certificate.pem", "key.pem"))
    if all(p.exists() for p in (ca, certificate, key)):
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
        carried = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        same = set(names) == set(carried.get_values_for_type(x509.DNSName))
        if same and held.not_valid_after_utc - RENEW_BEFORE > now:
            return ca, certificate, key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = _make(now, names)
    for path, content in zip((ca, certificate, key), made, strict=True):
        _write(path, content, 0o600 if path is key else 0o644)
    return ca, certificate, key


def _write(path: Path, content: bytes, mode: int) -> None:
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    new.replace(path)


def _make(now: datetime, hosts: tuple[str, ...]) -> tuple[bytes, bytes, bytes]:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gambeson, self-made, for these names only")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[-1][:64])])
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in hosts]
    names += [x509.IPAddress(ip_address(a)) for a in ADDRESSES]

    def builder(of: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
            )
        )

    signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    authority = (
        builder(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(
            # RFC 5280 section 4.2.1.10: even a stolen key of this authority is worth nothing elsewhere
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(name) for name in hosts]
                + [x509.IPAddress(ip_network(a)) for a in ADDRESSES],
                excluded_subtrees=None,
            ),
            critical=True,
        )
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        builder(subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        authority.public_bytes(pem),
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
