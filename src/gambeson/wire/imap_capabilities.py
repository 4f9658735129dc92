"""The capabilities that an IMAP door names (RFC 9051 section 6.1.1).

Before sign-in they are those that the door itself keeps; after sign-in the mail server's own are passed on, but for
what cannot be kept through a door.
"""

from __future__ import annotations

from functools import lru_cache

from .imap import is_atom

# What a mail server may offer and a door does not keep: TLS and sign-in are ours, and UNAUTHENTICATE
# (RFC 8437) would lead back behind the door to a sign-in that it does not guard.
_NOT_THROUGH_US = frozenset(
    (b"STARTTLS", b"LOGINDISABLED", b"SASL-IR", b"LOGIN-REFERRALS", b"UNAUTHENTICATE")
)


def offered(*, tls: bool, starttls: bool, external: bool) -> bytes:
    """What is named before sign-in: no way to sign in without TLS, and EXTERNAL only where a certificate came."""
    if not tls:
        return b"IMAP4rev1 LITERAL+ ID " + (b"STARTTLS " if starttls else b"") + b"LOGINDISABLED"
    return b"IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN" + (b" AUTH=EXTERNAL" if external else b"")


@lru_cache(32)  # a server says the same to everyone
def passed_on(capabilities: tuple[bytes, ...]) -> bytes:
    """Those of the mail server's capabilities that we can keep, as they are said."""
    return b" ".join(c for c in capabilities if _keeps(c.upper()))


def _keeps(name: bytes) -> bool:
    return is_atom(name) and name not in _NOT_THROUGH_US and not name.startswith(b"AUTH=")
