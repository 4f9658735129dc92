"""What the tests of the gate share: two organisations, three sites, a real keeper and channels, a console of the tests.

The keeper is the real core behind a real channel; the console answers the doors' questions as the portal does, with
single-use codes and tokens that the keeper's key signed. Requests are what the parser makes of octets.
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.session_token import LIFETIME, SESSION_PREFIX, Claims, octets, token
from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.password_box import seal
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.core.web.verdict import Answer, Forward, Peek, WebClient
from gambeson.guard.data import default_policy_text
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.door_settings import DoorSettings, DoorTimeouts
from gambeson.guard.edge.web.gate import WebGate, WebRules
from gambeson.guard.edge.web.portal import Portal
from gambeson.guard.edge.web.portal_link import PortalLink
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.event import Event
from gambeson.model.organisation import Organisation
from gambeson.model.server import Endpoint
from gambeson.model.session_token import read, split
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import Product, Site, WebRequest, WebSignIn
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.channel import Channel
from gambeson.process.keeper_client import DoorKeeper
from gambeson.process.keeper_core import KeeperCore
from gambeson.process.keys import KeeperKeys, open_keys
from gambeson.process.packet import pair
from gambeson.process.portal_messages import DoorPortalAsk, RedeemAsk, RenewAsk, SessionGiven, SignOutAsk
from gambeson.process.sealing import account_context
from gambeson.process.spool import SpoolReader, SpoolWriter
from gambeson.wire.cookies import read_cookies
from gambeson.wire.http_target import canonical

MAIL, WEBMAIL, DEVICES, PORTAL = (
    "mail.example.org",
    "webmail.example.org",
    "devices.example.org",
    "login.example.org",
)
SOURCE = "203.0.113.7"
ALL = tuple(DoorKind)
ALMA, BOB, EVE = (device_secret.make(bytes([i]) * 23) for i in (1, 2, 3))
FINGERPRINT = "ab" * 32
SEALED = "alma's password on the server"
FAST = DoorTimeouts(refusal=0.8, keeper=1.0)

_KEYS: list[KeeperKeys] = []


def keys() -> KeeperKeys:
    if not _KEYS:
        _KEYS.append(
            open_keys(Path(tempfile.mkdtemp(prefix="gambeson-gate-")), bytes(range(32)), time.time())
        )
    return _KEYS[0]


def snapshot(number: int = 1, **changes: Any) -> Snapshot:
    key = keys().device
    sealed = keys().sealer.seal(SEALED.encode(), account_context("o", "a1"))
    fields: dict[str, Any] = {
        "number": number,
        "made_at": time.time(),
        "organisations": (
            Organisation("o", "Example", ("example.org",), f"https://{PORTAL}/enrol"),
            Organisation("x", "Other", ("other.test",)),
        ),
        "accounts": (
            Account("a1", "o", "alma@example.org", ("al@example.org",), sealed_password=sealed),
            Account("a2", "o", "bob@example.org", upstream_login="bob"),
            Account("x1", "x", "eve@other.test"),
        ),
        "devices": (
            Device("d1", "o", "a1", "Alma's phone", doors=ALL),
            Device("d2", "o", "a2", "Bob's phone", doors=ALL),
            Device("dx", "x", "x1", "Eve's phone", doors=ALL),
        ),
        "credentials": (
            *(
                Credential(
                    f"c-{d}", o, d, CredentialKind.DEVICE_SECRET, s.public_id, device_secret.verifier(s, key)
                )
                for d, o, s in (("d1", "o", ALMA), ("d2", "o", BOB), ("dx", "x", EVE))
            ),
            Credential("k-d1", "o", "d1", CredentialKind.CERTIFICATE, FINGERPRINT),
        ),
        "policies": tuple(parse_policy(default_policy_text(), o) for o in ("o", "x")),
        "sites": (exchange(), roundcube()),
    }
    return Snapshot(**(fields | changes))


def exchange(**changes: Any) -> Site:
    site = Site(
        "exchange",
        Product.EXCHANGE,
        (MAIL,),
        Endpoint(DoorKind.OWA, "10.0.0.1", 443),
        organisation="o",
        device_hosts=(DEVICES,),
    )
    return replace(site, **changes)


def roundcube(way: WebSignIn = WebSignIn.TOKEN, **changes: Any) -> Site:
    site = Site(
        "webmail",
        Product.ROUNDCUBE,
        (WEBMAIL,),
        Endpoint(DoorKind.WEBMAIL, "127.0.0.1", 8080),
        organisation="o",
        web_sign_in=way,
        audience="webmail",
    )
    return replace(site, **changes)


def ask(
    target: str = "/",
    host: str = WEBMAIL,
    method: str = "GET",
    *,
    port: int = 0,
    cookies: str = "",
    body: bool = False,
    **headers: str,
) -> WebRequest:
    """A request as the parser gives it; underscores in names of headers are hyphens."""
    where = canonical(target)
    named = f"{host}:{port}" if port else host
    pairs = [("host", named), *((k.replace("_", "-"), v) for k, v in headers.items())]
    if cookies:
        pairs.append(("cookie", cookies))
    found = read_cookies((cookies,)) if cookies else ()
    assert found is not None
    return WebRequest(
        method,
        host,
        where.path,
        where.query,
        where.canonical,
        where.parameters,
        tuple(pairs),
        found,
        SOURCE,
        body,
    )


def browse(target: str = "/", host: str = WEBMAIL, **more: Any) -> WebRequest:
    """A person looks at a page."""
    return ask(target, host, accept="text/html", sec_fetch_mode="navigate", **more)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def basic_of(forward: Forward) -> tuple[str, str]:
    """Name and password that the mail server gets."""
    scheme, _, value = dict(forward.headers)["authorization"].partition(" ")
    assert scheme == "Basic"
    name, _, password = base64.b64decode(value).decode().partition(":")
    return name, password


class Console:
    """The console's side of the channel: codes once, tokens signed with the keeper's key."""

    def __init__(self, key: KeeperKeys) -> None:
        self._keys = key
        self.asked: list[Any] = []
        self.codes: dict[str, tuple[str, str, Claims, bytes, bytes]] = {}
        self.live: set[str] = set()
        self.hang = False

    def claims(self, session: str = "s1", host: str = WEBMAIL, who: str = "alma", **changes: Any) -> Claims:
        account, organisation, address = {
            "alma": ("a1", "o", "alma@example.org"),
            "bob": ("a2", "o", "bob@example.org"),
            "eve": ("x1", "x", "eve@other.test"),
        }[who]
        now = time.time()
        made = Claims(
            session,
            organisation,
            account,
            address,
            Rung.KNOWLEDGE_AND_CODE,
            host,
            now - 1,
            now - 1 + LIFETIME,
            now + 36000,
        )
        self.live.add(session)
        return replace(made, **changes)

    def sign(self, claims: Claims) -> str:
        signed = octets(claims)
        return token(signed, self._keys.session.sign(SESSION_PREFIX + signed))

    def token(self, session: str = "s1", host: str = WEBMAIL, who: str = "alma", **changes: Any) -> str:
        return self.sign(self.claims(session, host, who, **changes))

    def code(self, host: str, state: str, claims: Claims, password: str = "") -> str:
        code = f"code-{len(self.codes)}"
        key, box = b"", b""
        if password:
            key = os.urandom(32)
            box = seal(password, key, os.urandom(12), claims.session, host)
        self.codes[code] = (host, state, claims, key, box)
        return code

    async def answer(self, message: Any, fds: tuple[int, ...]) -> m.Message:
        self.asked.append(message)
        if self.hang:
            await asyncio.sleep(30)
        match message:
            case RedeemAsk(code=code, host=host, state=state):
                found = self.codes.pop(code, None)
                if found is None or found[:2] != (host, state):
                    return m.Refused(reason="code")
                claims = found[2]
                return SessionGiven(token=self.sign(claims), ends=claims.ends, key=found[3], box=found[4])
            case RenewAsk(token=text):
                session, host, who = self.of(text)
                if session not in self.live:
                    return m.Refused(reason="gone")
                claims = self.claims(session, host, who)
                return SessionGiven(token=self.sign(claims), ends=claims.ends)
            case SignOutAsk(token=text):
                self.live.discard(self.of(text)[0])
                return m.Done()
        raise AssertionError(message)

    @staticmethod
    def of(text: str) -> tuple[str, str, str]:
        claims = read(split(text)[0])
        return claims.session, claims.host, claims.address.partition("@")[0]


class Gates:
    """A gate inside a running loop, with everything behind it."""

    def __init__(self, made: Snapshot | None = None, portal: bool = True) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gambeson-gate-"))
        self._record = folder / "events"
        spool = SpoolWriter("doors", 1)
        spool.use("one", os.open(self._record, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
        self.core = KeeperCore(keys())
        self.keeper_asked: list[Any] = []
        ours, theirs = pair()
        self._channels = [
            Channel(theirs, k.KeeperHello | k.CredentialAsk, self._keeper, name="doors", take_fds=False)
        ]
        self.keeper = DoorKeeper(ours)
        self.console = Console(keys())
        ours, theirs = pair()
        self._channels.append(
            Channel(theirs, DoorPortalAsk, self.console.answer, name="doors", take_fds=False)
        )
        self.link = PortalLink(ours)
        settings = DoorSettings(MAIL, (), timeouts=FAST)
        self.door = Door(settings, keeper=self.keeper, spool=spool, device_key=keys().device)
        place = Portal(PORTAL, f"https://{PORTAL}:8443", Endpoint(DoorKind.PORTAL, unix="@portal"))
        self.gate = WebGate(
            self.door,
            WebRules(load_grammars(), load_shields()),
            portal=place if portal else None,
            link=self.link,
        )
        self.gate.use_session_key(keys().session_pem)
        self.use(made if made is not None else snapshot())

    def _keeper(self, message: Any, fds: tuple[int, ...]) -> m.Message:
        self.keeper_asked.append(message)
        return self.core.answer("doors", "doors.1", message, time.time())

    def use(self, made: Snapshot) -> None:
        """A snapshot for door and keeper."""
        index = SnapshotIndex(made)
        self.core.take(index)
        self.door.use(index)
        self.door.throttle.on_snapshot(index, self.door.counting())

    async def judge(
        self, request: WebRequest, client: WebClient | None = None, body: bytes = b""
    ) -> Forward | Answer:
        """The verdict, however it comes."""
        verdict = self.gate.judge(request, client or WebClient(SOURCE, 40000, request.host))
        verdict = await verdict if isawaitable(verdict) else verdict
        if isinstance(verdict, Peek):
            last = verdict.judge(body[: verdict.limit], len(body) <= verdict.limit)
            verdict = await last if isawaitable(last) else last
        assert isinstance(verdict, Forward | Answer)
        return verdict

    async def forward(self, request: WebRequest, client: WebClient | None = None) -> Forward:
        verdict = await self.judge(request, client)
        assert isinstance(verdict, Forward), verdict
        return verdict

    async def answer(self, request: WebRequest, client: WebClient | None = None, body: bytes = b"") -> Answer:
        verdict = await self.judge(request, client, body)
        assert isinstance(verdict, Answer), verdict
        return verdict

    def events(self, kind: str = "") -> list[Event]:
        with open(self._record, "rb") as file:
            return [e for e in SpoolReader(file.fileno()).read().events if kind in ("", e.kind)]

    def close(self) -> None:
        self.gate.close()
        for channel in self._channels:
            channel.close()
        self.link.close()
        self.keeper.close()
        self.door.wheel.stop()


def run(main: Callable[[Gates], Awaitable[None]], made: Snapshot | None = None, **options: Any) -> None:
    """One test's conversation, on the loop that the doors use."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            gates = Gates(made, **options)
            try:
                await main(gates)
            finally:
                gates.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


