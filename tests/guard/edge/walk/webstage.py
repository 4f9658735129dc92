"""The web doors for the walk's tests: the real door and gate before the Exchange emulator, and a small leaky server.

THE LEAKY SERVER IS INSECURE BY DESIGN and exists only for these tests. Without a flaw it answers as a door of ours
does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvicorn

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.walk import Record, side_doors
from gambeson.guard.core.walk_http_maker import WebWalk
from gambeson.guard.core.walk_http_plan import Plan, plans
from gambeson.guard.core.walk_plan import Canary, Held
from gambeson.guard.core.web.grammar import Grammar, load_grammars, parse_grammar
from gambeson.guard.core.web.shields import ShieldSet, load_shields
from gambeson.guard.core.web.verdict import Forward, WebClient
from gambeson.guard.data import default_policy_text, texts
from gambeson.guard.edge.walk.http import nobodys_certificate
from gambeson.guard.edge.walk.tour import walk
from gambeson.guard.edge.web.gate import WebGate, WebRules
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.guard.edge.web.portal import Portal
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import Credential, CredentialKind, Device, DeviceState
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.model.snapshot import Snapshot
from gambeson.model.web import Product, Site, WebRequest
from gambeson.playground.exchange.front_end import FrontEnd
from gambeson.playground.exchange.logs import ExchangeLogs
from gambeson.playground.exchange.serve import application
from gambeson.playground.mailboxes import Mailboxes
from guard.edge.doors import KEY, SECRET, UPSTREAM_PASSWORD, doors, organisation, pki, run
from guard.edge.web.gates import basic, keys
from guard.edge.web.webdoors import HTTPS

MAIL, DEVICES, PORTAL = "mail.example.org", "mail.example.net", "login.example.org"
ALICE = "alice@example.org"
EVERYTHING = tuple(DoorKind)


def made(number: int) -> device_secret.DeviceSecret:
    return device_secret.make(bytes([number]) * device_secret.ENTROPY_BYTES)


BLOCKED, LOST, QUARANTINED, REVOKED, EXPIRED, MADE_UP, IMAP_ONLY = (made(n) for n in range(1, 8))
CANARY = Canary(
    ALICE,
    UPSTREAM_PASSWORD,
    SECRET.text,
    (
        Held("a blocked device's", "device-blocked", BLOCKED.text),
        Held("a lost device's", "device-lost", LOST.text),
        Held("a device's in quarantine", "device-quarantined", QUARANTINED.text),
        Held("a revoked one", "credential-revoked", REVOKED.text),
        Held("an expired one", "credential-expired", EXPIRED.text),
        Held("a made-up one", "made-up-secret", MADE_UP.text),
        Held("hers under another's name", "another-account", SECRET.text, "bob@example.org"),
    ),
    ((DoorKind.IMAP, IMAP_ONLY.text),),
    "bob@example.org",
)


def exchange(port: int, **changes: object) -> Site:
    endpoint = Endpoint(DoorKind.OWA, "127.0.0.1", port, tls=UpstreamTls.NONE)
    site = Site("exchange", Product.EXCHANGE, (MAIL,), endpoint, organisation="o1", device_hosts=(DEVICES,))
    return replace(site, **changes)  # type: ignore[arg-type]


def snapshot(site: Site) -> Snapshot:
    """Alice's good phone, and her devices that are each wrong in one way."""
    base = organisation()
    devices = [replace(d, doors=EVERYTHING) for d in base.devices]
    credentials = list(base.credentials)
    for secret, state, opens, revoked_at, expires_at in (
        (BLOCKED, DeviceState.BLOCKED, EVERYTHING, 0.0, 0.0),
        (LOST, DeviceState.LOST, EVERYTHING, 0.0, 0.0),
        (QUARANTINED, DeviceState.QUARANTINED, EVERYTHING, 0.0, 0.0),
        (REVOKED, DeviceState.REGISTERED, EVERYTHING, 1.0, 0.0),
        (EXPIRED, DeviceState.REGISTERED, EVERYTHING, 0.0, 1.0),
        (IMAP_ONLY, DeviceState.REGISTERED, (DoorKind.IMAP,), 0.0, 0.0),
    ):
        name, kind = secret.public_id, CredentialKind.DEVICE_SECRET
        devices.append(Device(name, "o1", "a1", name, state=state, doors=opens))
        verifier = device_secret.verifier(secret, KEY)
        credentials.append(
            Credential(name, "o1", name, kind, name, verifier, revoked_at=revoked_at, expires_at=expires_at)
        )
    return replace(
        base,
        devices=tuple(devices),
        credentials=tuple(credentials),
        policies=(parse_policy(default_policy_text(), "o1"),),
        sites=(site,),
    )


