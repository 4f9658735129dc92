"""Debian's nginx with exactly what ``guard export nginx`` writes, before a server that signs connections in.

The server is the worst case: whoever presents a proof signs the TCP connection in, and every later
request on it is that person's. Behind a pool of connections the next client would be somebody else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gambeson.cli import guard_export
from gambeson.guard.core.web.clients import load_clients
from gambeson.guard.edge.recipes import ENGINE_RECIPES, Engine, Facts, RecipeError
from gambeson.guard.edge.web.exchange import install
from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import Credential, CredentialKind
from gambeson.model.rule import ModeEntry
from gambeson.process.sealing import account_context
from guard.edge.doors import pki
from guard.edge.engines import KEY, Api, Client, Reply
from guard.edge.web.gates import (
    ALMA,
    BOB,
    DEVICES,
    MAIL,
    PORTAL,
    SEALED,
    WEBMAIL,
    Gates,
    basic,
    keys,
    run,
    snapshot,
)
from peers.process import free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
pytestmark = [pytest.mark.peer("nginx"), pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]
POLL = "/Microsoft-Server-ActiveSync?Cmd=Ping&User=alma&DeviceId=D1&DeviceType=T"
FIND_ITEM = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b'<FindItem xmlns="http://schemas.microsoft.com/exchange/services/2006/messages"/></s:Body></s:Envelope>'
)
WRAP = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    include {root}/gambeson-web.conf;
{more}
}}
"""


class ConnectionServer:
    """Remembers who signed in on which connection, and keeps connections open as long as it is let. The first proof
    on a connection is whose it stays, whatever later requests bring. ``deaf``: the client's wish to end a connection is
    not heard either, which RFC 9112 section 9.6 forbids."""

    def __init__(self, deaf: bool = True) -> None:
        self.deaf = deaf
        self.seen: list[tuple[int, str, dict[str, str], int]] = []
        self.port = 0
        self.begun = 0
        self._number = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._server = server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        number, who = self._number, ""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
                headers = {n.lower(): v.strip() for n, _, v in (h.partition(":") for h in head[1:])}
                self.begun += 1
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if not who and headers.get("authorization", "").startswith("Basic "):
                    who = base64.b64decode(headers["authorization"][6:]).decode().partition(":")[0]
                self.seen.append((number, head[0], headers, len(body)))
                said = f"as {who}" if who else "nobody"
                challenge = "" if who else "WWW-Authenticate: NTLM\r\nWWW-Authenticate: Negotiate\r\n"
                status = "200 OK" if who else "401 Unauthorized"
                last = not self.deaf and headers.get("connection", "") == "close"
                writer.write(
                    f"HTTP/1.1 {status}\r\n{challenge}Content-Length: {len(said)}\r\nPersistent-Auth: true\r\n"
                    f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n{said}".encode()
                )
                await writer.drain()
                if last:
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Stage:
    """nginx, the API that it asks, and the server behind."""

    def __init__(self, api: Api, server: ConnectionServer, port: int, root: Path) -> None:
        self.api, self.server, self.port, self.root = api, server, port, root

    async def client(self, name: str = MAIL, shown: tuple[str, str, bytes] | None = None) -> Web:
        context = pki().client(shown)
        context.check_hostname = False
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=name
        )
        return Web(reader, writer, name)


