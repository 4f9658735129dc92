"""Taking connections in: counting, back-pressure, the PROXY header, TLS.

We accept ourselves instead of letting the loop do it, so that a connection over a limit costs neither
a TLS handshake nor an object, a PROXY header is read to its last octet and not one further, and running
out of file descriptors pauses the listener instead of spinning it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from gambeson.model.access import Listener
from gambeson.wire.proxyproto import (
    MAX_V1,
    MAX_V2,
    SIGNATURE,
    TLV_SNI,
    TLV_TLS_VERSION,
    Header,
    ProxyError,
    parse,
)

from .door_settings import ListenerSettings
from .networks import Networks, canonical, prefix
from .session import ClientSession
from .web.connection import WebConnection
from .web.hello import asked_name
from .wheel import Timed

if TYPE_CHECKING:
    from .door import Door

_TRANSIENT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_V1_SHORTEST = 15  # "PROXY UNKNOWN" and CRLF
_V2_FIXED = 16
_YOUNG = 3.0  # seconds in which an unauthenticated connection is not dropped for another


_WEB_SHUTDOWN = 30.0  # the end of TLS waits until a slow reader has the whole answer


class Entrant(Timed, Protocol):
    """A connection that has not signed in."""

    @property
    def source_prefix(self) -> str:
        """Where it is counted."""

    @property
    def disposable(self) -> bool:
        """Whether it may be dropped to make room for others."""

    def drop(self, reason: str) -> None:
        """Close at once, without a word."""

    def shut_down(self, sentence: str) -> None:
        """Say goodbye, as far as the protocol can here, and close."""


class Admission:
    """Who is connected and not signed in, and how many there are of everything."""

    __slots__ = (
        "_door",
        "_exempt",
        "_per_source",
        "_since",
        "_unauthenticated",
        "_waiting_per_source",
        "empty",
        "open",
    )

    def __init__(self, door: Door) -> None:
        self._door = door
        self._exempt = Networks(door.settings.exempt)
        self._unauthenticated: dict[Entrant, float] = {}  # oldest first
        self._waiting_per_source: Counter[str] = Counter()
        self._per_source: Counter[str] = Counter()
        self.open = 0  # all connections, signed in or not
        self.empty = asyncio.Event()  # set while there are none
        self.empty.set()

    @property
    def unauthenticated(self) -> int:
        """Connections that have not signed in."""
        return len(self._unauthenticated)

    def may_enter(self, source: str) -> str:
        """Empty when another connection from ``source`` may come in, else why not."""
        limits = self._door.settings.limits
        if self.open >= limits.sessions:
            return "too many sessions"
        if source not in self._exempt:
            key = prefix(source)
            if self._per_source[key] >= limits.sessions_per_source:
                return "too many sessions from this source"
            if self._waiting_per_source[key] >= limits.unauthenticated_per_source:
                return "too many unauthenticated connections from this source"
        if len(self._unauthenticated) >= limits.unauthenticated and not self._make_room():
            return "too many unauthenticated connections"
        return ""

    def entered(self, session: Entrant) -> None:
        """A connection is there."""
        self.open += 1
        self.empty.clear()
        self._per_source[session.source_prefix] += 1
        self._waiting_per_source[session.source_prefix] += 1
        self._unauthenticated[session] = self._door.wheel.now

    def signed_in(self, session: Entrant) -> None:
        """It has signed in: from now on a session counts until :meth:`session_ended`."""
        self._stop_waiting(session)

    def left(self, session: Entrant) -> None:
        """It is gone without having signed in."""
        self._stop_waiting(session)
        self.session_ended(session.source_prefix)

    def session_ended(self, source_prefix: str) -> None:
        """One connection fewer."""
        self.open -= 1
        if not self.open:
            self.empty.set()
        _less(self._per_source, source_prefix)

    def all(self) -> list[Entrant]:
        """Everybody who has not signed in."""
        return list(self._unauthenticated)

    def _stop_waiting(self, session: Entrant) -> None:
        self._door.wheel.remove(session)
        if self._unauthenticated.pop(session, None) is not None:
            _less(self._waiting_per_source, session.source_prefix)

    def _make_room(self) -> bool:
        """Drop the oldest connection that is not signing in. People sign in within a second or two; who holds
        connections open for nothing loses them first."""
        now = self._door.wheel.now
        for session, since in self._unauthenticated.items():
            if now - since < _YOUNG:
                return False  # all others are younger still
            if session.disposable:
                session.drop("room for others")
                return True
        return False


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


class DoorListener:
    """One listening socket. The socket is ours from here on; ``stop`` closes it."""

    __slots__ = ("_door", "_opening", "_paused", "_proxies", "_settings", "_sock", "turned_away")

    def __init__(self, door: Door, settings: ListenerSettings, sock: socket.socket) -> None:
        self._door = door
        self._settings = settings
        self._sock = sock
        self._proxies = Networks(settings.proxy_from)
        self._opening: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self.turned_away: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """The listener's name in the settings."""
        return self._settings.name

    def start(self) -> None:
        """Begin to accept."""
        self._sock.setblocking(False)
        self._sock.listen(self._door.settings.limits.backlog)
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def stop(self) -> None:
        """Accept nobody any more. Connections that are there stay."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(self._door.settings.limits.accept_burst):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _TRANSIENT:
                    self._pause(0.5)
                return
            sock.setblocking(False)
            self._take(sock, address)

    def _pause(self, delay: float) -> None:
        """Out of descriptors or memory: leave the others waiting in the kernel for a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock.fileno())
        self.turned_away["paused"] += 1
        self._paused = loop.call_later(delay, self._again)

    def _again(self) -> None:
        self._paused = None
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def _take(self, sock: socket.socket, address: object) -> None:
        if self._settings.edge:
            source, port, why = "", 0, _edge_peer(sock, self._settings.edge_uid)
        else:
            assert isinstance(address, tuple)
            source, port = canonical(address[0]), address[1]
            why = "not a listed proxy" if self._proxies and source not in self._proxies else ""
        proxied = self._settings.edge or bool(self._proxies)
        # Behind a proxy the client's address comes with the header: it is counted then.
        why = why or self._door.admission.may_enter("" if proxied else source)
        if why:
            self._turn_away(sock, why)
            return
        if isinstance(address, tuple):  # not of a Unix socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        task = self._door.loop.create_task(self._open(sock, source, port, proxied))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _turn_away(self, sock: socket.socket, why: str) -> None:
        self.turned_away[why] += 1
        sock.close()

    async def _open(self, sock: socket.socket, source: str, port: int, proxied: bool) -> None:
        """From accept to a session that talks: PROXY header, then TLS where it is implicit."""
        door, loop = self._door, self._door.loop
        timeouts = door.settings.timeouts
        header: Header | None = None
        if proxied:
            try:
                async with asyncio.timeout(timeouts.handshake):
                    header = await read_header(sock)
                if not header.local:
                    source, port = header.source, header.source_port
                certificate = header.certificate if self._settings.edge else ""
            except (ProxyError, OSError, TimeoutError):
                self._turn_away(sock, "no good PROXY header")
                return
            why = door.admission.may_enter(source)
            if why or door.stopping:
                self._turn_away(sock, why or "stopping")
                return
        else:
            certificate = ""
        web = self._settings.kind is Listener.HTTPS
        session: ClientSession | WebConnection
        if web:
            session = WebConnection(door, self._settings, source, port)
        else:
            session = ClientSession(door, self._settings, source, port)
        if self._settings.edge and header is not None:
            session.tls = not header.local and _tls_ended(header)
            session.fingerprint = certificate
            session.sni = (header.tlv(TLV_SNI) or b"").decode("ascii", "replace").lower()[:255]
        door.admission.entered(session)
        door.wheel.put(session, session.deadline)
        own = door.settings.web_tls if web else None
        contexts = (own or door.settings.tls) if self._implicit else None
        tls = contexts.default if contexts is not None else None
        if contexts is not None and contexts.mixed:
            try:
                tls = contexts.context(await asked_name(sock, timeouts.handshake))
            except OSError:
                sock.close()
                session.drop("opening failed")
                return
        try:
            if tls is not None:
                await loop.connect_accepted_socket(
                    lambda: session,
                    sock,
                    ssl=tls,
                    ssl_handshake_timeout=timeouts.handshake,
                    ssl_shutdown_timeout=_WEB_SHUTDOWN if web else timeouts.shutdown,
                )
            else:
                await loop.connect_accepted_socket(lambda: session, sock)
        except OSError:
            self.turned_away["TLS handshake failed" if tls else "lost"] += 1
            session.drop("opening failed")

    @property
    def _implicit(self) -> bool:
        return self._settings.kind.implicit_tls and not self._settings.edge


