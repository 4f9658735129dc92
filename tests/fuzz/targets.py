"""What fuzzing asks of each protocol: any octets, in any pieces, give commands or one declared error, and nothing else.

``TARGETS[name](data)`` raises AssertionError where a promise is broken; every other exception is a defect as well. The
first octet of ``data`` chooses the set-up (TLS, certificate, whether a login is accepted), the second the size of the
pieces in which the rest arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuzz.dns_targets import DNS_TARGETS
from fuzz.look_targets import LOOK_TARGETS
from fuzz.pieces import pieces
from fuzz.record_targets import RECORD_TARGETS
from fuzz.tls_targets import TLS_TARGETS
from fuzz.web_targets import WEB_TARGETS
from gambeson.guard.core.policy_toml import PolicyError, parse_policy
from gambeson.wire import limits
from gambeson.wire.dialogue import (
    AskQuota,
    Authenticate,
    Close,
    Failed,
    MessageDone,
    Origin,
    Ready,
    Refusal,
    Send,
    StartTls,
    ToClient,
    ToServer,
    UpstreamCredential,
)
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.imap_server import ImapServer
from gambeson.wire.pop3_client import Pop3Client
from gambeson.wire.pop3_server import Pop3Server
from gambeson.wire.proxyproto import MAX_V2, ProxyError, parse
from gambeson.wire.sieve_client import SieveClient
from gambeson.wire.sieve_server import SieveServer
from gambeson.wire.smtp_client import SmtpClient
from gambeson.wire.smtp_message import SenderPolicy
from gambeson.wire.smtp_relay import SmtpRelay
from gambeson.wire.smtp_server import SmtpServer

ORIGIN = Origin(
    address="192.0.2.7", port=4711, session="s-1", device="d", login="ann@example.org", helo="phone"
)
SECRET = "gam-hunted-secret"  # must never come back in a text
MAX_HELD = 4 * limits.MAX_PENDING


def held(dialogue: Any) -> int:
    """How many octets a dialogue keeps."""
    names = [n for kind in type(dialogue).__mro__ for n in getattr(kind, "__slots__", ())]
    values = [getattr(dialogue, n, b"") for n in names] + list(
        vars(dialogue).values() if hasattr(dialogue, "__dict__") else []
    )
    return sum(len(v) for v in values if isinstance(v, bytes | bytearray))


def server(make: Callable[..., Any]) -> Callable[[bytes], None]:
    """A dialogue that we hold with a client."""

    def run(data: bytes) -> None:
        choice = data[0] if data else 0
        tls = bool(choice & 1)
        dialogue = make(hostname="mail.example.org", tls=tls, starttls=not tls, external=bool(choice & 2))
        refusals = 0
        commands = dialogue.start()
        queue = pieces(data[1:])
        while True:
            for command in commands:
                assert isinstance(command, Send | StartTls | Authenticate | Close), command
                if isinstance(command, Send):
                    assert b"\0" not in command.data
                    assert command.data.endswith(b"\r\n"), command.data
            if any(isinstance(c, Close) for c in commands):
                assert dialogue.receive(b"anything at all\r\n") == []
                return
            last = commands[-1] if commands else None
            if isinstance(last, StartTls):
                assert not tls
                tls = True
                commands = dialogue.tls_started()
                continue
            if isinstance(last, Authenticate):
                assert tls, "a login before TLS"
                assert len(last.login.username) <= limits.MAX_NAME
                if choice & 4:
                    dialogue.accepted(Ready((b"IMAP4rev1", b"IDLE"), b"welcome"))
                    rest = b"".join(queue)
                    dialogue.receive(rest[: limits.MAX_PENDING // 2])
                    assert len(dialogue.pending()) <= MAX_HELD
                    return
                refusals += 1
                assert refusals <= limits.MAX_FAILURES
                commands = dialogue.refused(
                    Refusal("No.", alert=bool(choice & 8), temporary=bool(choice & 16))
                )
                continue
            if not queue:
                return
            commands = dialogue.receive(queue.pop(0))
            assert held(dialogue) <= MAX_HELD

    return run


def client(make: Callable[..., Any]) -> Callable[[bytes], None]:
    """A dialogue that we hold with a mail server, which may be hostile too."""
    mechanisms = ("PLAIN", "OAUTHBEARER", "XOAUTH2", "LOGIN")

    def run(data: bytes) -> None:
        choice = data[0] if data else 0
        credential = UpstreamCredential(mechanisms[choice & 3], "ann@example.org", SECRET)
        starttls = bool(choice & 4)
        dialogue = make(credential=credential, origin=ORIGIN, starttls=starttls, trusted=bool(choice & 8))
        commands = dialogue.start()
        queue = pieces(data[1:])
        secure = not starttls
        while True:
            for command in commands:
                assert isinstance(command, Send | StartTls | Ready | Failed | Close), command
                if isinstance(command, Failed):
                    assert command.kind in ("refused", "unavailable", "protocol")
                    assert SECRET not in command.text
                    assert not {"\r", "\n"} & set(command.text)
                if isinstance(command, Send):
                    assert secure or SECRET.encode() not in command.data
                if isinstance(command, Ready):
                    assert secure, "signed in without the TLS that was demanded"
            if any(isinstance(c, Ready | Failed | Close) for c in commands):
                return
            if commands and isinstance(commands[-1], StartTls):
                secure = True
                commands = dialogue.tls_started()
                continue
            if not queue:
                return
            commands = dialogue.receive(queue.pop(0))
            assert held(dialogue) <= MAX_HELD

    return run


def relay(data: bytes) -> None:
    """The submission relay between a client and a server, both hostile. A piece that begins with 0xFF comes from the
    server, any other from the client."""
    choice = data[0] if data else 0
    policy = SenderPolicy(frozenset({"ann@example.org"}), ("off", "envelope", "both")[choice % 3])
    extensions = (b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"DSN", b"SIZE 100000") if choice & 8 else ()
    dialogue = SmtpRelay(
        hostname="mail.example.org", server_extensions=extensions, senders=policy, max_message_bytes=50000
    )
    to_server = b""
    for piece in pieces(data[1:]):
        commands = dialogue.from_server(piece[1:]) if piece[:1] == b"\xff" else dialogue.from_client(piece)
        while commands:
            asked = [c for c in commands if isinstance(c, AskQuota)]
            for command in commands:
                assert isinstance(command, ToClient | ToServer | AskQuota | MessageDone | Close), command
                if isinstance(command, ToServer):
                    to_server += command.data
                    stripped = to_server.replace(b"\r\n", b"")
                    assert not {13, 10} & set(stripped.rstrip(b"\r")), "a bare CR or LF went upstream"
                if isinstance(command, Close):
                    return
            if not asked:
                break
            commands = dialogue.quota_granted() if choice & 16 else dialogue.quota_refused("Too many.")


def proxy(data: bytes) -> None:
    """A PROXY header, read octet by octet: need more, a header, or ProxyError."""
    for end in range(min(len(data), MAX_V2 + 64) + 1):
        try:
            header = parse(data[:end])
        except ProxyError:
            return
        if header is not None:
            assert header.length <= end
            return


def policy(data: bytes) -> None:
    """A policy file: a policy, or PolicyError with a place."""
    found: PolicyError | None = None
    try:
        parse_policy(data.decode("utf-8", "replace"), "org")
    except PolicyError as error:
        found = error
    if found is not None:
        assert min(found.line, found.column) >= 1
        assert "\n" not in found.text


TARGETS: dict[str, Callable[[bytes], None]] = {
    "imap-server": server(ImapServer),
    "imap-client": client(ImapClient),
    "pop3-server": server(Pop3Server),
    "pop3-client": client(Pop3Client),
    "sieve-server": server(SieveServer),
    "sieve-client": client(SieveClient),
    "smtp-server": server(SmtpServer),
    "smtp-client": client(SmtpClient),
    "smtp-relay": relay,
    "proxy": proxy,
    "policy": policy,
    **WEB_TARGETS,
    **DNS_TARGETS,
    **LOOK_TARGETS,
    **RECORD_TARGETS,
    **TLS_TARGETS,
}
