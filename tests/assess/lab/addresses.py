"""Where each server of the laboratory is: one setting, one address, because facts of a look belong to addresses.

All are on loopback. Networks are /24, as the checks count them.
"""

from __future__ import annotations

# The name servers: Knot at the first two, small ones of our own that misbehave at the others.
NS1, NS2 = "127.53.1.1", "127.53.2.1"
NS_BESIDE = "127.53.1.2"  # Knot too, in the network of the first
NS_LAME, NS_OLD, NS_RECURSIVE, NS_SILENT = "127.53.3.1", "127.53.4.1", "127.53.5.1", "127.53.6.1"

# Good ones.
MX1, MX2 = "127.10.1.1", "127.20.1.1"
POLICY, WEB = "127.30.1.1", "127.30.2.1"
MX_NAMELESS, MX_STRANGE, MX_GENERIC, MX_BESIDE = "127.11.1.1", "127.12.1.1", "127.13.1.1", "127.10.1.2"


def _row(network: int, names: str) -> dict[str, str]:
    return {name: f"127.{network}.{number}.1" for number, name in enumerate(names.split(), 1)}


# Postfix.
SMTP = _row(
    41,
    "no-starttls sign-in old-tls static-rsa told-version expired self-signed other-name other-key "
    "submission submissions submission-clear challenge",
)
# Dovecot.
MAIL = _row(
    42, "imap-clear imap-optional imaps pop3-clear pop3s pop3-optional sieve imap imap-tokens imaps-old"
)
# nginx, and for RC4 a small server of our own.
WEB_TLS = _row(
    43,
    "expired self-signed other-name stranger incomplete early short-key sha1 old-tls only-old static-rsa small-dh rc4 "
    "no-names soon absurd tiny-key null",
)
WEB_PAGES = _row(
    44,
    "no-hsts short-hsts no-redirect form-clear roundcube postfixadmin rspamd version basic powershell rpc ecp "
    "sign-in-everywhere page-everywhere phpmyadmin",
)
EXCHANGE = _row(45, "emulator old cu-only ended farm-one farm-two newest silent")
POLICIES = _row(46, "testing shut-out missing off short broken redirect")
# Our own, which no sane person would run.
HOSTILE = _row(
    47,
    "tarpit garbage endless closing http drip preauth starttls-fails https-silent https-plain https-endless busy "
    "smtp-tarpit smtp-garbage obeys",
)
