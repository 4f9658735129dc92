"""What the tests of the decision API share: a door with everything behind it, the API before it, a small client."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from gambeson.guard.data import decision_api_text
from gambeson.guard.edge.decision_api import DecisionApi
from gambeson.guard.edge.decision_listener import DecisionListener
from gambeson.guard.edge.decision_plan import DecisionSettings
from gambeson.model.snapshot import Snapshot
from guard.edge.web.gates import Gates, run

KEY = "the-key-of-the-tests-0123456789"


class Api:
    """The API on a port of loopback (or a Unix socket), inside a running loop."""

    def __init__(
        self, gates: Gates, unbound_cookies: bool = False, sock: socket.socket | None = None, uid: int = -1
    ) -> None:
        self.gates = gates
        gates.door.gate = gates.gate
        settings = DecisionSettings(
            ("api",), sha256(KEY.encode()).digest(), uid, unbound_cookies, decision_api_text()
        )
        self.sock = sock or socket.create_server(("127.0.0.1", 0))
        self.port = 0 if sock else int(self.sock.getsockname()[1])
        self.listener = DecisionListener(gates.door, DecisionApi(gates.door, settings), "api", self.sock, uid)
        self.listener.start()

    def close(self) -> None:
        self.listener.stop()

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Client(reader, writer)

    async def ask(self, command: str, **facts: Any) -> dict[str, Any]:
        """One command as Dovecot asks it."""
        client = await self.client()
        reply = await client.post(f"/?command={command}", facts)
        client.close()
        assert reply.status == 200, reply
        found: dict[str, Any] = json.loads(reply.body)
        return found


class Reply:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body!r}"


class Client:
    """One connection to the API (or to an engine before it)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(
        self, method: str, target: str, *headers: str, body: bytes = b"", key: str = KEY
    ) -> Reply:
        lines = [f"{method} {target} HTTP/1.1", "Host: gambeson", *headers]
        if key:
            lines.append(f"X-API-Key: {key}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return await self.reply()

    async def post(self, target: str, facts: dict[str, Any], **more: Any) -> Reply:
        return await self.request("POST", target, body=json.dumps(facts).encode(), **more)

    async def sub_request(self, target: str, *headers: str, method: str = "GET", **ours: str) -> Reply:
        """As the recipe for nginx writes it."""
        host = ours.get("host", "mail.example.org")
        return await self.request(
            "GET",
            ours.get("path", "/auth_request"),
            f"X-Original-URI: {target}",
            f"X-Original-Method: {method}",
            f"X-Original-Host: {host}:443",
            f"X-Gambeson-Client: {ours.get('source', '203.0.113.7')}",
            *headers,
        )

    async def reply(self) -> Reply:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [(n.lower(), v.strip()) for n, _, v in (h.partition(":") for h in raw[1:-2])]
        reply = Reply(int(raw[0].split(" ")[1]), headers, b"")
        reply.body = await self.reader.readexactly(int(reply.header("content-length") or 0))
        return reply

    async def ended(self) -> bytes:
        try:
            return await self.reader.read(-1)
        except ConnectionResetError:  # octets of ours were still on the way
            return b""

    def close(self) -> None:
        self.writer.close()


def with_api(
    main: Callable[[Api], Awaitable[None]], made: Snapshot | None = None, unbound_cookies: bool = False
) -> None:
    """One test's conversation."""

    async def conversation(gates: Gates) -> None:
        api = Api(gates, unbound_cookies)
        try:
            await main(api)
        finally:
            api.close()

    run(conversation, made)
