"""The zone of a domain that has everything right, and what a fault changes in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .addresses import MX1, MX2, POLICY, WEB

SERVERS = ("ns1.test", "ns2.test")
# RSA of 768 bits, which no library makes any more.
WEAK_KEY = (
    "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAN0ffLQYWK5l1PxJY4yTL18o2C8/Zq2uzyaEUUbfMH8o1n1dSY2L"
    "BC9YtfRFSc4NO6Cy/tpf5+3amu0LeGCjDVdY6ahdGzBp6BKqSEkuo0UOBAc34nNs1VxXzwY5bmiGpwIDAQAB"
)


def dkim_key(bits: int) -> str:
    """The public key of an RSA pair as a DKIM record has it."""
    der = (
        rsa.generate_private_key(65537, bits)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


def clean(submission: int, key: str, dkim: str) -> list[str]:
    """The records of a clean domain. ``submission`` is that port, ``key`` the SHA-256 of the mail hosts' key."""
    return [
        "@ MX 10 mx1",
        "@ MX 20 mx2",
        '@ TXT "v=spf1 mx -all"',
        '@ CAA 0 issue "lab.example"',
        f"mx1 A {MX1}",
        f"mx2 A {MX2}",
        f"mta-sts A {POLICY}",
        f"mail A {WEB}",
        '_mta-sts TXT "v=STSv1; id=20260101"',
        '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@$D"',
        '_dmarc TXT "v=DMARC1; p=reject; rua=mailto:dmarc@$D"',
        f'default._domainkey TXT "v=DKIM1; k=rsa; p={dkim}"',
        f"_submission._tcp SRV 0 1 {submission} mail",
        f"_25._tcp.mx1 TLSA 3 1 1 {key}",
        f"_25._tcp.mx2 TLSA 3 1 1 {key}",
    ]


def changed(records: Iterable[str], drops: Iterable[str], puts: Iterable[str]) -> list[str]:
    """``records`` without those that begin with one of ``drops`` (``@ MX 10``, ``_dmarc``), and with ``puts``."""
    gone = [words.split() for words in drops]
    kept = [line for line in records if not any(line.split()[: len(words)] == words for words in gone)]
    for words in gone:
        if not any(line.split()[: len(words)] == words for line in records):
            raise ValueError(f"nothing to drop: {' '.join(words)}")
    return [*kept, *puts]


def text(records: Iterable[str], domain: str) -> str:
    """As lines of a zone file; long texts in parts, ``$D`` is the domain."""
    return "".join(_line(line.replace("$D", domain)) for line in records)


def _line(line: str) -> str:
    owner, kind, data = line.split(" ", 2)
    if kind == "TXT" and data.startswith('"') and data.count('"') == 2:
        inner = data.strip('"')
        data = " ".join(f'"{inner[at : at + 250]}"' for at in range(0, max(len(inner), 1), 250))
    return f"{owner} IN {kind} {data}\n"