class Emulator:
    """The playground's Exchange on a port of loopback, for everybody: a site past us."""

    async def start(self) -> int:
        root = Path(tempfile.mkdtemp(prefix="gambeson-walk-"))
        boxes = Mailboxes(root / "mail", {ALICE: ()})
        front = FrontEnd(boxes, {ALICE: UPSTREAM_PASSWORD})
        config = uvicorn.Config(
            application(front, ExchangeLogs(root / "logs")),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        sock = socket.create_server(("127.0.0.1", 0))
        await self._server.startup(sockets=[sock])
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        self._server.force_exit = True
        await self._server.shutdown()


Change = Callable[[Snapshot], Snapshot]
Hole = Callable[[WebRequest, WebClient], bool]


class HoleyGate:
    """The real gate, but what ``hole`` says goes on to the server, as the canary where ``signed``."""

    def __init__(self, gate: WebGate, site: Site, hole: Hole, signed: bool) -> None:
        self._gate, self._site, self._hole = gate, site, hole
        self._headers = (("authorization", basic(ALICE, UPSTREAM_PASSWORD)),) if signed else ()

    def judge(self, request: WebRequest, client: WebClient):
        if self._hole(request, client):
            return Forward(self._site, None, self._headers, not self._headers)
        return self._gate.judge(request, client)


def wide(*lines: str, product: str = "exchange") -> Grammar:
    """The real grammar with lines before it that nobody should have written."""
    text = texts("grammar")[f"{product}.toml"]
    at = text.index("[[line]]")
    return parse_grammar(text[:at] + "\n".join(lines) + "\n" + text[at:], f"{product}.toml")


def walked(
    change: Change = lambda made: made,
    *,
    grammar: Grammar | None = None,
    shields: ShieldSet | None = None,
    hole: Hole | None = None,
    signed: bool = True,
    intended: Callable[[Site], Site] = lambda site: site,
    around: Callable[[WebWalk, Site], list[Plan]] | None = None,
    gate_hook: Callable[[WebGate], None] = lambda gate: None,
) -> list[Record]:
    """Walk round the real door before the emulator; the records. ``intended`` is the site as the walk knows it,
    ``around`` gives plans for ways past the door."""
    found: list[Record] = []

    async def main() -> None:
        emulator = Emulator()
        site = exchange(await emulator.start())
        snap = change(snapshot(site))
        here = snap.sites[0]
        at = await doors(snap, listeners=HTTPS, web=WebLimits(portal_hosts=(PORTAL,)))
        door = at.server.door
        rules = WebRules(
            {**load_grammars(), **({Product.EXCHANGE: grammar} if grammar else {})}, shields or load_shields()
        )
        port = at.ports["https"]
        portal = Portal(
            PORTAL, f"https://{PORTAL}:{port}", Endpoint(DoorKind.PORTAL, unix="@gambeson-nobody")
        )
        gate = WebGate(door, rules, portal=portal)
        gate.use_session_key(keys().session_pem)
        gate_hook(gate)
        door.gate = HoleyGate(gate, here, hole, signed) if hole else gate
        walk_of = web_walk(port, intended(site))
        web = list(plans(walk_of)) if around is None else around(walk_of, site)
        try:
            records = await walk(
                [], CANARY, lambda place: Rung.DEVICE_SECRET, nonce="n0nce", per_second=1000, web=web
            )
            found.extend(records)
        finally:
            gate.close()
            await at.server.stop()
            await emulator.stop()

    run(main, 60.0)
    return found


def web_walk(port: int, site: Site, **changes: object) -> WebWalk:
    made = WebWalk(
        CANARY,
        "127.0.0.1",
        port,
        "n0nce",
        time.time(),
        lambda door: (
            Rung.DEVICE_SECRET
            if door.value in ("eas", "ews", "mapi", "oab", "autodiscover")
            else Rung.KNOWLEDGE_AND_CODE
        ),
        (site,),
        account="a1",
        organisation="o1",
        shields=load_shields().shields,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def rules(records: list[Record]) -> set[str]:
    return {f.rule.removeprefix("guard.walk.") for f in side_doors(records, "o1", 1.0)}


# -- the leaky server

_OURS = (
    "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
    "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
)
Leak = Callable[[str, str, dict[str, str], bytes, bool], str]
"""Given method, target, headers, body and whether a client certificate came: the head's status and headers of a server
that is reached (``200 OK``), or empty where the door answers."""


class Leaky:
    """Answers as a door (or a portal) does, but where ``leak`` says otherwise. ``tls`` False: in plaintext.
    ``otherwise`` is the door's answer: status and further headers."""

    def __init__(self, leak: Leak, tls: bool = True, otherwise: str = "404 Not Found") -> None:
        self._leak, self._tls, self._otherwise = leak, tls, otherwise

    async def start(self) -> int:
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pki().door[:2])
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=nobodys_certificate())  # any certificate is good enough
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":  # a handshake, where no TLS is spoken
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.split("\r\n")[:-2]
            headers = {n.lower(): v.strip() for n, _, v in (one.partition(":") for one in rest)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = line.split(" ")
            shown = writer.get_extra_info("peercert") if self._tls else None
            leaked = self._leak(method, target, headers, body, bool(shown))
            answer, marks = (leaked, "server: Microsoft-IIS/10.0\r\nx-feserver: E1\r\n")
            if not leaked:
                answer, marks = self._otherwise, _OURS
            elif leaked.startswith("ours "):
                answer, marks = leaked.removeprefix("ours "), _OURS
            status, _, page = answer.partition("|")
            writer.write(f"HTTP/1.1 {status}\r\n{marks}content-length: {len(page)}\r\n\r\n{page}".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()


def leaky(
    leak: Leak,
    plan: Callable[[WebWalk, Site], list[Plan]],
    *,
    tls: bool = True,
    otherwise: str = "404 Not Found",
    product: Product = Product.EXCHANGE,
    **site: object,
) -> list[Record]:
    """Walk round a leaky server; the records."""
    found: list[Record] = []

    async def main() -> None:
        server = Leaky(leak, tls, otherwise)
        port = await server.start()
        here = exchange(port, product=product, **site)
        found.extend(
            await walk(
                [],
                CANARY,
                lambda place: Rung.DEVICE_SECRET,
                nonce="n0nce",
                per_second=1000,
                web=plan(web_walk(port, here), here),
            )
        )
        server.stop()

    run(main, 60.0)
    return found
