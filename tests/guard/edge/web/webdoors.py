"""What the tests of the HTTPS door share: a gate that says what a test wants, a mail server of a few lines, a client
that sends exactly what it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from gambeson.guard.core.web.verdict import Answer, Forward, Verdict, WebClient
from gambeson.guard.edge.door_settings import DoorTimeouts, ListenerSettings
from gambeson.guard.edge.web.connection import WebConnection
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.model.access import AccessRequest, DoorKind, Identity, Listener, Rung
from gambeson.model.decision import Opinion
from gambeson.model.rule import PolicyRule
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.model.snapshot import Snapshot
from gambeson.model.web import Product, Site, WebRequest
from guard.edge.doors import FAST, Doors, doors, organisation, pki

HOST = "mail.example.org"
OTHER_HOST = "mail.example.net"
HTTPS = (ListenerSettings("https", Listener.HTTPS),)
WEB = WebLimits(head=2.0, keep_alive=30.0, keep_alive_unknown=30.0, body=30.0, linger=0.5)


def site(
    port: int, *, name: str = "mailbox", hosts: tuple[str, ...] = (HOST,), tls: bool = False, **more: object
) -> Site:
    options: dict[str, object] = {"ca": str(pki().ca_path), "server_name": "upstream.test"} if tls else {}
    options.update(more)
    endpoint = Endpoint(
        DoorKind.OWA,
        host="127.0.0.1",
        port=port,
        tls=UpstreamTls.IMPLICIT if tls else UpstreamTls.NONE,
        **options,  # type: ignore[arg-type]
    )
    return Site(name, Product.EXCHANGE, hosts, endpoint)


def web_organisation(*sites: Site) -> Snapshot:
    """Alice and Bob may come in by a session of the portal."""
    snapshot = organisation()
    rule = PolicyRule("people", Opinion.ALLOW, rung_at_least=Rung.KNOWLEDGE_AND_CODE)
    policy = replace(snapshot.policies[0], rules=(*snapshot.policies[0].rules, rule))
    return replace(snapshot, sites=sites, policies=(policy,))


def access(
    address: str = "alice@example.org", session: str = "", door: DoorKind = DoorKind.OWA
) -> AccessRequest:
    account = {"alice@example.org": "a1", "bob@example.org": "a2"}[address]
    identity = Identity(
        address, "o1", account, rung=Rung.KNOWLEDGE_AND_CODE, session=session or f"session-of-{account}"
    )
    return AccessRequest(door, identity, "127.0.0.1", sni=HOST)


@dataclass
class ToldGate:
    """Asks ``say``; remembers what it saw. Without ``say`` everything goes on as ``access``."""

    site: Site
    say: Callable[[WebRequest, WebClient], Verdict | Awaitable[Verdict] | None] = lambda request, client: None
    access: AccessRequest | None = None
    seen: list[WebRequest] = field(default_factory=list)
    clients: list[WebClient] = field(default_factory=list)
    idle: float = 30.0

    def judge(self, request: WebRequest, client: WebClient) -> Verdict | Awaitable[Verdict]:
        self.seen.append(request)
        self.clients.append(client)
        said = self.say(request, client)
        return Forward(self.site, self.access, authorization=True, idle=self.idle) if said is None else said


def deny(request: WebRequest, client: WebClient) -> Verdict | None:
    """Refuses paths under /no."""
    return Answer(403, body=b"no\n", reason="test") if request.canonical.startswith("/no") else None


@dataclass
class Seen:
    """One request as the mail server read it."""

    line: str
    headers: list[tuple[str, str]]
    length: int
    digest: str
    connection: int

    def header(self, name: str) -> str:
        return ", ".join(v for n, v in self.headers if n == name)


class WebPeer:
    """A mail server: answers by path, and remembers every request of every connection."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.idents: dict[int, str] = {}
        self.polls: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.body_started = asyncio.Event()
        self.slow = asyncio.Event()  # /slow: the body is read after this
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, *, tls: bool = False, certificate: tuple[str, str, bytes] | None = None) -> int:
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*(certificate or pki().upstream)[:2])
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=1 << 17)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.kick()

    def kick(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while await self._one(number, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _one(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")[:-2]
        headers = [(n.lower(), v.strip()) for n, _, v in (h.partition(":") for h in rest)]
        by_name = dict(headers)
        path = line.split(" ")[1]
        if path.startswith("/early"):
            writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig\n")
            await writer.drain()
            return False
        if path.startswith("/slow"):
            await self.slow.wait()
        digest, length = hashlib.sha256(), 0
        if by_name.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                piece = await reader.readexactly(size + 2)
                self.body_started.set()
                digest.update(piece[:-2])
                length += size
            await reader.readuntil(b"\r\n")
        else:
            left = int(by_name.get("content-length", "0"))
            while left:
                piece = await reader.read(min(left, 65536))
                if not piece:
                    return False
                self.body_started.set()
                digest.update(piece)
                length += len(piece)
                left -= len(piece)
        seen = Seen(line, headers, length, digest.hexdigest(), number)
        self.seen.append(seen)
        return await self._answer(number, path, seen, reader, writer)

    async def _answer(
        self, number: int, path: str, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        def say(status: str, body: bytes = b"", *headers: str) -> None:
            lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
            writer.write(
                "\r\n".join(lines).encode("latin-1") + (b"" if seen.line.startswith("HEAD") else body)
            )

        verb, _, rest = path[1:].partition("/")
        match verb:
            case "big":  # /big/octets
                size = int(rest)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                await _pour(writer, size)
            case "chunks":  # /chunks/count
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for n in range(int(rest)):
                    piece = b"chunk %d\n" % n
                    writer.write(b"%x;e=1\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\nX-Trailer: t\r\n\r\n")
            case "until-close":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
                await writer.drain()
                return False
            case "half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                await writer.drain()
                writer.transport.abort()
                return False
            case "poll":
                await self.polls.put(writer)
                await reader.read(1)
                return False
            case "interim":
                writer.write(
                    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                )
                say("200 OK", b"done")
            case "nothing":
                writer.write(b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
            case "unmodified":
                writer.write(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 77\r\n\r\n")
            case "cookies":
                say(
                    "200 OK",
                    b"ok",
                    "Set-Cookie: a=b; Domain=example.org; Path=/",
                    "Set-Cookie: __Host-gambeson-session=forged; Secure; Path=/",
                    "Service-Worker-Allowed: /",
                    "X-Frame-Options: ALLOWALL",
                )
            case "unasked":
                say("200 OK", b"ok")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            case "split":
                writer.write(b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n")
            case "close":
                say("200 OK", b"bye", "Connection: close")
                await writer.drain()
                return False
            case "ws":
                await self._websocket(seen, reader, writer)
                return False
            case "ntlm":  # signs in the connection, as NTLM does
                proof = seen.header("authorization")
                if proof.startswith("NTLM "):
                    self.idents[number] = base64.b64decode(proof[5:]).decode()
                if number in self.idents:
                    say("200 OK", f"as {self.idents[number]}".encode())
                else:
                    say("401 Unauthorized", b"who?", "WWW-Authenticate: NTLM", "WWW-Authenticate: Negotiate")
            case _:
                say("200 OK", f"{seen.line}|{seen.length}|{number}".encode(), "Content-Type: text/plain")
        await writer.drain()
        return True

    async def _websocket(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        key = seen.header("sec-websocket-key")
        accept = base64.b64encode(
            hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        ).decode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\nfirst"
        )
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _pour(writer: asyncio.StreamWriter, size: int) -> None:
    block = bytes(range(256)) * 256
    for at in range(0, size, len(block)):
        writer.write(block[: size - at])
        await writer.drain()


@dataclass
class Reply:
    """An answer as a client read it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return ", ".join(v for n, v in self.headers if n == name)

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """A client on one TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @staticmethod
    async def connect(
        port: int, name: str = HOST, certificate: tuple[str, str, bytes] | None = None, sni: bool = True
    ) -> Browser:
        context = pki().client(certificate)
        context.check_hostname = sni
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name if sni else "", limit=1 << 20
        )
        return Browser(reader, writer)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def get(
        self, path: str, *headers: str, method: str = "GET", host: str = HOST, body: bytes = b""
    ) -> Reply:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return await self.reply(method == "HEAD")

    async def head(self) -> Reply:
        """The head of an answer."""
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(n.lower(), v.strip()) for n, _, v in (h.partition(":") for h in raw[1:-2])]
        return Reply(int(raw[0].split(" ")[1]), headers, b"")

    async def reply(self, head_only: bool = False) -> Reply:
        reply = await self.head()
        if head_only or reply.status < 200 or reply.status in (204, 304):
            return reply
        if reply.header("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                reply.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        elif reply.header("content-length"):
            reply.body = await self.reader.readexactly(int(reply.header("content-length")))
        else:
            reply.body = await self.reader.read(-1)
        return reply

    async def ended(self) -> bytes:
        """Everything until the connection ends."""
        try:
            return await self.reader.read(-1)
        except (ConnectionError, ssl.SSLError):
            return b"<reset>"

    def close(self) -> None:
        self.writer.close()


@dataclass
class Stage:
    """A door, its gate, and the mail server behind."""

    at: Doors
    gate: ToldGate
    peer: WebPeer

    @property
    def port(self) -> int:
        return self.at.ports["https"]

    async def browser(self, name: str = HOST, **options: object) -> Browser:
        return await Browser.connect(self.port, name, **options)  # type: ignore[arg-type]

    async def connection(self) -> WebConnection:
        """The door's side of the only connection."""
        await until(lambda: bool(self.at.server.door.web))
        (one,) = self.at.server.door.web
        return one

    async def stop(self) -> None:
        self.peer.stop()
        await self.at.server.stop()


async def stage(
    say: Callable[[WebRequest, WebClient], Verdict | Awaitable[Verdict] | None] = lambda request, client: (
        None
    ),
    *,
    who: AccessRequest | None = None,
    tls: bool = False,
    web: WebLimits = WEB,
    timeouts: DoorTimeouts = FAST,
    idle: float = 30.0,
    **settings: object,
) -> Stage:
    peer = WebPeer()
    here = site(await peer.start(tls=tls), tls=tls)
    settings.setdefault("listeners", HTTPS)
    at = await doors(web_organisation(here), web=web, timeouts=timeouts, **settings)  # type: ignore[arg-type]
    gate = ToldGate(here, say, who, idle=idle)
    at.server.door.gate = gate
    return Stage(at, gate, peer)


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        await asyncio.sleep(0.02)
