"""What was seen of TLS at one port."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .unknown import Unknown


class TlsVersion(StrEnum):
    """Protocol versions, oldest first."""

    SSL2 = "SSLv2"
    SSL3 = "SSLv3"
    TLS1_0 = "TLSv1.0"
    TLS1_1 = "TLSv1.1"
    TLS1_2 = "TLSv1.2"
    TLS1_3 = "TLSv1.3"


class Weakness(StrEnum):
    """Families of cipher suites that a server should not take; each is offered alone to see."""

    NULL = "null"  # no encryption
    ANONYMOUS = "anonymous"  # no certificate
    EXPORT = "export"
    RC4 = "rc4"
    DES = "des"
    TRIPLE_DES = "3des"
    STATIC_RSA = "static-rsa"  # no forward secrecy
    SMALL_DH = "small-dh"  # a group under 2048 bits


class Trust(StrEnum):
    """What a client with the usual authorities would say of the chain (RFC 5280 section 6), names left aside."""

    TRUSTED = "trusted"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown-issuer"
    INCOMPLETE = "incomplete"  # an intermediate is missing
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. Times are seconds since 1970; ``names`` are DNS names and addresses of subjectAltName, or the
    common name where there are none (``from_common_name``); digests are lower-case hexadecimal SHA-256."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    key: str  # RSA, EC, Ed25519, ...
    bits: int
    signature_hash: str  # sha256, sha1, md5; empty where the algorithm has none of its own
    sha256: str
    spki_sha256: str
    der: bytes = b""
    spki: bytes = b""
    from_common_name: bool = False


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """``versions`` maps a version to whether it was accepted, or to why that is not known. ``weak`` are families that
    were accepted; ``untried`` those that could not be seen. ``chain`` begins with the server's own certificate.
    ``name_matches`` is for the host name that was asked for (RFC 9525); None where there is no certificate."""

    versions: tuple[tuple[TlsVersion, bool | Unknown], ...] = ()
    weak: tuple[Weakness, ...] = ()
    untried: tuple[tuple[Weakness, Unknown], ...] = ()
    chosen: str = ""  # the suite a modern client gets
    chain: tuple[Certificate, ...] = ()
    trust: Trust = Trust.UNKNOWN
    trust_detail: str = ""
    name_matches: bool | None = None
    unknown: Unknown | None = None

    def accepted(self) -> tuple[TlsVersion, ...]:
        """The versions that were accepted, oldest first."""
        return tuple(version for version, taken in self.versions if taken is True)
