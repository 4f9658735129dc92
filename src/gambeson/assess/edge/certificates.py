"""Certificates as values, from the octets that a server sent. Whatever it sent, this raises nothing.

A field that cannot be read stays empty; without a subject nothing but octets is known of it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from gambeson.assess.core.tls import Certificate
from gambeson.wire.der import DerError, public_key, rsa_bits
from gambeson.wire.lines import human

MAX_NAME = 255  # characters of one name
MAX_NAMES = 20_000
_Value = TypeVar("_Value")
# What the library raises for what it will not read; the last for a fault of its own parser.
Unreadable = (ValueError, TypeError, UnsupportedAlgorithm, OverflowError, KeyError, AttributeError)
_OLD_HASHES = {
    "1.2.840.113549.1.1.2": "md2",
    "1.2.840.113549.1.1.3": "md4",
    "1.2.840.113549.1.1.4": "md5",
    "1.2.840.113549.1.1.5": "sha1",
    "1.3.14.3.2.29": "sha1",
    "1.2.840.10040.4.3": "sha1",
    "1.2.840.10045.4.1": "sha1",
}


def load(der: bytes) -> x509.Certificate | None:
    """The library's view of ``der``; None where it will not read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return x509.load_der_x509_certificate(der)
        except Exception:  # what comes from outside must not end a look, whatever the parser thinks of it
            return None


def read(der: bytes) -> Certificate:
    """The certificate in ``der``."""
    spki = _spki(der)
    loaded = load(der)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, bits = _key(loaded, spki)
        names = alternative_names(loaded) if loaded else ()
        common = _common_names(loaded) if loaded and not names else ()
        return Certificate(
            subject=_or("", lambda: human(loaded.subject.rfc4514_string()) if loaded else ""),
            issuer=_or("", lambda: human(loaded.issuer.rfc4514_string()) if loaded else ""),
            names=names or common,
            not_before=_or(0.0, lambda: loaded.not_valid_before_utc.timestamp() if loaded else 0.0),
            not_after=_or(0.0, lambda: loaded.not_valid_after_utc.timestamp() if loaded else 0.0),
            key=kind,
            bits=bits,
            signature_hash=_or("", lambda: signature_hash(loaded) if loaded else ""),
            sha256=hashlib.sha256(der).hexdigest(),
            spki_sha256=hashlib.sha256(spki).hexdigest() if spki else "",
            der=der,
            spki=spki,
            from_common_name=bool(common),
        )


def _or(otherwise: _Value, value: Callable[[], _Value]) -> _Value:
    try:
        return value()
    except Unreadable:
        return otherwise


def _spki(der: bytes) -> bytes:
    try:
        return public_key(der)
    except DerError:
        return b""


def _key(loaded: x509.Certificate | None, spki: bytes) -> tuple[str, int]:
    try:
        key = loaded.public_key() if loaded else None
    except Unreadable:
        key = None
    match key:
        case rsa.RSAPublicKey():
            return "RSA", key.key_size
        case ec.EllipticCurvePublicKey():
            return "EC", key.key_size
        case dsa.DSAPublicKey():
            return "DSA", key.key_size
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case ed448.Ed448PublicKey():
            return "Ed448", 456
    try:
        bits = rsa_bits(spki)
    except DerError:
        return "", 0
    return ("RSA", bits) if bits else ("", 0)


def signature_hash(loaded: x509.Certificate) -> str:
    """The hash of its signature as ``sha256``; empty where the algorithm has none of its own. Raises what is in
    ``Unreadable``."""
    if old := _OLD_HASHES.get(loaded.signature_algorithm_oid.dotted_string):
        return old
    algorithm = loaded.signature_hash_algorithm
    return algorithm.name if algorithm else ""


def alternative_names(loaded: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and addresses of subjectAltName, in lower case."""
    try:
        found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, *Unreadable):
        return ()
    names: list[str] = []
    for name in list(found)[:MAX_NAMES]:
        if isinstance(name, x509.DNSName):
            names.append(human(name.value, MAX_NAME).lower())
        elif isinstance(name, x509.IPAddress) and isinstance(
            name.value, ipaddress.IPv4Address | ipaddress.IPv6Address
        ):
            names.append(str(name.value))
    return tuple(names)


def _common_names(loaded: x509.Certificate) -> tuple[str, ...]:
    try:
        found = loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except Unreadable:
        return ()
    return tuple(human(str(attribute.value), MAX_NAME).lower() for attribute in found[:10])
