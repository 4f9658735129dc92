"""The gate in the real door: TLS, octets, a hostile application behind, and the portal on the same port."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shields import load_shields
from gambeson.guard.data import default_policy_text
from gambeson.guard.edge.web.gate import WebGate, WebRules
from gambeson.guard.edge.web.limits import WebLimits
from gambeson.guard.edge.web.portal import Portal
from gambeson.guard.edge.web.portal_link import PortalLink
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Product, Site, WebSignIn
from gambeson.process.channel import Channel
from gambeson.process.packet import pair
from gambeson.process.portal_messages import DoorPortalAsk
from guard.edge.doors import SECRET, UPSTREAM_PASSWORD, doors, organisation, run
from guard.edge.web.gates import Console, basic, keys
from guard.edge.web.webdoors import HOST, HTTPS, OTHER_HOST, Browser, Reply

HOSTILE = [
    "Set-Cookie: sessid=VALUE; Path=/; HttpOnly; Domain=example.org",
    "Set-Cookie: __Host-gambeson-session=theirs; Path=/; Secure",
    "Set-Cookie: __HOST-Gambeson-Key=theirs; Path=/; Secure",
    "Set-Cookie: __Host-gambeson-portal=theirs; Path=/; Secure",
    "Set-Cookie: __Secure-gambeson-w-sessid=theirs; Path=/; Secure",
    "Service-Worker-Allowed: /",
    "WWW-Authenticate: NTLM",
    "X-App: here",
]


class Application:
    """Answers everything with hostile headers, and remembers the heads it got."""

    def __init__(self) -> None:
        self.heads: list[dict[str, str]] = []
        self.lines: list[str] = []
        self.value = "of-alice"
        self.status = "200 OK"
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
                head = {n.lower(): v.strip() for n, _, v in (h.partition(":") for h in rest)}
                await reader.readexactly(int(head.get("content-length", "0")))
                self.lines.append(line)
                self.heads.append(head)
                lines = [f"HTTP/1.1 {self.status}", "Content-Length: 2", *HOSTILE, "", ""]
                writer.write("\r\n".join(lines).replace("VALUE", self.value).encode() + b"ok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()


class Stage:
    """The door with the real gate; the application behind ``HOST``, the portal at ``OTHER_HOST``."""

    async def start(self, product: Product = Product.ROUNDCUBE) -> None:
        self.application, self.portal = Application(), Application()
        port, portal_port = await self.application.start(), await self.portal.start()
        endpoint = Endpoint(DoorKind.WEBMAIL, "127.0.0.1", port, tls=UpstreamTls.NONE)
        site = Site("app", product, (HOST,), endpoint, "o1", web_sign_in=WebSignIn.AS_IS)
        base = organisation()
        everything = tuple(replace(d, doors=tuple(DoorKind)) for d in base.devices)
        policies = (parse_policy(default_policy_text(), "o1"),)
        self.snapshot = replace(base, sites=(site,), devices=everything, policies=policies)
        web = WebLimits(portal_hosts=(OTHER_HOST,))
        self.at = await doors(self.snapshot, listeners=HTTPS, web=web)
        self.console = Console(keys())
        ours, theirs = pair()
        self._channel = Channel(theirs, DoorPortalAsk, self.console.answer, name="doors", take_fds=False)
        self._link = PortalLink(ours)
        door = self.at.server.door
        where = Endpoint(DoorKind.PORTAL, "127.0.0.1", portal_port, tls=UpstreamTls.NONE)
        origin = f"https://{OTHER_HOST}:{self.at.ports['https']}"
        self.gate = WebGate(
            door,
            WebRules(load_grammars(), load_shields()),
            portal=Portal(OTHER_HOST, origin, where),
            link=self._link,
        )
        self.gate.use_session_key(keys().session_pem)
        door.gate = self.gate

    def claims(self, session: str, who: str):
        account, address = {"alice": ("a1", "alice@example.org"), "bob": ("a2", "bob@example.org")}[who]
        made = self.console.claims(session, f"{HOST}:{self.at.ports['https']}")
        return replace(made, organisation="o1", account=account, address=address)

    async def stop(self) -> None:
        self.gate.close()
        self._channel.close()
        self._link.close()
        self.application.stop()
        self.portal.stop()
        await self.at.server.stop()


class Person:
    """A browser with cookies, a connection a request."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.jar: dict[str, str] = {}

    async def get(self, path: str = "/", *headers: str, method: str = "GET", host: str = HOST) -> Reply:
        port = self.stage.at.ports["https"]
        browser = await Browser.connect(port, host)
        cookies = "; ".join(f"{n}={v}" for n, v in self.jar.items())
        lines = [*headers, "Accept: text/html", *([f"Cookie: {cookies}"] if cookies else [])]
        reply = await browser.get(path, *lines, method=method, host=f"{host}:{port}")
        browser.close()
        for name, value in reply.headers:
            if name == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                if "max-age=0" in value.lower():
                    self.jar.pop(key, None)
                else:
                    self.jar[key] = content
        return reply

    async def sign_in(self, session: str, who: str) -> Reply:
        first = await self.get()
        assert first.status == 303
        query = parse_qs(urlsplit(first.header("location")).query)
        code = self.stage.console.code(query["host"][0], query["state"][0], self.stage.claims(session, who))
        return await self.get(f"/.gambeson/enter?code={code}&to=/")


