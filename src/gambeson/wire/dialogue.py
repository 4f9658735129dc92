"""The contract between a sans-IO dialogue and the edge that moves its bytes.

A dialogue is fed bytes and events and returns a list of :data:`Command`, to be carried out in
order. It never waits, never reads a clock and never looks anything up. Two roles:

:class:`ServerDialogue`
    what a door holds with a client until it is signed in. It emits :class:`Authenticate` once
    per attempt and takes no further input until the edge answers with ``accepted`` or
    ``refused`` (bytes that arrive meanwhile are kept, within ``limits.MAX_PENDING``).
:class:`ClientDialogue`
    what a door holds with the mail server behind it until it has signed in there. It ends with
    :class:`Ready` or :class:`Failed`.

Any bytes whatever give commands or one declared error: :class:`Close` after a last :class:`Send`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gambeson.model.access import RawLogin


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the peer."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin TLS now (all Sends before it first). Whatever plaintext the peer pipelined behind is
    dropped by the dialogue itself, and the edge stops reading *before* it writes the go-ahead."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The client tries to sign in; answer with ``accepted`` or ``refused``."""

    login: RawLogin


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection after what was sent has left. ``reason`` is for the record."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The mail server signed us in. ``capabilities`` are its own, after login (empty where the protocol
    has none or it did not say); ``text`` is the human part of its answer; ``leftover`` are bytes that
    came behind. ``warning`` is ours: one ASCII sentence that the person is told along with the yes."""

    capabilities: tuple[bytes, ...] = ()
    text: bytes = b""
    leftover: bytes = b""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The mail server did not sign us in. ``refused``: it answered that the credential is bad;
    ``unavailable``: it asked to come later or broke off; ``protocol``: it spoke nonsense. ``code`` is the
    reason that the person should hear (RFC 5530 INUSE: another session holds the mailbox), or empty."""

    kind: str
    text: str = ""
    code: str = ""


Command = Send | StartTls | Authenticate | Close | Ready | Failed


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a client is told when it may not come in.

    ``sentence`` is one sentence for a person, ASCII, without CR or LF, and already holds the
    address to enrol at where there is one. ``alert`` asks for IMAP's [ALERT] (RFC 9051 section 7.1)
    or the protocol's nearest. ``temporary`` is for "not now" (RFC 5530 UNAVAILABLE, POP3 [SYS/TEMP],
    SMTP 454 4.7.0, ManageSieve TRYLATER) as against bad credentials (AUTHENTICATIONFAILED, [AUTH],
    535 5.7.8); ``close`` ends the connection after the answer. ``code`` is a closer response code of
    RFC 5530 (EXPIRED, CONTACTADMIN for IMAP; INUSE, in POP3 [IN-USE]), told only to whoever holds a real
    credential.
    """

    sentence: str
    alert: bool = False
    temporary: bool = False
    close: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamCredential:
    """How to sign in at the mail server: SASL mechanism and what it needs. repr hides the secret."""

    mechanism: str  # PLAIN, LOGIN, EXTERNAL, OAUTHBEARER or XOAUTH2
    authcid: str
    secret: str = field(default="", repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is behind us, to be told to a mail server that trusts us."""

    address: str = ""
    port: int = 0
    session: str = ""
    device: str = ""
    login: str = ""
    helo: str = ""
    tls: bool = True


class ServerDialogue(Protocol):
    """See the module's docstring. ``pending`` returns and clears the bytes that the client sent
    behind its login, to be passed on once spliced."""

    def start(self) -> list[Command]: ...
    def receive(self, data: bytes) -> list[Command]: ...
    def tls_started(self) -> list[Command]: ...
    def refused(self, refusal: Refusal) -> list[Command]: ...
    def accepted(self, ready: Ready) -> list[Command]: ...
    def pending(self) -> bytes: ...
    def shut_down(self, sentence: str) -> list[Command]: ...


class ClientDialogue(Protocol):
    """See the module's docstring."""

    def start(self) -> list[Command]: ...
    def receive(self, data: bytes) -> list[Command]: ...
    def tls_started(self) -> list[Command]: ...


@dataclass(frozen=True, slots=True)
class ToClient:
    """Relay: write these bytes to the client."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToServer:
    """Relay: write these bytes to the mail server."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskQuota:
    """Relay: may this account send one message from ``sender`` to this many recipients now? The relay
    takes nothing more from the client until ``quota_granted`` or ``quota_refused`` answers."""

    sender: str
    recipients: int


@dataclass(frozen=True, slots=True)
class MessageDone:
    """Relay: the mail server answered for one message (``accepted`` with its reply)."""

    sender: str
    recipients: tuple[str, ...]
    size: int
    accepted: bool
    reply: str


RelayCommand = ToClient | ToServer | AskQuota | MessageDone | Close
