"""A small internet on loopback: a root that is signed, name servers, mail and web servers, and domains with faults.

Each domain is the clean one with one thing changed. ``look`` looks at it as ``gambeson look`` does, but at this
internet's ports.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from assess.tls_peers import OAKLEY_2
from gambeson.assess.core.doors import Protocol
from gambeson.assess.core.evaluate import Line, evaluate
from gambeson.assess.core.facts import Facts
from gambeson.assess.edge.authorities import Authorities
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.dnssec import TrustAnchors
from gambeson.assess.edge.look import Look, Progress, Request
from gambeson.assess.edge.resolver import Resolver
from peers.dovecot import Dovecot
from peers.knot import Knot, KnotZone
from peers.process import free_port

from . import dovecot, zone
from .addresses import (
    HOSTILE,
    MX1,
    MX2,
    MX_BESIDE,
    MX_GENERIC,
    MX_NAMELESS,
    MX_STRANGE,
    NS1,
    NS2,
    NS_BESIDE,
    NS_LAME,
    NS_OLD,
    NS_RECURSIVE,
    NS_SILENT,
    SMTP,
)
from .certificates import Certificates
from .hostile import Hostiles, name_server
from .postfix import LabPostfix
from .resolvers import Twist, handed_on
from .web import LabNginx

_OLD_TLS = """openssl_conf = lab
[lab]
ssl_conf = ssl
[ssl]
system_default = old
[old]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
"""
NAME_SERVERS = {
    "ns1": NS1, "ns2": NS2, "beside": NS_BESIDE, "lame": NS_LAME, "old": NS_OLD, "recursive": NS_RECURSIVE,
    "silent": NS_SILENT,
}  # fmt: skip
_OTHERS = """@ IN MX 10 mail
mail IN A 127.10.1.1
"""


@dataclass(frozen=True, slots=True)
class Domain:
    """``NAME.test``: the clean zone with what ``drops`` and ``puts`` change. ``signed``, ``ds``, ``algorithm`` and
    ``servers`` are as in KnotZone; ``twist`` is what its resolver does to answers."""

    name: str
    drops: tuple[str, ...] = ()
    puts: tuple[str, ...] = ()
    signed: str = "nsec"
    ds: bool | str = True
    algorithm: str = "ECDSAP256SHA256"
    servers: tuple[str, ...] = zone.SERVERS
    twist: Twist | None = None

    @property
    def fqdn(self) -> str:
        """Its name."""
        return f"{self.name}.test"


class World:
    """Between ``async with`` and its end. ``domains`` are those it knows."""

    def __init__(self, folder: Path, domains: Iterable[Domain]) -> None:
        self.folder, self.domains = folder, list(domains)
        self.ports = {protocol: free_port() for protocol in Protocol}
        self.certificates = Certificates(folder / "tls", [domain.fqdn for domain in self.domains])
        self.authorities = Authorities.from_file(self.certificates.authority)
        self.knot = Knot(folder / "knot", self._zones(), NS1, (NS2, NS_BESIDE))
        self._stack = ExitStack()
        self._async = AsyncExitStack()
        self._resolvers = 0

    async def __aenter__(self) -> World:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._async.aclose()
        self._stack.close()

    async def _start(self) -> None:
        files, good = self.certificates.files, self.certificates.files["good"]
        enter = self._stack.enter_context
        enter(self.knot)
        auth = {name: free_port() for name in ("passwords", "tokens", "challenge")}
        for name, make in (
            ("passwords", dovecot.passwords),
            ("tokens", dovecot.tokens),
            ("challenge", dovecot.challenge),
        ):
            enter(self._dovecot(make, good, auth[name]))
        postfix = LabPostfix(self.folder / "postfix", files, auth, self.ports)
        self._stack.callback(postfix.stop)
        emulator = free_port()
        web = self.folder / "web"
        web.mkdir()
        (web / "dh.pem").write_text(_small_group())
        (web / "openssl.cnf").write_text(_OLD_TLS)
        enter(LabNginx(web, files, self.ports, emulator))
        hostiles = Hostiles(self.folder / "exchange", self.ports, self.knot.port, good, emulator)
        await self._async.enter_async_context(hostiles)

    def _dovecot(self, make: Callable[..., Dovecot], good: Path, auth: int) -> Dovecot:
        return make(self.ports, good, auth)

    def _zones(self) -> list[KnotZone]:
        dkim = zone.dkim_key(2048)
        clean = zone.clean(self.ports[Protocol.SUBMISSION], self.certificates.key, dkim)
        test = "".join(f"{name} IN A {address}\n" for name, address in NAME_SERVERS.items())
        back = {
            MX1: "mail1",
            MX2: "mail2",
            MX_BESIDE: "mail3",
            MX_STRANGE: "stranger",
            MX_GENERIC: "dsl-13-1-1",
        }
        # The good address of the stranger's name is another one.
        forward = {**back, MX_STRANGE: ""}
        test += "".join(f"{name} IN A {address}\n" for address, name in forward.items() if name)
        test += f"stranger IN A {MX_NAMELESS}\nns3 IN CNAME ns2\nempty IN TXT x\n"
        for address in (*SMTP.values(), *HOSTILE.values()):
            back[address] = "host-" + "-".join(address.split(".")[1:3])
            test += f"{back[address]} IN A {address}\n"
        reverse = "".join(f"{_reverse(address)} IN PTR {name}.test.\n" for address, name in back.items())
        own = [
            KnotZone(
                domain.fqdn,
                zone.text(zone.changed(clean, domain.drops, domain.puts), domain.fqdn),
                signed=domain.signed,
                ds=domain.ds,
                algorithm=domain.algorithm,
                servers=tuple(name.replace("$D", domain.fqdn) for name in domain.servers),
            )
            for domain in self.domains
        ]
        return [
            KnotZone(".", signed="nsec", servers=zone.SERVERS),
            KnotZone("test", test, signed="nsec", servers=zone.SERVERS),
            KnotZone("127.in-addr.arpa", reverse, signed="nsec", servers=zone.SERVERS),
            KnotZone("others.test", _OTHERS, signed="nsec", servers=zone.SERVERS),
            *own,
        ]

    async def look(
        self, domain: Domain, *, seconds: float = 55.0, probe: bool = True
    ) -> tuple[Facts, tuple[Line, ...]]:
        """Looks at a domain of this world: what was measured, and the lines."""
        now = time.time()
        servers: Sequence[tuple[str, int]] = [self.knot.server]
        close: Callable[[], None] | None = None
        if domain.twist is not None:
            self._resolvers += 1
            address, port = f"127.54.{self._resolvers}.1", free_port()
            close = await name_server(address, port, handed_on(domain.twist, self.knot.server))
            servers = [(address, port)]
        anchors = TrustAnchors.read(self.knot.anchors)
        resolver = Resolver(servers, anchors=anchors, now=now, server_port=self.knot.port, private=True)
        request = Request(domain.fqdn, (), probe, True, self.ports, seconds)
        try:
            look = Look(request, all_checks(), resolver, self.authorities, now, Progress(lambda _: None))
            facts = await look.run()
        finally:
            await resolver.close()
            if close is not None:
                close()
        return facts, evaluate(facts, all_checks())


def _reverse(address: str) -> str:
    return ".".join(reversed(address.split(".")[1:]))


def _small_group() -> str:
    """PKCS #3: a sequence of the prime and the generator."""
    der = b"\x30\x81\x87\x02\x81\x81\0" + OAKLEY_2.to_bytes(128, "big") + b"\x02\x01\x02"
    return f"-----BEGIN DH PARAMETERS-----\n{base64.b64encode(der).decode()}\n-----END DH PARAMETERS-----\n"


def said(lines: Iterable[Line]) -> set[str]:
    """The lines as ``check code``; what is not known with its cause."""
    return {
        f"{line.check.name} {line.code}"
        + "".join(sorted({f" {o.unknown.cause.value}" for o in line.outcomes if o.unknown}))
        for line in lines
    }