def _edge_peer(sock: socket.socket, uid: int) -> str:
    """Whether the other end of a Unix socket is a process of the edge's user."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return "" if struct.unpack("3i", credentials)[1] == uid else "not the edge's user"


def _tls_ended(header: Header) -> bool:
    """Whether the edge says that the client's side is under TLS."""
    ssl = header.ssl
    return ssl.tls if ssl is not None else (header.tlv(TLV_TLS_VERSION) or b"").startswith(b"TLSv1.")


async def read_header(sock: socket.socket) -> Header:
    """Read one PROXY header and not one octet more. Raises ProxyError or OSError."""
    loop = asyncio.get_running_loop()
    buffer = bytearray()
    while True:
        header = parse(bytes(buffer)) if buffer else None
        if header is not None:
            return header
        data = await loop.sock_recv(sock, _wanted(buffer))
        if not data:
            raise ProxyError("the connection closed within the PROXY header")
        buffer += data


def _wanted(buffer: bytearray) -> int:
    """How many octets surely still belong to the header."""
    if len(buffer) < _V1_SHORTEST:
        return _V1_SHORTEST - len(buffer)
    if not buffer.startswith(SIGNATURE):
        if len(buffer) >= MAX_V1:
            raise ProxyError("the version 1 header is too long")
        return 1
    if len(buffer) < _V2_FIXED:
        return _V2_FIXED - len(buffer)
    length = int.from_bytes(buffer[14:16], "big")
    if length > MAX_V2:
        raise ProxyError("the version 2 header is too long")
    return max(1, _V2_FIXED + length - len(buffer))