class Browser:
    """Cookies by host, and what a person does."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self.jar: dict[str, dict[str, str]] = {}

    def cookies(self, host: str) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.jar.get(host, {}).items())

    def take(self, host: str, value: str) -> None:
        """One Set-Cookie value."""
        pair, _, rest = value.partition(";")
        name, _, content = pair.partition("=")
        jar = self.jar.setdefault(host, {})
        if "max-age=0" in rest.lower():
            jar.pop(name, None)
        else:
            jar[name] = content

    async def get(self, target: str = "/", host: str = WEBMAIL, **more: Any) -> Forward | Answer:
        return self._took(
            host, await self.gates.judge(browse(target, host, cookies=self.cookies(host), **more))
        )

    async def post(self, target: str, host: str = WEBMAIL, **more: Any) -> Forward | Answer:
        more.setdefault("origin", f"https://{host}")
        made = ask(target, host, "POST", cookies=self.cookies(host), **more)
        return self._took(host, await self.gates.judge(made))

    def _took(self, host: str, verdict: Forward | Answer) -> Forward | Answer:
        if isinstance(verdict, Answer):
            for name, value in verdict.headers:
                if name == "set-cookie":
                    self.take(host, value)
        else:
            for value in verdict.cookies:
                self.take(host, value)
        return verdict

    def served(self, forward: Forward, *values: str) -> None:
        """The application's Set-Cookie values, as the door sends them on."""
        assert forward.set_cookie is not None
        for value in values:
            for each in forward.set_cookie(value):
                self.take(forward.site.hosts[0], each)

    async def sign_in(
        self, session: str = "s1", who: str = "alma", host: str = WEBMAIL, to: str = "/", password: str = ""
    ) -> Answer:
        """From the first look at a page through the portal and back."""
        first = await self.get(to, host)
        assert isinstance(first, Answer), first
        assert first.status == 303
        query = parse_qs(urlsplit(dict(first.headers)["location"]).query)
        claims = self.gates.console.claims(session, host, who)
        code = self.gates.console.code(query["host"][0], query["state"][0], claims, password)
        back = await self.get(f"/.gambeson/enter?code={code}&to={query['to'][0]}", host)
        assert isinstance(back, Answer)
        return back


def location(answer: Answer) -> str:
    return dict(answer.headers)["location"]
