"""TLS-003: whether programs accept the certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.checks.tls_facts import (
    CLEAN,
    LEAF,
    MODERN,
    SILENT,
    codes,
    door,
    facts,
    lasting,
    named,
    untrusted,
)
from gambeson.assess.core.checks import certificate
from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.tls import TlsFacts, Trust


@pytest.mark.parametrize(
    ("tls", "protocol", "expected"),
    [
        (CLEAN, Protocol.IMAP, ["good"]),
        (CLEAN, Protocol.SMTP, ["good"]),
        *(
            (untrusted(trust), Protocol.IMAP, [trust.value])
            for trust in Trust
            if trust not in (Trust.TRUSTED, Trust.UNKNOWN)
        ),
        *(
            (untrusted(trust), Protocol.SMTP, ["untrusted-between-servers"])
            for trust in Trust
            if trust not in (Trust.TRUSTED, Trust.UNKNOWN)
        ),
        (untrusted(Trust.UNKNOWN), Protocol.IMAP, ["unknown"]),
        (lasting(22), Protocol.IMAP, ["good"]),
        (lasting(20), Protocol.IMAP, ["ends-soon"]),
        (lasting(20), Protocol.SMTP, ["ends-soon"]),
        (lasting(0.1), Protocol.IMAP, ["ends-soon"]),
        (lasting(4, life=6), Protocol.IMAP, ["good"]),  # certificates of six days
        (lasting(1, life=6), Protocol.IMAP, ["ends-soon"]),
        (named("other.example.org"), Protocol.IMAP, ["wrong-name"]),
        (named("other.example.org"), Protocol.SMTP, ["name-between-servers"]),
        (named("mail.example.org", common=True), Protocol.IMAP, ["no-names"]),
        (named(trust=Trust.INVALID), Protocol.IMAP, ["no-names"]),
        (named("other.example.org", trust=Trust.SELF_SIGNED), Protocol.IMAP, ["self-signed", "wrong-name"]),
        (TlsFacts(versions=MODERN), Protocol.IMAP, ["unknown"]),
        (TlsFacts(unknown=SILENT), Protocol.IMAP, ["unknown"]),
    ],
)
def test_certificates(tls: TlsFacts, protocol: Protocol, expected: list[str]) -> None:
    assert codes(certificate.run, tls, protocol) == expected


def test_a_guessed_name_is_perhaps_nobody_s() -> None:
    wrong = named("other.example.org")
    assert [o.code for o in certificate.run(facts(door(wrong), roles=("guess",)))] == ["name-of-guess"]
    assert [o.code for o in certificate.run(facts(door(wrong), roles=("guess", "srv")))] == ["wrong-name"]


def test_an_unreadable_certificate_is_said_once() -> None:
    nothing = replace(
        LEAF,
        subject="",
        issuer="",
        names=(),
        not_before=0.0,
        not_after=0.0,
        key="",
        bits=0,
        signature_hash="",
    )
    tls = replace(CLEAN, chain=(nothing,), trust=Trust.INVALID, name_matches=False)
    assert codes(certificate.run, tls) == ["invalid"]
