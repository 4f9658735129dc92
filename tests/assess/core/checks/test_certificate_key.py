"""TLS-004: keys and signatures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.checks.tls_facts import (
    CLEAN,
    LEAF,
    MODERN,
    SILENT,
    codes,
    keyed,
)
from gambeson.assess.core.checks import certificate_key
from gambeson.assess.core.tls import TlsFacts, Trust


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (keyed(), ["strong"]),  # a root's own signature is nobody's concern
        (keyed("RSA", 2048), ["strong"]),
        (keyed("Ed25519", 256, ""), ["strong"]),
        (keyed("RSA", 1024), ["short-key"]),
        (keyed("RSA", 2047), ["short-key"]),
        (keyed("RSA", 512), ["breakable-key"]),
        (keyed("EC", 192), ["short-key"]),
        (keyed("DSA", 2048), ["old-kind"]),
        (keyed(signature_hash="sha1"), ["old-signature"]),
        (keyed(signature_hash="md5"), ["old-signature"]),
        (keyed(above="sha1"), ["old-signature"]),
        (keyed("RSA", 512, "md5"), ["breakable-key", "old-signature"]),
        (keyed("", 0), ["unknown"]),
        (TlsFacts(versions=MODERN), ["unknown"]),
        (TlsFacts(unknown=SILENT), ["unknown"]),
    ],
)
def test_keys(tls: TlsFacts, expected: list[str]) -> None:
    assert codes(certificate_key.run, tls) == expected


def test_a_certificate_that_cannot_be_read() -> None:
    nothing = replace(LEAF, subject="", issuer="", names=(), key="", bits=0, signature_hash="")
    assert codes(certificate_key.run, replace(CLEAN, chain=(nothing,), trust=Trust.INVALID)) == ["unknown"]
