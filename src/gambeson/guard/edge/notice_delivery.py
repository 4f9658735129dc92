"""One notice to one recipient, over SMTP (RFC 5321) or LMTP (RFC 2033), with a null sender and without a sign-in.

Without a sign-in it can't go through a submission door of ours: those take mail from nobody who has not signed in.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path

import msgspec

from gambeson.model.server import Endpoint, UpstreamTls

from .tls import client_context

SECONDS = 15.0  # for every step


class NoticePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where notices go. ``ca`` is the path of a PEM file, empty for the system's, ``authorities`` what it holds, read
    before the drop of rights; ``hostname`` is what we call ourselves; ``sender`` and ``admins`` are addresses,
    ``sender`` empty for postmaster at the recipient's domain; ``portal`` is the portal's origin, empty without one."""

    endpoint: Endpoint
    lmtp: bool = False
    ca: str = ""
    authorities: str = ""
    hostname: str = "localhost"
    sender: str = ""
    admins: tuple[str, ...] = ()
    portal: str = ""


def with_authorities(plan: NoticePlan) -> NoticePlan:
    """With the file of authorities read. Raises OSError."""
    return msgspec.structs.replace(plan, authorities=Path(plan.ca).read_text("ascii")) if plan.ca else plan


class Fate(StrEnum):
    """What became of a notice: taken, to be tried again, or refused for good."""

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``text`` is the server's answer or our trouble, for the record."""

    fate: Fate
    text: str


def deliver(plan: NoticePlan, recipient: str, message: EmailMessage) -> Outcome:
    """Blocks for at most some ``SECONDS`` a step. Never raises for what the server or the network does."""
    options = [] if recipient.isascii() else ["SMTPUTF8", "BODY=8BITMIME"]
    try:
        with _connect(plan) as client:
            client.ehlo_or_helo_if_needed()
            if plan.endpoint.tls is UpstreamTls.STARTTLS:
                client.starttls(context=_trust(plan))
                client.ehlo_or_helo_if_needed()
            client.sendmail("", [recipient], message.as_bytes(), options)  # "": MAIL FROM:<>
    except smtplib.SMTPRecipientsRefused as refused:
        code, text = next(iter(refused.recipients.values()))
        return _answered(code, text)
    except smtplib.SMTPResponseException as answer:
        return _answered(answer.smtp_code, answer.smtp_error)
    except smtplib.SMTPNotSupportedError as error:
        return Outcome(Fate.REFUSED if options else Fate.LATER, str(error)[:300])
    except (OSError, smtplib.SMTPException) as error:
        return Outcome(Fate.LATER, f"{type(error).__name__}: {error}"[:300])
    return Outcome(Fate.SENT, "taken")


def _answered(code: int, text: bytes | str) -> Outcome:
    """RFC 5321 section 4.2.1: 5yz is for good, everything else may pass."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    fate = Fate.REFUSED if 500 <= code <= 599 else Fate.LATER
    return Outcome(fate, f"{code} {' '.join(shown.split())}"[:300])


def _trust(plan: NoticePlan) -> ssl.SSLContext:
    return client_context(authorities=plan.authorities)


def _connect(plan: NoticePlan) -> smtplib.SMTP:
    endpoint = plan.endpoint
    if endpoint.unix:
        return _over_unix(plan)
    at = (endpoint.host, endpoint.port, plan.hostname)
    if endpoint.tls is UpstreamTls.IMPLICIT:
        return smtplib.SMTP_SSL(*at, timeout=SECONDS, context=_trust(plan))
    if plan.lmtp:
        return smtplib.LMTP(*at, timeout=SECONDS)
    return smtplib.SMTP(*at, timeout=SECONDS)


def _over_unix(plan: NoticePlan) -> smtplib.SMTP:
    """By hand: smtplib knows Unix sockets for LMTP only, and no abstract ones (``@name``)."""
    name = plan.endpoint.unix
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(SECONDS)
        sock.connect("\0" + name[1:] if name.startswith("@") else name)
        make = smtplib.LMTP if plan.lmtp else smtplib.SMTP
        client: smtplib.SMTP = make("", 0, plan.hostname, timeout=SECONDS)
        client.sock = sock
        code, text = client.getreply()
    except BaseException:
        sock.close()
        raise
    if code != 220:
        client.close()
        raise smtplib.SMTPConnectError(code, text)
    return client