class Web(Client):
    """A client of nginx."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        super().__init__(reader, writer)
        self.host = host

    async def get(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Reply:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = [(n.lower(), v.strip()) for n, _, v in (h.partition(":") for h in raw[1:-2])]
        reply = Reply(int(raw[0].split(" ")[1]), found, b"")
        if method == "HEAD":
            return reply
        if reply.header("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                reply.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            reply.body = await self.reader.readexactly(int(reply.header("content-length") or 0))
        return reply

    async def poll(self, who: str = "", secret: str = "", *more: str) -> Reply:
        """One request of a mail program."""
        given = (f"Authorization: {basic(who, secret)}",) if who else ()
        return await self.get(
            POLL.replace("User=alma", f"User={who.partition('@')[0] or 'alma'}"),
            *given,
            *more,
            "Content-Type: application/vnd.ms-sync.wbxml",
            method="POST",
            body=b"\x03\x01",
        )


@asynccontextmanager
async def before(
    gates: Gates,
    host: str = MAIL,
    product: str = "exchange",
    unbound: bool = False,
    pool: str = "",
    authority: str = "",
) -> AsyncIterator[Stage]:
    """nginx runs, by its own check of the configuration. ``pool``: a keepalive pool to the server is added, and what
    ends each connection there stays (``recipe``) or is taken out (``bare``)."""
    root = Path(tempfile.mkdtemp(prefix="gng-", dir="/tmp"))
    server = ConnectionServer(deaf=pool != "recipe")
    await server.start()
    api = Api(gates, unbound)
    certificate, key, _ = pki().server_ca.issue(root, host)
    engine = Engine(
        api=f"127.0.0.1:{api.port}",
        key=KEY,
        host=host,
        upstream=f"http://127.0.0.1:{server.port}",
        product=product,
        listen=f"127.0.0.1:{(port := free_port())}",
        certificate=certificate,
        private_key=key,
        authority=authority,
    )
    files = ENGINE_RECIPES["nginx"](Facts(engine=engine, etc=str(root)))
    text, more = files["gambeson-web.conf"], ""
    if pool:
        more = f"    upstream pool {{ server 127.0.0.1:{server.port}; keepalive 4; }}\n"
        text = text.replace(f"proxy_pass http://127.0.0.1:{server.port}", "proxy_pass http://pool")
        assert "proxy_pass http://pool;" in text
    if pool == "bare":
        text = text.replace("proxy_set_header Connection close;", 'proxy_set_header Connection "";')
    (root / "gambeson-web.conf").write_text(text)
    (root / "decision-api-key.conf").write_text(files["decision-api-key.conf.secret"])
    (root / "nginx.conf").write_text(WRAP.format(root=root, more=more))
    command = [str(NGINX), "-c", str(root / "nginx.conf"), "-p", str(root), "-e", str(root / "error.log")]
    tested = await asyncio.create_subprocess_exec(
        *command, "-t", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await tested.communicate()
    assert tested.returncode == 0, said.decode()
    assert b"[warn]" not in said, said.decode()
    process = await asyncio.create_subprocess_exec(*command)
    try:
        for _ in range(100):
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield Stage(api, server, port, root)
    finally:
        process.terminate()
        await process.wait()
        api.close()
        shutil.rmtree(root, ignore_errors=True)


def staged(main: Callable[[Stage], Awaitable[None]], **options: object) -> None:
    """One conversation. The mail server takes the account's sealed password."""
    made = snapshot()
    certificate = options.pop("_certificate", b"")
    if isinstance(certificate, bytes) and certificate:
        shown = Credential(
            "k-nginx", "o", "d1", CredentialKind.CERTIFICATE, hashlib.sha256(certificate).hexdigest()
        )
        made = replace(made, credentials=(*made.credentials, shown))
    accounts = tuple(
        replace(
            a,
            sealed_password=keys().sealer.seal(SEALED.encode(), account_context("o", a.id)),
            upstream_login="",
        )
        if a.organisation == "o"
        else a
        for a in made.accounts
    )

    policies = tuple(replace(p, modes=(ModeEntry(DoorKind.OWA, Mode.OBSERVE, 4e9),)) for p in made.policies)

    async def conversation(gates: Gates) -> None:
        install(gates.gate, gates.door, load_clients())
        async with before(gates, **options) as stage:  # type: ignore[arg-type]
            await main(stage)

    run(conversation, replace(made, accounts=accounts, policies=policies))


ASKED = 120  # requests of each of two people


