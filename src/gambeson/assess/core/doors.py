"""What was seen at one port of one address."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from gambeson.wire.ntlm import Challenge

from .tls import TlsFacts
from .unknown import Unknown


class Protocol(StrEnum):
    """What is spoken there. Those in ``IMPLICIT`` begin with TLS."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    SIEVE = "sieve"
    HTTP = "http"
    HTTPS = "https"


IMPLICIT = frozenset({Protocol.SUBMISSIONS, Protocol.IMAPS, Protocol.POP3S, Protocol.HTTPS})

PORTS: dict[Protocol, int] = {
    Protocol.SMTP: 25,
    Protocol.SUBMISSION: 587,
    Protocol.SUBMISSIONS: 465,
    Protocol.IMAP: 143,
    Protocol.IMAPS: 993,
    Protocol.POP3: 110,
    Protocol.POP3S: 995,
    Protocol.SIEVE: 4190,
    Protocol.HTTP: 80,
    Protocol.HTTPS: 443,
}


class PortState(StrEnum):
    """``OPEN``: a connection came about and the protocol was spoken. ``CLOSED``: refused. ``UNKNOWN``: see ``unknown``
    (no answer at all may be a firewall, a fault on the way or a dead host, so it is not ``CLOSED``)."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class StartTls(StrEnum):
    """What became of STARTTLS (RFC 3207, 2595, 5804)."""

    NOT_OFFERED = "not-offered"
    OFFERED = "offered"  # offered, and the handshake came about
    FAILED = "failed"  # offered, and no handshake came about, however we asked
    IMPLICIT = "implicit"  # the port begins with TLS


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers at one moment of the dialogue. ``mechanisms`` are SASL names in capitals.
    ``password_command`` says whether the protocol's own command with a bare password is open (IMAP LOGIN without
    LOGINDISABLED, POP3 USER); None where the protocol has none or it does not say."""

    capabilities: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    password_command: bool | None = None

    @property
    def bare_password(self) -> bool:
        """Whether a password alone would be taken here: the command, PLAIN, LOGIN, or a challenge made from it."""
        return bool(self.password_command) or not BARE.isdisjoint(self.mechanisms)


# Mechanisms in which knowing the password is all there is to it.
BARE = frozenset({"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "APOP"}) | {
    f"SCRAM-{hash_name}{plus}" for hash_name in ("SHA-1", "SHA-256", "SHA-512") for plus in ("", "-PLUS")
}


@dataclass(frozen=True, slots=True)
class NtlmFacts:
    """What an NTLM challenge gives away (MS-NLMP section 2.2.1.2): names, and Windows' build as ``10.0.17763``."""

    windows: str = ""
    netbios_domain: str = ""
    netbios_computer: str = ""
    dns_domain: str = ""
    dns_computer: str = ""

    @classmethod
    def of(cls, challenge: Challenge) -> Self:
        """The facts of a challenge that was read."""
        return cls(
            challenge.windows,
            challenge.netbios_domain,
            challenge.netbios_computer,
            challenge.dns_domain,
            challenge.dns_computer,
        )


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """One port. ``plain`` is offered before TLS (None with implicit TLS), ``secured`` after it; ``identity`` are pairs
    that the server says of itself (IMAP ID, ManageSieve IMPLEMENTATION); ``notes`` what was odd, in plain words."""

    host: str
    address: str
    port: int
    protocol: Protocol
    state: PortState
    unknown: Unknown | None = None
    banner: str = ""
    plain: Offer | None = None
    starttls: StartTls = StartTls.NOT_OFFERED
    secured: Offer | None = None
    tls: TlsFacts | None = None
    ntlm: NtlmFacts | None = None
    identity: tuple[tuple[str, str], ...] = ()
    injection: bool | None = None  # commands sent with STARTTLS were obeyed inside TLS (CVE-2011-0411)
    notes: tuple[str, ...] = field(default=())

    @property
    def place(self) -> str:
        """How people name it."""
        return f"{self.host}:{self.port}"
