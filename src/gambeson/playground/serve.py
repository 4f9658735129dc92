"""Runs the playground's four servers on abstract Unix sockets, in one process."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from gambeson.model.access import MAIL_DOORS, DoorKind
from gambeson.model.server import Endpoint, MailServer, SignIn, UpstreamTls
from gambeson.model.web import Product, Site, WebSignIn

from . import imap, pop3, sieve, smtp
from .access import TokenDoor
from .mailboxes import Mailboxes
from .sample import AUDIENCE, DEVICE_HOSTS, PEOPLE, SERVER_NAME, WEB_HOSTS, letters

Sockets = dict[DoorKind, socket.socket]


def socket_name(instance: str, door: DoorKind) -> str:
    """The abstract socket of one server, in the notation of ``Endpoint.unix`` (``@`` = abstract)."""
    return f"@gambeson-playground-{instance}-{door}"


def mail_server(instance: str) -> MailServer:
    """The playground as a mail server behind the doors. ``instance`` keeps two playgrounds apart."""
    endpoints = tuple(
        Endpoint(door, unix=socket_name(instance, door), tls=UpstreamTls.NONE, trusts_us=False)
        for door in MAIL_DOORS
    )
    return MailServer(SERVER_NAME, endpoints=endpoints, sign_in=SignIn.TOKEN, audience=AUDIENCE)


def web_site(instance: str) -> Site:
    """The Exchange emulator as a site behind the https door."""
    endpoint = Endpoint(
        DoorKind.WEBMAIL, unix=socket_name(instance, DoorKind.WEBMAIL), tls=UpstreamTls.NONE, trusts_us=True
    )
    return Site(
        "emulator",
        Product.EXCHANGE,
        WEB_HOSTS,
        endpoint,
        device_hosts=DEVICE_HOSTS,
        web_sign_in=WebSignIn.BASIC,
        device_sign_in=SignIn.SEALED,
        audience=AUDIENCE,
    )


def open_mailboxes(root: Path, now: datetime) -> Mailboxes:
    """The sample people's mailboxes under ``root``; the sample mail is put into those that are new."""
    boxes = boxes_at(root)
    for person in PEOPLE:
        if not boxes.path(person.address).exists():
            for letter in letters(person, now):
                boxes.deliver(person.address, letter)
    return boxes


def boxes_at(root: Path) -> Mailboxes:
    """The mailboxes of the sample people."""
    return Mailboxes(root, {p.address: p.aliases for p in PEOPLE})


def listening_sockets(instance: str) -> Sockets:
    """Bind the four abstract sockets. Raises OSError when another playground of this name runs."""
    return {door: listening_socket(instance, door) for door in MAIL_DOORS}


def listening_socket(instance: str, door: DoorKind) -> socket.socket:
    """Bind one of them. Raises OSError when another playground of this name runs."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind("\0" + socket_name(instance, door)[1:])
    sock.listen(512)
    return sock


def peer_is(transport: Any, uids: Collection[int]) -> bool:
    """Whether the kernel says that a process of one of these users is at the other end."""
    sock = transport.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid) in uids


class _Turnstile:
    """Lets in connections of listed users only: an abstract socket has no file mode."""

    def __init__(self, uids: Collection[int]) -> None:
        self._uids = frozenset(uids)

    def admits(self, transport: Any) -> bool:
        return peer_is(transport, self._uids)

    def stream(self, inner: Any) -> Any:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.admits(writer):
                await inner(reader, writer)
            else:
                writer.close()

        return connected


async def serve(
    sockets: Sockets, boxes: Mailboxes, public_key: bytes, uids: Collection[int]
) -> list[asyncio.AbstractServer]:
    """Start the servers on bound sockets; connections from users other than ``uids`` are closed."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs every command
    turnstile = _Turnstile(uids)
    door = TokenDoor(public_key, AUDIENCE, boxes.known)
    config = imap.make_config(str(boxes.root))
    login = imap.Login(config, boxes, door)
    streams = {
        DoorKind.IMAP: imap.handler(config, login),
        DoorKind.SIEVE: sieve.handler(config, login),
        DoorKind.POP3: pop3.handler(boxes, door),
    }
    servers: list[asyncio.AbstractServer] = [
        await asyncio.start_unix_server(turnstile.stream(streams[kind]), sock=sockets[kind], limit=1 << 20)
        for kind in streams
    ]
    make_smtp: Callable[[], Any] = smtp.factory(boxes, door)

    class GuardedSmtp(asyncio.Protocol):
        """Asks the turnstile before aiosmtpd sees the connection."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if not turnstile.admits(transport):
                transport.close()
                return
            protocol = make_smtp()
            cast("asyncio.Transport", transport).set_protocol(protocol)  # uvloop's is no subclass
            protocol.connection_made(transport)

    loop = asyncio.get_running_loop()
    servers.append(await loop.create_unix_server(GuardedSmtp, sock=sockets[DoorKind.SUBMISSION]))
    return servers


def preload() -> None:
    """Import what pymap finds by its plug-in names, while the interpreter can still be read."""
    sieve.ScriptSet(Path()).compiler  # noqa: B018 - looking is what imports


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
