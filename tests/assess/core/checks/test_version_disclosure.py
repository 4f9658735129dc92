"""TLS-015: versions and names from inside, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assess.door_cases import codes, door, facts, lines, unseen
from gambeson.assess.core.check import Light
from gambeson.assess.core.checks.version_disclosure import version
from gambeson.assess.core.doors import NtlmFacts, Protocol
from gambeson.assess.core.web import Page

NTLM = NtlmFacts("10.0.17763", "CORP", "EX01", "corp.example.org", "ex01.corp.example.org")


@pytest.mark.parametrize(
    ("banner", "found"),
    [
        ("mx.example.org ESMTP Postfix (Debian/GNU)", ""),
        ("mx.example.org ESMTP Exim 4.96 Tue, 24 Nov 2026 14:00:00 +0000", "4.96"),
        ("mx.example.org ESMTP Sendmail 8.17.1/8.17.1; Tue, 24 Nov 2026", "8.17.1"),
        ("mx1.example.org Microsoft ESMTP MAIL Service, Version: 10.0.17763.1697 ready", "10.0.17763.1697"),
        ("Dovecot ready.", ""),
        ("Dovecot ready. <5e.1.65f3b@mx2.example.org>", ""),
        ("[192.0.2.1] ESMTP", ""),
        ("192.0.2.1 ESMTP", ""),
        ("host at 10.1.2.3 ESMTP", ""),
        ("Dovecot 2.3.19.1 ready", "2.3.19.1"),
        ("mail.4.2.example.org ESMTP", ""),
        ("srv-10.0.example.org ESMTP", ""),
        ("Cyrus timsieved v2.4.17-Fedora-RPM", "2.4.17"),
        ("IMAP4rev1 TLSv1.2", ""),
        ("hMailServer 5.6.8-B2574", "5.6.8"),
        ("Dovecot (Debian) Pigeonhole", ""),
        ("Microsoft-IIS/10.0", "10.0"),
        ("PHP/8.2.20", "8.2.20"),
        ("15.2.1544.4", "15.2.1544.4"),
    ],
)
def test_a_version_in_a_greeting(banner: str, found: str) -> None:
    assert version(banner) == found
    code = "version" if found else "quiet"
    assert codes("version_disclosure", facts(door(Protocol.SMTP, banner=banner))) == [code]


def test_what_a_server_says_of_itself_when_asked() -> None:
    seen = door(Protocol.IMAPS, identity=(("name", "Cyrus"), ("version", "3.6.1")))
    assert codes("version_disclosure", facts(seen)) == ["version"]


def test_names_from_inside() -> None:
    [line] = lines("version_disclosure", facts(door(Protocol.SMTP, ntlm=NTLM)))
    assert line.light is Light.AMBER
    assert "ex01.corp.example.org, corp.example.org, Windows 10.0.17763" in line.sentence


def test_pages() -> None:
    headers = (("server", "Apache/2.4.57 (Debian)"), ("x-powered-by", "PHP/8.2"))
    pages = (
        Page("owa", "https://mail.example.org/owa/", "192.0.2.1", status=200, headers=headers),
        Page("ews", "https://mail.example.org/EWS/", "192.0.2.1", status=401, headers=headers, ntlm=NTLM),
        Page("ecp", "https://mail.example.org/ecp/", "192.0.2.1", status=200, headers=headers),
        Page("x", "https://other.example.org/", "192.0.2.1", status=200, headers=(("server", "nginx"),)),
        Page("y", "https://dead.example.org/", "192.0.2.1"),
    )
    assert codes("version_disclosure", facts(pages=pages)) == ["version", "inside"]


def test_an_unseen_door_says_nothing() -> None:
    assert codes("version_disclosure", facts(unseen(Protocol.SMTP))) == []


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    found = version(text)
    assert found in text
