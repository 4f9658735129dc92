"""TLS-002: which weak suites, and what is said of them."""

from __future__ import annotations

import pytest

from assess.core.checks.tls_facts import (
    SILENT,
    codes,
    weak,
)
from gambeson.assess.core.checks import tls_ciphers
from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.tls import TlsFacts, Weakness


@pytest.mark.parametrize(
    ("tls", "protocol", "expected"),
    [
        (weak(), Protocol.IMAP, ["strong"]),
        (weak(Weakness.NULL), Protocol.IMAP, ["broken"]),
        (weak(Weakness.EXPORT), Protocol.SMTP, ["broken"]),
        (weak(Weakness.DES), Protocol.IMAP, ["broken"]),
        (weak(Weakness.ANONYMOUS), Protocol.IMAP, ["broken"]),
        (weak(Weakness.ANONYMOUS), Protocol.SMTP, ["strong"]),
        (weak(Weakness.RC4), Protocol.IMAP, ["weak"]),
        (weak(Weakness.TRIPLE_DES), Protocol.IMAP, ["weak"]),
        (weak(Weakness.SMALL_DH), Protocol.IMAP, ["weak"]),
        (weak(Weakness.STATIC_RSA), Protocol.IMAP, ["no-secrecy"]),
        (
            weak(Weakness.NULL, Weakness.RC4, Weakness.STATIC_RSA),
            Protocol.IMAP,
            ["broken", "weak", "no-secrecy"],
        ),
        (weak(untried=(Weakness.NULL,)), Protocol.IMAP, ["unknown"]),
        (weak(Weakness.RC4, untried=(Weakness.NULL,)), Protocol.IMAP, ["weak", "unknown"]),
        (TlsFacts(unknown=SILENT), Protocol.IMAP, ["unknown"]),
    ],
)
def test_ciphers(tls: TlsFacts, protocol: Protocol, expected: list[str]) -> None:
    assert codes(tls_ciphers.run, tls, protocol) == expected