async def two_people(stage: Stage) -> None:
    """Every answer that one of them gets is her or his own."""
    people = (("alma@example.org", ALMA.text), ("bob@example.org", BOB.text))
    mine = {name: await stage.client() for name, _ in people}

    async def ask(name: str, secret: str, client: Web) -> None:
        reply = await client.poll(name, secret)
        assert reply.status == 200, reply
        assert reply.body == f"as {name}".encode(), f"{name} is taken for {reply.body.decode()}"

    for turn in range(ASKED // 2):
        for name, secret in people:
            await ask(name, secret, mine[name])
        fresh = [await stage.client() for _ in people] if turn % 4 == 0 else list(mine.values())
        await asyncio.gather(
            *(ask(name, secret, one) for (name, secret), one in zip(people, fresh, strict=True))
        )


class TestIdentity:
    def test_nobody_inherits_anothers_sign_in(self) -> None:
        async def conversation(stage: Stage) -> None:
            alma = await stage.client()
            assert (await alma.poll("alma@example.org", ALMA.text)).body == b"as alma@example.org"
            assert (await alma.poll("alma@example.org", ALMA.text)).body == b"as alma@example.org"
            # A new client that proved nothing gets nothing of it: the decision refuses.
            stranger = await stage.client()
            reply = await stranger.poll()
            assert reply.status == 401
            assert b"as " not in reply.body
            # Even one that passes without proof, as while a door only observes, comes on a connection of its own.
            for _ in range(3):
                reply = await (await stage.client()).get("/owa/")
                assert reply.body == b"nobody"
            connections = [number for number, *_ in stage.server.seen]
            assert len(connections) == 5
            assert len(set(connections)) == 5

        staged(conversation)

    def test_with_a_pool_it_would_be_inherited(self) -> None:
        """The proof that the test above can fail: the same server behind a pool of connections."""

        async def conversation(stage: Stage) -> None:
            alma = await stage.client()
            assert (await alma.poll("alma@example.org", ALMA.text)).status == 200
            assert (await (await stage.client()).get("/owa/")).body == b"as alma@example.org"

        staged(conversation, pool="bare")

    @pytest.mark.parametrize("pool", ["", "recipe"])
    def test_two_people_at_once_are_never_taken_for_each_other(self, pool: str) -> None:
        """Alma and Bob are both really signed in and ask in turn and at once, over connections to nginx that stay open
        and over new ones. With ``recipe`` somebody added a pool to what the recipe wrote."""

        async def conversation(stage: Stage) -> None:
            await two_people(stage)
            whose = [headers["authorization"] for _, _, headers, _ in stage.server.seen]
            assert len(set(whose)) == 2
            connections = [number for number, *_ in stage.server.seen]
            assert len(set(connections)) == len(connections) == 2 * ASKED

        staged(conversation, pool=pool)

    def test_in_a_bare_pool_one_is_taken_for_the_other(self) -> None:
        """The proof that the test above can fail."""

        async def conversation(stage: Stage) -> None:
            with pytest.raises(AssertionError, match="is taken for"):
                await two_people(stage)

        staged(conversation, pool="bare")

    @pytest.mark.parametrize(
        "proof", ["NTLM TlRMTVNTUAABAAAA", "Negotiate YII=", "negotiate YII=", "Basic x, NTLM y"]
    )
    @pytest.mark.parametrize("target", [POLL, "/owa/", "/.gambeson/leave"])
    def test_proofs_of_a_connection_are_refused(self, proof: str, target: str) -> None:
        async def conversation(stage: Stage) -> None:
            reply = await (await stage.client()).get(target, f"Authorization: {proof}")
            assert reply.status == 403
            assert stage.server.seen == []

        staged(conversation)

    def test_the_server_s_challenges_do_not_reach_the_client(self) -> None:
        async def conversation(stage: Stage) -> None:
            reply = await (await stage.client()).poll("alma@example.org", ALMA.text)
            assert reply.status == 200
            for name, value in reply.headers:
                assert "ntlm" not in value.lower()
                assert name != "persistent-auth"

        staged(conversation)


class TestCertificate:
    """A device that shows its certificate to nginx."""

    @pytest.mark.parametrize(("who", "status"), [("mine", 200), ("not in the table", 401), ("none", 401)])
    def test_it_counts_by_the_snapshot(self, who: str, status: int) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gnc-", dir="/tmp"))
        authority = folder / "devices.pem"
        authority.write_text(pki().device_ca.pem)
        mine, other = (pki().device_ca.issue(folder, name) for name in ("mine", "other"))

        async def conversation(stage: Stage) -> None:
            shown = {"mine": mine, "not in the table": other, "none": None}[who]
            client = await stage.client(DEVICES, shown)
            reply = await client.poll()
            assert reply.status == status, reply
            if status == 200:
                assert reply.body == b"as alma@example.org"
            else:
                assert stage.server.seen == []

        try:
            staged(conversation, host=DEVICES, authority=str(authority), _certificate=mine[2])
        finally:
            shutil.rmtree(folder)

    def test_a_header_is_no_certificate(self) -> None:
        async def conversation(stage: Stage) -> None:
            client = await stage.client()
            said = (
                "X-Gambeson-Verified: SUCCESS",
                "X-Gambeson-Certificate: x",
                "X-Gambeson-Client: 10.0.0.1",
            )
            reply = await client.poll("", "", *said)
            assert reply.status == 401
            assert stage.server.seen == []

        staged(conversation)


class TestDecision:
    def test_a_large_upload_is_not_gathered_first(self) -> None:
        async def conversation(stage: Stage) -> None:
            client = await stage.client()
            size = 8 << 20
            head = [
                f"POST {POLL} HTTP/1.1",
                f"Host: {MAIL}",
                f"Authorization: {basic('alma@example.org', ALMA.text)}",
                "Content-Type: application/vnd.ms-sync.wbxml",
                f"Content-Length: {size}",
            ]
            client.writer.write("\r\n".join([*head, "", ""]).encode() + bytes(1 << 20))
            for _ in range(100):
                if stage.server.begun:
                    break
                await asyncio.sleep(0.05)
            assert stage.server.begun  # while most of it is still here
            client.writer.write(bytes(size - (1 << 20)))
            assert b" 200 " in await client.reader.readline()
            assert stage.server.seen[0][3] == size

        staged(conversation)

    def test_what_the_server_is_told(self) -> None:
        async def conversation(stage: Stage) -> None:
            client = await stage.client()
            reply = await client.poll(
                "alma@example.org",
                ALMA.text,
                "Cookie: a=b; __Host-gambeson-session=t",
                "X-Forwarded-For: 9.9.9.9",
                "X-Real-IP: 9.9.9.9",
                "X-API-Key: mine",
                "X-Original-URI: /ecp/",
                "X-Remote-User: root",
            )
            assert reply.status == 200, reply
            ((_, line, headers, length),) = stage.server.seen
            assert line == f"POST {POLL} HTTP/1.1"
            assert length == 2
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert ALMA.text not in base64.b64decode(headers["authorization"][6:]).decode()
            assert headers.get("cookie", "") == "a=b"
            gone = {"x-real-ip", "x-api-key", "x-original-uri", "x-remote-user", "x-gambeson-client"}
            assert not gone & set(headers)
            assert KEY not in str(headers)

        staged(conversation)

    @pytest.mark.parametrize(
        ("target", "headers", "status"),
        [
            ("/powershell/", (), 404),
            ("/PowerShell/x", (), 404),
            ("/rpc/rpcproxy.dll", (), 404),
            ("/ecp/default.aspx", (), 404),
            ("/nothing", (), 403),
            ("/owa/..%2fecp/", (), 403),
            ("/owa/", ("X-Gambeson-User: root",), 403),
            ("/owa/", ("X-BEResource: x",), 403),
            (POLL, (), 403),  # GET
            ("/.gambeson-decision", (), 404),
        ],
    )
    def test_closed(self, target: str, headers: tuple[str, ...], status: int) -> None:
        async def conversation(stage: Stage) -> None:
            reply = await (await stage.client()).get(target, *headers)
            assert reply.status == status, reply
            assert stage.server.seen == []

        staged(conversation)

    @pytest.mark.parametrize(
        ("method", "headers", "body"),
        [
            ("POST", ("Content-Length: 0",), b""),
            ("POST", (), b""),
            ("POST", ("Transfer-Encoding: chunked",), b""),
            ("POST", ("Content-Length: 0", "X-Gambeson-Length: 9"), b""),
            ("POST", (), FIND_ITEM),
            ("GET", (), b""),
            ("HEAD", (), b""),
        ],
    )
    def test_ews_does_not_pass_unseen(self, method: str, headers: tuple[str, ...], body: bytes) -> None:
        """No operation comes this way that nobody looked at, and one without a body asks for none."""

        async def conversation(stage: Stage) -> None:
            client = await stage.client()
            given = f"Authorization: {basic('alma@example.org', ALMA.text)}"
            chunked = b"0\r\n\r\n" if "Transfer-Encoding: chunked" in headers else b""
            said = (
                "Content-Type: text/xml; charset=utf-8",
                "User-Agent: Mac OS X/13.0 (22A380) ExchangeWebServices",
            )
            sent = asyncio.ensure_future(
                client.get("/EWS/Exchange.asmx", given, *said, *headers, method=method, body=body)
            )
            await asyncio.sleep(0)
            client.writer.write(chunked)
            reply = await sent
            assert reply.status == 403, reply
            assert stage.server.seen == []
            # What had no body leaves nothing behind: the same connection asks on.
            if not body:
                assert (await client.poll("alma@example.org", ALMA.text)).status == 200

        staged(conversation)

    def test_a_browser_is_led_to_the_portal_and_comes_back(self) -> None:
        async def conversation(stage: Stage) -> None:
            client = await stage.client(WEBMAIL)
            reply = await client.get("/?_task=mail", "Accept: text/html", "Sec-Fetch-Mode: navigate")
            assert reply.status == 303, reply
            assert reply.header("location").startswith(f"https://{PORTAL}:8443/enter?")
            assert "__Host-gambeson-state=" in reply.header("set-cookie")
            reply = await client.get("/.gambeson/leave", "Accept: text/html")
            assert reply.status == 200
            assert b"<form" in reply.body
            token = stage.api.gates.console.token(host=WEBMAIL)
            reply = await client.get("/?_task=mail", f"Cookie: __Host-gambeson-session={token}; mine=1")
            assert reply.status == 200, reply
            assert stage.server.seen[-1][2]["cookie"] == "mine=1"

        staged(conversation, host=WEBMAIL, product="roundcube", unbound=True)

    @pytest.mark.parametrize("how", ["gone", "wrong key", "not ready"])
    def test_where_the_api_does_not_answer_nothing_passes(self, how: str) -> None:
        async def conversation(stage: Stage) -> None:
            if how == "gone":
                stage.api.close()
            elif how == "not ready":
                stage.api.gates.door.index = None
            else:
                object.__setattr__(stage.api.listener.api._settings, "digest", bytes(32))
            for _ in range(2):
                reply = await (await stage.client()).poll("alma@example.org", ALMA.text)
                assert reply.status in (401, 403, 503), reply
            assert stage.server.seen == []

        staged(conversation)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "MAIL; }"},
        {"host": MAIL, "upstream": "http://10.0.0.1"},
        {"host": MAIL, "upstream": "https://x/;"},
        {"api": "10.0.0.1:9480"},
        {"key": 'a"; include /etc/passwd; #'},
        {"nonce": "a b"},
        {"host": MAIL, "upstream": "https://x", "product": "other"},
        {"host": MAIL, "upstream": "https://x", "listen": "443 default_server"},
        {"certificate": "relative"},
    ],
)
def test_nothing_strange_gets_into_a_recipe(wrong: dict[str, str]) -> None:
    with pytest.raises(RecipeError):
        Engine(**wrong)


def test_the_recipes_are_named_by_the_command() -> None:
    assert set(ENGINE_RECIPES) <= set(guard_export.NAMES)
    assert BOB.text not in str(ENGINE_RECIPES["nginx"](Facts(engine=Engine(host=MAIL, upstream="https://x"))))
