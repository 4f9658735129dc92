"""Autoconfig names the doors where they really listen."""

from __future__ import annotations

from gambeson.app.mail_names import mail_names
from gambeson.process.listen import Listen
from gambeson.wire.autodiscover import MailServerName


def test_doors_by_name_with_tls_from_the_first_octet_before_starttls() -> None:
    listens = [
        Listen("submission", "0.0.0.0", 1587),
        Listen("imap", "0.0.0.0", 143),
        Listen("imaps", "0.0.0.0", 993),
        Listen("imaps#2", "::", 9993),
        Listen("sieve", "0.0.0.0", 4190),
        Listen("https", "0.0.0.0", 443),
        Listen("pop3", "0.0.0.0", 0),
        Listen("imap#edge", "", 0, unix="/run/imap.sock"),
    ]
    assert mail_names(listens, "mail.example.org") == (
        MailServerName("imap", "mail.example.org", 993, "SSL"),
        MailServerName("imap", "mail.example.org", 143, "STARTTLS"),
        MailServerName("smtp", "mail.example.org", 1587, "STARTTLS"),
    )
