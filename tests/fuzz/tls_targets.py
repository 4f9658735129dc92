"""What fuzzing asks of a TLS server's answer and of certificates: one result, whatever comes in whatever pieces."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.pieces import pieces
from gambeson.assess.core.tls import Trust
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.certificates import read
from gambeson.wire.der import DerError, public_key, rsa_bits
from gambeson.wire.tls_answer import MAX_OCTETS, Alert, HelloReader, NotTls, ServerHello, Ssl2Reader

# An authority made for this, whose key nobody has any more: nothing that fuzzing finds can be trusted by it.
_AUTHORITIES = Authorities(
    b"""\
-----BEGIN CERTIFICATE-----
MIIBXDCCAQGgAwIBAgIUdJMmY10GWyaH1gZJkH0iyiz5mlUwCgYIKoZIzj0EAwIw
IzEhMB8GA1UEAwwYQXV0aG9yaXR5IG9mIHRoZSBmdXp6aW5nMB4XDTI2MTEyMzE0
MzEwMFoXDTI3MDIyMjE0MzEwMFowIzEhMB8GA1UEAwwYQXV0aG9yaXR5IG9mIHRo
ZSBmdXp6aW5nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoZCM3iK6eOda+sBO
4cwQtqbwtq88ghC1f3V41HQ2Uv6XPWe/GYwtI9q+nO7dG0y7i42WkDVqNv50Op5b
ewdaZ6MTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA8s1D
5zlHc4/MrY/Dzbl2uPmZSduO0xQk4aACDd8muBYCIQCLpy0N/XHwS4eKaLJ2kNMe
yjgZBT/06SST2W9wZzncbQ==
-----END CERTIFICATE-----
"""
)


def answer(data: bytes) -> None:
    """The pieces and the whole say the same; the reader holds no more than it may."""
    cut, whole, old = HelloReader(), HelloReader(), Ssl2Reader()
    for piece in pieces(data):
        cut.feed(piece)
        old.feed(piece)
    whole.feed(data[1:])
    found, other = cut.end(), whole.end()
    assert type(found) is type(other)
    if isinstance(found, NotTls):
        assert found.reason.isprintable()
        assert len(found.reason) < 200
    else:
        assert found == other
    if isinstance(found, ServerHello):
        assert sum(map(len, found.certificates)) <= MAX_OCTETS
        for der in found.certificates:
            certificate(der)
    if isinstance(found, Alert):
        assert found.words


def certificate(data: bytes) -> None:
    """A value, and never a trusted one."""
    found = read(data)
    assert all(name.isprintable() for name in (found.subject, found.issuer, *found.names))
    trust, detail = _AUTHORITIES.judge((data,), 1_800_000_000.0)
    assert trust is not Trust.TRUSTED
    assert detail.isprintable()
    try:
        spki = public_key(data)
        assert rsa_bits(spki) <= 8 * len(data)
    except DerError:
        return


TLS_TARGETS: dict[str, Callable[[bytes], None]] = {"tls-answer": answer, "certificate": certificate}
