"""What is in a certificate that a person has to know: names, end, key."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

MIN_RSA = 2048


@dataclass(frozen=True, slots=True)
class Facts:
    """``ends`` in seconds since 1970; ``key`` in words; ``weak``: why the key is too weak, empty where it is not."""

    names: tuple[str, ...]
    starts: float
    ends: float
    key: str
    weak: str = ""

    def covers(self, host: str) -> bool:
        """Whether a client that asks for ``host`` is content (a star stands for one label)."""
        host = host.lower().rstrip(".")
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names


def facts(der: bytes) -> Facts:
    """Reads a certificate in DER form. Raises ValueError."""
    found = x509.load_der_x509_certificate(der)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = [*names.get_values_for_type(x509.DNSName)]
        listed += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        listed = []
    public = found.public_key()
    weak = ""
    match public:
        case rsa.RSAPublicKey():
            key = f"RSA {public.key_size}"
            weak = (
                f"RSA keys below {MIN_RSA} bits are refused by clients" if public.key_size < MIN_RSA else ""
            )
        case ec.EllipticCurvePublicKey():
            key = f"ECDSA {public.curve.name}"
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            key, weak = "EdDSA", "many mail programs do not know EdDSA keys"
        case _:
            key, weak = type(public).__name__, "mail programs do not know this kind of key"
    return Facts(
        tuple(sorted(name.lower() for name in listed)),
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
        key,
        weak,
    )
