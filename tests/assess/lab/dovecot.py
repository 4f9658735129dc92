"""Dovecot as the laboratory has it: one instance for those who have passwords, each setting at an address of its own,
and two that are only asked by Postfix, or have tokens only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gambeson.assess.core.doors import Protocol
from peers.dovecot import Dovecot

from .addresses import MAIL

_SERVICES = {
    "imap-login": (Protocol.IMAP, Protocol.IMAPS),
    "pop3-login": (Protocol.POP3, Protocol.POP3S),
    "managesieve-login": (Protocol.SIEVE,),
}
_WEAK: dict[str, tuple[Protocol, str]] = {
    "imap-clear": (Protocol.IMAP, "ssl = no\n  disable_plaintext_auth = no"),
    "imap-optional": (Protocol.IMAP, "disable_plaintext_auth = no"),
    "imap": (Protocol.IMAP, "ssl = required"),
    "imaps": (Protocol.IMAPS, "ssl = required"),
    "imaps-old": (
        Protocol.IMAPS,
        "ssl_min_protocol = TLSv1\n  ssl_cipher_list = ALL:!aNULL:!kRSA:@SECLEVEL=0",
    ),
    "pop3-clear": (Protocol.POP3, "ssl = no\n  disable_plaintext_auth = no"),
    "pop3-optional": (Protocol.POP3, "disable_plaintext_auth = no"),
    "pop3s": (Protocol.POP3S, "ssl = required"),
    "sieve": (Protocol.SIEVE, "ssl = required"),
}


def passwords(ports: Mapping[Protocol, int], good: Path, auth: int) -> Dovecot:
    """The one with every weak setting; its SASL service is at the port ``auth``."""
    doors = [(name, protocol, settings) for name, (protocol, settings) in _WEAK.items()]
    return _dovecot(doors, ports, good, auth, "plain login")


def tokens(ports: Mapping[Protocol, int], good: Path, auth: int) -> Dovecot:
    """One where nobody comes in with a password."""
    return _dovecot(
        [("imap-tokens", Protocol.IMAP, "ssl = required")], ports, good, auth, "oauthbearer xoauth2"
    )


def challenge(ports: Mapping[Protocol, int], good: Path, auth: int) -> Dovecot:
    """One that only has a challenge made from the password."""
    return _dovecot([], ports, good, auth, "cram-md5")


def _dovecot(
    doors: list[tuple[str, Protocol, str]],
    ports: Mapping[Protocol, int],
    good: Path,
    auth: int,
    mechanisms: str,
) -> Dovecot:
    extra = f"auth_mechanisms = {mechanisms}\nssl_cert = <{good}\nssl_key = <{good}\n"
    extra += f"service auth {{\n inet_listener sasl {{\n address = 127.0.0.1\n port = {auth}\n }}\n}}\n"
    for name, protocol, settings in doors:
        service = next(name for name, spoken in _SERVICES.items() if protocol in spoken)
        implicit = "   ssl = yes\n" if protocol.value.endswith("s") else ""
        extra += f"service {service} {{\n inet_listener lab_{name.replace('-', '_')} {{\n   address = {MAIL[name]}\n"
        extra += f"   port = {ports[protocol]}\n{implicit} }}\n}}\n"
        extra += f"local {MAIL[name]} {{\n  {settings}\n}}\n"
    return Dovecot(users={"ada@example.org": "secret"}, extra=extra, plaintext=False, trusted="")
