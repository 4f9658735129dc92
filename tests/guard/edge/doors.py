"""What the tests of the edge share: certificates, a small organisation, a keeper, a mail server, a client.

The mail server is a few lines of IMAP that remember what they were told; real ones are in tests/interop.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gambeson.guard.edge.door_server import DoorServer
from gambeson.guard.edge.door_settings import DoorLimits, DoorSettings, DoorTimeouts, ListenerSettings
from gambeson.guard.edge.tls import DoorTls, fingerprint, server_context
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Listener, Mode, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.decision import Opinion
from gambeson.model.event import Event
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry, Policy, PolicyRule
from gambeson.model.server import Endpoint, MailServer, SignIn, UpstreamTls
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.process.keeper_client import KeeperRefused
from gambeson.process.keeper_messages import CredentialAsk, PasswordAsk
from gambeson.process.spool import SpoolReader, SpoolWriter
from gambeson.wire.dialogue import UpstreamCredential

KEY = bytes(range(32))
SECRET = device_secret.make(bytes(range(device_secret.ENTROPY_BYTES)))
OTHER_SECRET = device_secret.make(bytes(range(1, device_secret.ENTROPY_BYTES + 1)))
ALL_DOORS = (DoorKind.IMAP, DoorKind.POP3, DoorKind.SUBMISSION, DoorKind.SIEVE)
UPSTREAM_PASSWORD = "what the keeper knows"
_AT_UPSTREAM = {"a1": "alice@example.org", "a9": "carol@example.net"}
FAST = DoorTimeouts(
    handshake=2.0, login=20.0, connect=1.0, sign_in=3.0, keeper=1.0, refusal=0.15, farewell=0.3
)


def run(main: Callable[[], Awaitable[None]], seconds: float = 30.0) -> None:
    """One test's conversation, on the loop that the doors use."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


# -- certificates


@dataclass
class Authority:
    """A certificate authority of the tests."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @staticmethod
    def make(name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return Authority(key, _certificate(name, key, None, None, ca=True))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, folder: Path, name: str) -> tuple[str, str, bytes]:
        """Paths of certificate and key, and the certificate's DER."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self.key, self.certificate)
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(paths[0]), str(paths[1]), certificate.public_bytes(serialization.Encoding.DER)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
    ca: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        # Python 3.13's clients want what RFC 5280 section 4.2.1 asks of authorities
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((signer or key).public_key()), critical=False
        )
    )
    if ca:
        signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(signs, critical=True)
    return builder.sign(signer or key, hashes.SHA256())


@dataclass
class Pki:
    """Everything that needs a certificate."""

    folder: Path
    server_ca: Authority = field(default_factory=lambda: Authority.make("server ca"))
    device_ca: Authority = field(default_factory=lambda: Authority.make("device ca"))

    def __post_init__(self) -> None:
        self.door = self.server_ca.issue(self.folder, "mail.example.org")
        self.second = self.server_ca.issue(self.folder, "mail.example.net")
        self.upstream = self.server_ca.issue(self.folder, "upstream.test")
        self.phone = self.device_ca.issue(self.folder, "phone")
        self.ca_path = self.folder / "ca.pem"
        self.ca_path.write_text(self.server_ca.pem)

    def door_tls(self) -> DoorTls:
        second = server_context(*self.second[:2], self.device_ca.pem)
        return DoorTls(server_context(*self.door[:2], self.device_ca.pem), {"mail.example.net": second})

    def client(self, certificate: tuple[str, str, bytes] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.server_ca.pem)
        if certificate:
            context.load_cert_chain(*certificate[:2])
        return context


_PKI: list[Pki] = []


def pki() -> Pki:
    if not _PKI:
        _PKI.append(Pki(Path(tempfile.mkdtemp(prefix="gambeson-edge-"))))
    return _PKI[0]


# -- the organisation


def organisation(
    *servers: MailServer, mode: Mode = Mode.ENFORCE, number: int = 1, made_at: float | None = None
) -> Snapshot:
    """One organisation, Alice with a phone (secret and certificate), Bob with nothing."""
    rule = PolicyRule("registered devices", Opinion.ALLOW, rung_at_least=Rung.DEVICE_SECRET)
    until = time.time() + 3600
    modes = tuple(ModeEntry(d, mode, until) for d in ALL_DOORS) if mode is not Mode.ENFORCE else ()
    return Snapshot(
        number=number,
        made_at=time.time() if made_at is None else made_at,
        organisations=(Organisation("o1", "example", ("example.org",), "https://login.example.org"),),
        accounts=(
            Account("a1", "o1", "alice@example.org", ("al@example.org",)),
            Account("a2", "o1", "bob@example.org"),
        ),
        devices=(Device("d1", "o1", "a1", "phone", doors=ALL_DOORS),),
        credentials=(
            Credential(
                "c1",
                "o1",
                "d1",
                CredentialKind.DEVICE_SECRET,
                SECRET.public_id,
                device_secret.verifier(SECRET, KEY),
            ),
            Credential("c2", "o1", "d1", CredentialKind.CERTIFICATE, fingerprint(pki().phone[2])),
        ),
        servers=servers,
        policies=(Policy("o1", 1, (rule,), modes=modes),),
    )