def staged(talk, **options: object) -> None:
    async def main() -> None:
        stage = Stage()
        await stage.start(**options)  # type: ignore[arg-type]
        try:
            await talk(stage)
        finally:
            await stage.stop()

    run(main)


def test_a_person_comes_through_the_portal_and_a_hostile_application_gets_nothing_of_ours():
    async def talk(stage: Stage) -> None:
        alice = Person(stage)
        entered = await alice.sign_in("s1", "alice")
        assert (entered.status, entered.header("location")) == (303, "/")
        assert stage.application.heads == []  # nothing reached it before
        session = alice.jar["__Host-gambeson-session"]
        page = await alice.get("/")
        assert (page.status, page.body) == (200, b"ok")
        (head,) = stage.application.heads
        assert "cookie" not in head
        assert not [n for n in head if n.startswith("x-gambeson") or n == "authorization"]
        set_cookies = [v for n, v in page.headers if n == "set-cookie"]
        assert len(set_cookies) == 2  # the application's and its witness
        assert all("domain" not in v.lower() for v in set_cookies)
        assert alice.jar["__Host-gambeson-session"] == session
        assert "theirs" not in repr(page.headers)
        assert page.header("service-worker-allowed") == ""
        assert page.header("strict-transport-security")
        await alice.get("/")
        assert stage.application.heads[-1]["cookie"] == "sessid=of-alice"

    staged(talk)


def test_bob_after_alice_in_the_same_browser():
    async def talk(stage: Stage) -> None:
        browser = Person(stage)
        await browser.sign_in("s1", "alice")
        await browser.get("/")
        kept = dict(browser.jar)
        left = await browser.get(
            "/.gambeson/leave", f"Origin: https://{HOST}:{stage.at.ports['https']}", method="POST"
        )
        assert left.status == 200
        assert "sessid" not in browser.jar
        browser.jar = {n: v for n, v in kept.items() if not n.startswith("__Host-")}
        await browser.sign_in("s2", "bob")
        stage.application.value = "of-bob"
        await browser.get("/")
        assert "cookie" not in stage.application.heads[-1]
        await browser.get("/")
        assert stage.application.heads[-1]["cookie"] == "sessid=of-bob"

    staged(talk)


def test_the_portal_keeps_its_own_cookies_and_learns_the_clients_address_from_us():
    async def talk(stage: Stage) -> None:
        alice = Person(stage)
        alice.jar["__Host-gambeson-portal"] = "mine"
        page = await alice.get("/", "X-Gambeson-Source: 192.0.2.66", host=OTHER_HOST)
        assert page.status == 200
        (head,) = stage.portal.heads
        assert head["cookie"] == "__Host-gambeson-portal=mine"
        assert head["x-gambeson-source"] == "127.0.0.1"
        assert alice.jar["__Host-gambeson-portal"] == "theirs"  # only the portal sets it

    staged(talk)


def test_a_session_that_was_ended_is_refused_and_its_connection_closed():
    async def talk(stage: Stage) -> None:
        alice = Person(stage)
        await alice.sign_in("s1", "alice")
        port = stage.at.ports["https"]
        browser = await Browser.connect(port)
        cookie = f"Cookie: __Host-gambeson-session={alice.jar['__Host-gambeson-session']}"
        assert (await browser.get("/", cookie, "Accept: text/html", host=f"{HOST}:{port}")).status == 200
        ended = replace(stage.snapshot, number=2, ended_sessions=("s1",))
        assert await stage.at.server.apply_snapshot(SnapshotIndex(ended)) == 1
        assert await browser.ended() == b""
        assert (await alice.get("/")).status == 303

    staged(talk)


def test_a_phone_with_its_secret_and_a_stranger():
    async def talk(stage: Stage) -> None:
        browser = await Browser.connect(stage.at.ports["https"])
        path = "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice&DeviceId=ABC&DeviceType=iPhone"

        async def sync(*headers: str) -> Reply:
            kind = "Content-Type: application/vnd.ms-sync.wbxml"
            return await browser.get(path, kind, *headers, method="POST", body=b"\x03\x01j\x00")

        good = f"Authorization: {basic('alice@example.org', SECRET.text)}"
        assert (await sync(good)).status == 200
        head = stage.application.heads[-1]
        assert head["authorization"] == basic("alice@example.org", UPSTREAM_PASSWORD)
        assert (await sync(good)).header("www-authenticate") == ""
        assert len(stage.at.keeper.asked) == 1
        began = asyncio.get_running_loop().time()
        browser = await Browser.connect(stage.at.ports["https"])
        refused = await sync(f"Authorization: {basic('alice@example.org', 'her password')}")
        assert refused.status == 401
        assert refused.header("www-authenticate").startswith("Basic ")
        # No earlier than every other refusal (the tests' doors wait 0.15 s).
        assert asyncio.get_running_loop().time() - began >= 0.14
        assert len(stage.application.heads) == 2
        browser.close()

    staged(talk, product=Product.EXCHANGE)
