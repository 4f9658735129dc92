"""Whether keys and signatures of a door's certificate are strong (RFC 9325 section 4.5)."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.tls import Certificate
from gambeson.assess.core.tls_doors import evidence, with_tls
from gambeson.assess.core.unknown import Cause, Unknown

BREAKABLE_RSA = 1024  # bits; keys below have been factored by hobbyists
SHORT_RSA = 2048
SHORT_EC = 224
_OLD_HASHES = ("md2", "md4", "md5", "sha1")


def run(facts: Facts) -> Iterator[Outcome]:
    """For each door the worst of its certificate; of the chain above it only the signatures count."""
    for door, tls in with_tls(facts):
        if tls.unknown is not None:
            yield Outcome("unknown", door.place, unknown=tls.unknown)
            continue
        if not tls.chain:
            detail = tls.trust_detail or "no certificate was seen"
            yield Outcome("unknown", door.place, unknown=Unknown(Cause.MALFORMED, detail))
            continue
        certificate = tls.chain[0]
        values = {"key": certificate.key, "bits": str(certificate.bits), "hash": _old_hash(tls.chain).upper()}
        seen = evidence(
            facts,
            door,
            f"{certificate.key} {certificate.bits} bits, {certificate.signature_hash}, key {certificate.spki_sha256}",
        )
        codes = list(_codes(tls.chain))
        if not codes and not certificate.key:
            yield Outcome("unknown", door.place, unknown=Unknown(Cause.MALFORMED, "its key cannot be read"))
            continue
        for code in codes or ["strong"]:
            yield Outcome(code, door.place, values, seen)


def _codes(chain: tuple[Certificate, ...]) -> Iterator[str]:
    certificate = chain[0]
    if certificate.key == "RSA" and certificate.bits < BREAKABLE_RSA:
        yield "breakable-key"
    elif (certificate.key == "RSA" and certificate.bits < SHORT_RSA) or (
        certificate.key == "EC" and certificate.bits < SHORT_EC
    ):
        yield "short-key"
    elif certificate.key == "DSA":
        yield "old-kind"
    if _old_hash(chain):
        yield "old-signature"


def _old_hash(chain: tuple[Certificate, ...]) -> str:
    """The broken hash of a signature that counts: not of one that a certificate has from itself."""
    signed = [c for c in chain if c.subject != c.issuer or not c.subject]
    return next((c.signature_hash for c in signed if c.signature_hash in _OLD_HASHES), "")
