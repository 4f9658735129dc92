"""TLS-001: which versions, and what is said of them."""

from __future__ import annotations

import pytest

from assess.core.checks.tls_facts import (
    CLEAN,
    MODERN,
    SILENT,
    V,
    codes,
    taking,
)
from gambeson.assess.core.checks import tls_versions
from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.tls import TlsFacts


@pytest.mark.parametrize(
    ("tls", "protocol", "expected"),
    [
        (CLEAN, Protocol.IMAP, ["modern"]),
        (taking(V.TLS1_3), Protocol.IMAP, ["modern"]),
        (taking(V.TLS1_2), Protocol.SMTP, ["modern"]),
        (taking(V.SSL3, V.TLS1_2), Protocol.IMAP, ["broken"]),
        (taking(V.SSL2, V.TLS1_2), Protocol.SMTP, ["broken"]),
        (taking(V.TLS1_0, V.TLS1_2), Protocol.IMAP, ["old"]),
        (taking(V.TLS1_1, V.TLS1_2, V.TLS1_3), Protocol.HTTPS, ["old"]),
        (taking(V.TLS1_0, V.TLS1_2), Protocol.SMTP, ["old-between-servers"]),
        (taking(V.TLS1_0, V.TLS1_2), Protocol.SUBMISSION, ["old"]),
        (taking(V.TLS1_0), Protocol.SMTP, ["only-old"]),
        (taking(V.TLS1_0, V.TLS1_1), Protocol.IMAP, ["only-old"]),
        # What is known to be bad stays so whatever else is not known; what seems good does not.
        (taking(V.TLS1_0, V.TLS1_2, unknown=(V.SSL3,)), Protocol.IMAP, ["old"]),
        (taking(V.TLS1_2, unknown=(V.TLS1_0,)), Protocol.IMAP, ["unknown"]),
        (TlsFacts(versions=MODERN, unknown=SILENT), Protocol.IMAP, ["unknown"]),
    ],
)
def test_versions(tls: TlsFacts, protocol: Protocol, expected: list[str]) -> None:
    assert codes(tls_versions.run, tls, protocol) == expected


def test_only_old_needs_to_know_that_nothing_newer_is_taken() -> None:
    assert codes(tls_versions.run, taking(V.TLS1_0, unknown=(V.TLS1_2, V.TLS1_3))) == ["old"]
