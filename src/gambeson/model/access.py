"""What a Door asks and what is known about who asks.

The types tell how far something is proven: a :class:`RawLogin` is what a client typed, an
:class:`Identity` is what was proven of it, and only a :class:`~gambeson.model.decision.Decision`
to allow makes a session. Nothing a client merely asserts ever climbs the ladder by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class DoorKind(StrEnum):
    """Where a mail protocol comes in. The word is what settings, rules and the command line use."""

    IMAP = "imap"
    POP3 = "pop3"
    SUBMISSION = "submission"
    SIEVE = "sieve"
    WEBMAIL = "webmail"
    OWA = "owa"
    ECP = "ecp"
    EAS = "eas"
    EWS = "ews"
    MAPI = "mapi"
    OAB = "oab"
    AUTODISCOVER = "autodiscover"
    PORTAL = "portal"
    API = "api"

    __hash__ = str.__hash__  # Enum's own is slow, and is no equal text's


MAIL_DOORS = (DoorKind.IMAP, DoorKind.POP3, DoorKind.SUBMISSION, DoorKind.SIEVE)
BROWSER_DOORS = (DoorKind.WEBMAIL, DoorKind.OWA, DoorKind.ECP, DoorKind.PORTAL)
DEVICE_WEB_DOORS = (DoorKind.EAS, DoorKind.EWS, DoorKind.MAPI, DoorKind.OAB, DoorKind.AUTODISCOVER)
DEVICE_DOORS = (*MAIL_DOORS, *DEVICE_WEB_DOORS)


class Listener(StrEnum):
    """A listening socket. Several listeners may serve one door (143 and 993 are both imap)."""

    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    SIEVE = "sieve"
    HTTPS = "https"

    @property
    def door(self) -> DoorKind:
        """The door behind this listener (https serves several: its request decides)."""
        return _DOOR_OF[self]

    @property
    def implicit_tls(self) -> bool:
        """True where TLS starts with the first byte (RFC 8314), False where STARTTLS begins it."""
        return self in (Listener.IMAPS, Listener.POP3S, Listener.SUBMISSIONS, Listener.HTTPS)


_DOOR_OF = {
    Listener.IMAP: DoorKind.IMAP,
    Listener.IMAPS: DoorKind.IMAP,
    Listener.POP3: DoorKind.POP3,
    Listener.POP3S: DoorKind.POP3,
    Listener.SUBMISSION: DoorKind.SUBMISSION,
    Listener.SUBMISSIONS: DoorKind.SUBMISSION,
    Listener.SIEVE: DoorKind.SIEVE,
    Listener.HTTPS: DoorKind.WEBMAIL,
}


class Rung(IntEnum):
    """The proof ladder: how strongly an access is proven. Ordered, weakest first."""

    NOTHING = 0
    ASSERTED = 1
    KNOWLEDGE = 2
    DEVICE_SECRET = 3
    KNOWLEDGE_AND_CODE = 4
    DEVICE_KEY = 5

    @property
    def word(self) -> str:
        """The name used in rules, on the command line and in reports, such as ``device-secret``."""
        return _RUNG_WORDS[self]

    @classmethod
    def from_word(cls, word: str) -> Rung:
        """The rung of that name. Raises ValueError naming the known words."""
        for rung, known in _RUNG_WORDS.items():
            if known == word:
                return rung
        raise ValueError(f"{word!r} is no rung; known are {', '.join(_RUNG_WORDS.values())}")


_RUNG_WORDS = {
    Rung.NOTHING: "nothing",
    Rung.ASSERTED: "asserted",
    Rung.KNOWLEDGE: "knowledge",
    Rung.DEVICE_SECRET: "device-secret",
    Rung.KNOWLEDGE_AND_CODE: "knowledge-and-code",
    Rung.DEVICE_KEY: "device-key",
}


class Mode(StrEnum):
    """How far a door holds: observe records only, warn tells the person, enforce decides."""

    OBSERVE = "observe"
    WARN = "warn"
    ENFORCE = "enforce"


class Mechanism(StrEnum):
    """How the client presented itself. SASL names (RFC 4422) and the protocols' own commands."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    EXTERNAL = "EXTERNAL"
    USER_PASS = "USER"  # noqa: S105 - POP3's USER and PASS commands (RFC 1939)
    IMAP_LOGIN = "IMAP-LOGIN"
    OAUTHBEARER = "OAUTHBEARER"
    XOAUTH2 = "XOAUTH2"
    BASIC = "BASIC"  # HTTP Basic (RFC 7617)
    SESSION = "SESSION"  # a session of the portal


@dataclass(frozen=True, slots=True)
class RawLogin:
    """One sign-in attempt as the client sent it: decoded, within limits, nothing believed.

    ``username`` is the authentication identity (authcid), ``authzid`` whom it wants to act as
    (empty: the same). ``password`` is never logged; repr hides it.
    """

    mechanism: Mechanism
    username: str
    password: str = ""
    authzid: str = ""

    def __repr__(self) -> str:
        return f"RawLogin({self.mechanism}, {self.username!r}, password=<hidden>)"


@dataclass(frozen=True, slots=True)
class Identity:
    """What was proven of a RawLogin. Empty ids mean: not known, or not proven.

    ``account`` is set only when a credential proved it. ``claimed`` is the address that the
    client named, in canonical form, for throttling and the record; it proves nothing.
    """

    claimed: str
    organisation: str = ""
    account: str = ""
    device: str = ""
    credential: str = ""
    rung: Rung = Rung.NOTHING
    failure: str = ""  # stable word for the record when a presented credential failed
    session: str = ""  # id of the portal's session that proves it, for a person at a browser


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question to :func:`gambeson.guard.core.decide.decide`. Facts only.

    ``source`` is the client's address in canonical text form (never the proxy's), ``country`` an
    ISO 3166 code or empty (not known), ``risk`` 0..100 (``guard/core/risk.py``), ``throttled`` the name of
    the throttle that is closed for this request or empty, ``encrypted`` whether the client's side is under TLS.
    ``cloud`` is the id of the cloud service through which a program reads (``guard/core/clouds.py``) or empty,
    ``cloud_evidence`` by what it was recognised.
    """

    door: DoorKind
    identity: Identity
    source: str
    encrypted: bool = True
    country: str = ""
    risk: int = 0
    throttled: str = ""
    sni: str = ""
    cloud: str = ""
    cloud_evidence: str = ""
