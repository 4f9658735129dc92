"""Which dialogue speaks at which door, towards either side."""

from __future__ import annotations

from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.wire.dialogue import ClientDialogue, Origin, ServerDialogue, UpstreamCredential
from gambeson.wire.imap_client import ImapClient
from gambeson.wire.imap_server import ImapServer
from gambeson.wire.pop3_client import Pop3Client
from gambeson.wire.pop3_server import Pop3Server
from gambeson.wire.sieve_client import SieveClient
from gambeson.wire.sieve_server import SieveServer
from gambeson.wire.smtp_client import SmtpClient
from gambeson.wire.smtp_extensions import KEPT
from gambeson.wire.smtp_server import SmtpServer

from .door_settings import DoorSettings


def server_dialogue(
    kind: Listener,
    settings: DoorSettings,
    *,
    tls: bool,
    external: bool,
    extensions: tuple[str, ...] = KEPT,
) -> ServerDialogue:
    """The dialogue to hold with a client that came in at ``kind``. STARTTLS is offered where TLS is not there
    yet and there is a certificate to offer it with. ``extensions`` are submission's."""
    starttls = not tls and settings.tls is not None
    hostname = settings.hostname
    match kind.door:
        case DoorKind.IMAP:
            return ImapServer(hostname=hostname, tls=tls, starttls=starttls, external=external)
        case DoorKind.POP3:
            return Pop3Server(hostname=hostname, tls=tls, starttls=starttls, external=external)
        case DoorKind.SIEVE:
            return SieveServer(hostname=hostname, tls=tls, starttls=starttls, external=external)
        case DoorKind.SUBMISSION:
            return SmtpServer(
                hostname=hostname,
                tls=tls,
                starttls=starttls,
                external=external,
                extensions=extensions,
                max_message_bytes=settings.limits.message,
            )
        case _:
            raise ValueError(f"{kind} is no mail door")


def client_dialogue(
    door: DoorKind,
    endpoint: Endpoint,
    credential: UpstreamCredential,
    origin: Origin,
    settings: DoorSettings,
    client_id: tuple[tuple[str, str], ...] = (),
) -> ClientDialogue:
    """The dialogue to hold with a mail server. ``client_id`` is what an IMAP client told of itself."""
    starttls = endpoint.tls is UpstreamTls.STARTTLS
    trusted = endpoint.trusts_us
    match door:
        case DoorKind.IMAP:
            return ImapClient(
                credential=credential,
                origin=origin,
                starttls=starttls,
                trusted=trusted,
                client_id=client_id,
            )
        case DoorKind.POP3:
            return Pop3Client(credential=credential, origin=origin, starttls=starttls, trusted=trusted)
        case DoorKind.SIEVE:
            return SieveClient(credential=credential, origin=origin, starttls=starttls, trusted=trusted)
        case DoorKind.SUBMISSION:
            return SmtpClient(
                credential=credential,
                origin=origin,
                starttls=starttls,
                trusted=trusted,
                hostname=settings.hostname,
            )
        case _:
            raise ValueError(f"{door} is no mail door")


def set_external(dialogue: ServerDialogue, external: bool) -> None:
    """Tell a dialogue, before ``tls_started``, whether the handshake has shown a client certificate."""
    if isinstance(dialogue, ImapServer | Pop3Server | SieveServer | SmtpServer):
        dialogue.external = external


def client_id(dialogue: ServerDialogue | None) -> tuple[tuple[str, str], ...]:
    """What an IMAP client told of itself (RFC 2971); it proves nothing."""
    return dialogue.client_id if isinstance(dialogue, ImapServer) else ()


def program(dialogue: ServerDialogue | None) -> str:
    """The same, or EHLO's name, in one short text for the record."""
    said = dict(client_id(dialogue))
    return " ".join(said[k][:60] for k in ("name", "version") if said.get(k)) or helo(dialogue)[:60]


def helo(dialogue: ServerDialogue | None) -> str:
    """The name a submission client gave in EHLO."""
    return dialogue.helo[:255] if isinstance(dialogue, SmtpServer) else ""
