"""The playground's way in for notices: LMTP (RFC 2033) on an abstract Unix socket that takes the worker alone.

It is no way round the doors: it asks the kernel who connects and admits the worker's user, takes mail with a null
sender only, for the sample people only, and lets nobody read anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from typing import Any, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from .mailboxes import Mailboxes
from .sample import DOMAIN

MAX_NOTICE = 64 * 1024


def socket_name(instance: str) -> str:
    """The abstract socket, in the notation of ``Endpoint.unix`` (``@`` = abstract)."""
    return f"@gambeson-playground-{instance}-notices"


def listening_socket(instance: str) -> socket.socket:
    """Bound and listening. Raises OSError when another playground of this name runs."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind("\0" + socket_name(instance)[1:])
    sock.listen(16)
    return sock


class Letterbox:
    """aiosmtpd's handler: null sender, one sample person, into the Maildir."""

    def __init__(self, boxes: Mailboxes) -> None:
        self._boxes = boxes

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's hook
        self, server: SMTP, session: Session, envelope: Envelope, address: str | None, options: list[str]
    ) -> str:
        """Notices have a null sender; whatever has another is none."""
        if address != "<>":  # how aiosmtpd writes the null sender
            return "550 5.7.1 only notices come in here, and they have no sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's hook
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """One person of the sample."""
        if self._boxes.owner(address) is None:
            return f"550 5.1.1 the playground delivers to the people of {DOMAIN} only; nothing leaves it"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - hook
        """Delivered, or to be tried again."""
        owner = self._boxes.owner(envelope.rcpt_tos[0])
        assert owner is not None
        try:
            self._boxes.deliver(owner, b"Return-Path: <>\r\n" + (envelope.original_content or b""))
        except OSError as error:
            return f"451 4.3.0 not delivered: {error.strerror}"
        return "250 2.0.0 delivered"


async def serve(
    sock: socket.socket, boxes: Mailboxes, admits: Any, uids: Collection[int]
) -> asyncio.AbstractServer:
    """Take notices on a bound socket. ``admits(transport, uids)`` says whether the kernel names one of these users."""
    letterbox = Letterbox(boxes)

    class Guarded(asyncio.Protocol):
        """Looks at who connects before aiosmtpd sees anything."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if not admits(transport, uids):
                transport.close()
                return
            protocol = LMTP(
                letterbox, data_size_limit=MAX_NOTICE, enable_SMTPUTF8=True, hostname=DOMAIN, timeout=60
            )
            cast("asyncio.Transport", transport).set_protocol(protocol)
            protocol.connection_made(transport)

    return await asyncio.get_running_loop().create_unix_server(Guarded, sock=sock)