def revoked(snapshot: Snapshot, credential: str = "c1") -> Snapshot:
    """The same with one credential revoked."""
    credentials = tuple(
        replace(c, revoked_at=time.time()) if c.id == credential else c for c in snapshot.credentials
    )
    return replace(snapshot, number=snapshot.number + 1, credentials=credentials)


class KeeperInProcess:
    """A keeper that gives everybody the same upstream password, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[CredentialAsk] = []
        self.trouble: Exception | None = None
        self.hang = False
        self.upstream_password = UPSTREAM_PASSWORD
        self.passwords_asked: list[PasswordAsk] = []
        self.own_password = "her own password"

    async def credential(self, ask: CredentialAsk) -> UpstreamCredential:
        self.asked.append(ask)
        if self.hang:
            await asyncio.sleep(3600)
        if self.trouble is not None:
            raise self.trouble
        return UpstreamCredential("PLAIN", _AT_UPSTREAM[ask.account], self.upstream_password)

    async def password(self, ask: PasswordAsk) -> None:
        self.passwords_asked.append(ask)
        if self.hang:
            await asyncio.sleep(3600)
        if self.trouble is not None:
            raise self.trouble
        if ask.password != self.own_password:
            raise KeeperRefused("wrong")


# -- the mail server


class ImapPeer:
    """A mail server that knows one password, FETCH n (n octets of literal), ECHO and IDLE."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.logins: list[tuple[str, str]] = []
        self.octets = b""
        self.connections = 0
        self.open = 0
        self.answer_login: str = "OK"  # OK, NO, LATER, DIE, HANG
        self.behind_login = b""
        self.passwords = {UPSTREAM_PASSWORD}
        self.proxy_header = b""
        self.expect_proxy = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, tls: bool = False, sock: socket.socket | None = None) -> int:
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pki().upstream[:2])
        if sock is None:
            sock = socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._serve, sock=sock, ssl=context, limit=1 << 20)
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.kick()

    def kick(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            if self.expect_proxy:
                self.proxy_header = await reader.readexactly(self.expect_proxy)
            writer.write(b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN] peer ready\r\n")
            while line := await reader.readline():
                self.lines.append(line)
                if not await self._command(line.strip(), reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _command(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        tag, _, rest = line.partition(b" ")
        verb, _, argument = rest.partition(b" ")
        match verb.upper():
            case b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN\r\n" + tag + b" OK\r\n")
            case b"ID":
                writer.write(b"* ID NIL\r\n" + tag + b" OK\r\n")
            case b"AUTHENTICATE":
                return self._login(tag, argument, writer)
            case b"LOGOUT":
                writer.write(b"* BYE\r\n" + tag + b" OK\r\n")
                return False
            case b"FETCH":
                size = int(argument)
                writer.write(b"* 1 FETCH (BODY[] {%d}\r\n" % size)
                block = bytes(range(256)) * 256
                for at in range(0, size, len(block)):
                    writer.write(block[: size - at])
                    await writer.drain()
                writer.write(b")\r\n" + tag + b" OK fetched\r\n")
            case b"APPEND":
                self.octets = await reader.readexactly(int(argument))
                writer.write(tag + b" OK appended\r\n")
            case b"IDLE":
                writer.write(b"+ idling\r\n")
            case _:
                writer.write(b"* ECHO " + rest + b"\r\n" + tag + b" OK\r\n")
        return True

    def _login(self, tag: bytes, argument: bytes, writer: asyncio.StreamWriter) -> bool:
        _, name, password = base64.b64decode(argument.split()[-1]).decode().split("\0")
        self.logins.append((name, password))
        match self.answer_login:
            case "DIE":
                writer.transport.abort()
                return False
            case "HANG":
                return True
            case "LATER":
                writer.write(tag + b" NO [UNAVAILABLE] come later\r\n")
                return True
        if self.answer_login == "NO" or password not in self.passwords:
            writer.write(tag + b" NO [AUTHENTICATIONFAILED] wrong\r\n")
        else:
            answer = tag + b" OK [CAPABILITY IMAP4rev1 IDLE MOVE] welcome\r\n"
            writer.write(answer + self.behind_login)
        return True


# -- the doors


class Doors:
    """A door server on loopback before one mail server."""

    def __init__(
        self, server: DoorServer, keeper: KeeperInProcess, record: Path, ports: dict[str, int]
    ) -> None:
        self.server = server
        self.keeper = keeper
        self.ports = ports
        self._record = record

    def events(self, kind: str = "") -> list[Event]:
        with open(self._record, "rb") as file:
            return [e for e in SpoolReader(file.fileno()).read().events if kind in ("", e.kind)]

    async def client(self, listener: str = "imaps", **options: object) -> Client:
        return await Client.connect(self.ports[listener], tls=listener.endswith("s"), **options)


async def doors(
    snapshot: Snapshot | None,
    *,
    timeouts: DoorTimeouts = FAST,
    limits: DoorLimits | None = None,
    listeners: tuple[ListenerSettings, ...] = (),
    **settings: object,
) -> Doors:
    """Start the doors. The sockets listen on ports that the kernel chose."""
    kinds = (Listener.IMAP, Listener.IMAPS, Listener.POP3, Listener.SUBMISSION, Listener.SIEVE)
    listeners = listeners or tuple(ListenerSettings(k.value, k) for k in kinds)
    door_settings = DoorSettings(
        "mail.example.org",
        listeners,
        pki().door_tls(),
        timeouts=timeouts,
        limits=limits or DoorLimits(),
        **settings,  # type: ignore[arg-type]
    )
    folder = Path(tempfile.mkdtemp(dir=pki().folder))
    record = folder / "events"
    spool = SpoolWriter("doors", 1)
    spool.use("one", __import__("os").open(record, 0o2101, 0o600))
    keeper = KeeperInProcess()
    server = DoorServer(door_settings, keeper=keeper, spool=spool, device_key=KEY)
    sockets, ports = {}, {}
    for listener in listeners:
        if listener.edge:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(folder / "edge"))
        else:
            sock = socket.create_server(("127.0.0.1", 0))
            ports[listener.name] = sock.getsockname()[1]
        sockets[listener.name] = sock
    if snapshot is not None:
        await server.apply_snapshot(SnapshotIndex(snapshot))
    server.start(sockets)
    made = Doors(server, keeper, record, ports)
    made.edge_path = str(folder / "edge")  # type: ignore[attr-defined]
    return made


def upstream(port: int, *, name: str = "peer", tls: bool = False, **options: object) -> MailServer:
    """A mail server entry for every mail door at that port."""
    priority = options.pop("priority", 10)
    sign_in = options.pop("sign_in", SignIn.SEALED)
    if tls:
        options = {"ca": str(pki().ca_path), "server_name": "upstream.test", **options}
    endpoints = tuple(
        Endpoint(
            d,
            host="127.0.0.1",
            port=port,
            tls=UpstreamTls.IMPLICIT if tls else UpstreamTls.NONE,
            **options,  # type: ignore[arg-type]
        )
        for d in ALL_DOORS
    )
    return MailServer(name, "o1", endpoints, sign_in, priority)  # type: ignore[arg-type]


class Client:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @staticmethod
    async def connect(
        port: int,
        *,
        tls: bool = False,
        certificate: tuple[str, str, bytes] | None = None,
        name: str = "mail.example.org",
        source: str = "127.0.0.1",
    ) -> Client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=pki().client(certificate) if tls else None,
            server_hostname=name if tls else None,
            local_addr=(source, 0),
            limit=1 << 20,
        )
        return Client(reader, writer)

    async def start_tls(self, certificate: tuple[str, str, bytes] | None = None) -> None:
        await self.writer.start_tls(pki().client(certificate), server_hostname="mail.example.org")

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        return await self.reader.readline()

    async def until(self, tag: bytes) -> list[bytes]:
        """Lines up to the one that begins with ``tag``."""
        lines = []
        while True:
            line = await self.reader.readline()
            lines.append(line)
            if not line or line.startswith(tag):
                return lines

    async def login(self, password: str = SECRET.text, name: str = "alice@example.org") -> bytes:
        """Greeting, LOGIN, the tagged answer."""
        await self.line()
        return await self.login_again(password, name)

    async def login_again(self, password: str = SECRET.text, name: str = "alice@example.org") -> bytes:
        self.send(f'a LOGIN {name} "{password}"\r\n'.encode())
        return (await self.until(b"a "))[-1]

    async def rest(self) -> bytes:
        """Everything until the connection ends."""
        try:
            return await self.reader.read(-1)
        except (ConnectionError, ssl.SSLError):
            return b"<reset>"

    def close(self) -> None:
        self.writer.close()
