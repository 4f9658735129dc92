"""What stands behind nginx's ``auth_http``: a small service that checks a device secret.

As lean as such a service can be in Python: one asyncio protocol on uvloop, no framework, the accounts in memory. It
does what must be done for a login that nobody enters with a password alone: parse, find the secret by its public id,
compare its keyed hash in constant time, check that the name is the account's, write one line of record, and answer
with the master sign-in for the mail server. It has no policy, no throttle, no snapshot and no keeper.

Arguments: port, JSON file of ``{"accounts": [[name, secret]...], "backend": port, "master": [login, password]}``,
file for the record.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import sys
import time
from hashlib import blake2b
from typing import cast
from urllib.parse import unquote

import uvloop

from gambeson.model import device_secret

REFUSED = b"HTTP/1.0 200 OK\r\nAuth-Status: This device is not registered\r\nAuth-Wait: 3\r\n\r\n"


class Service:
    """The accounts, and where the record goes."""

    def __init__(self, given: str, record: str) -> None:
        with open(given) as file:
            document = json.load(file)
        self.key = secrets.token_bytes(32)
        self.backend = int(document["backend"])
        self.master, self.password = document["master"]
        self.record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.known: dict[str, tuple[str, bytes]] = {}
        for name, text in document["accounts"]:
            secret = device_secret.parse(text)
            assert secret is not None
            self.known[secret.public_id] = (name, self.hashed(secret.text))

    def hashed(self, text: str) -> bytes:
        """The keyed hash that is kept of a secret."""
        return blake2b(text.encode(), key=self.key, digest_size=32).digest()

    def answer(self, request: bytes) -> bytes:
        """The answer to one request of nginx."""
        headers = dict(
            line.split(": ", 1) for line in request.decode("latin-1").split("\r\n")[1:] if ": " in line
        )
        name, given = unquote(headers.get("Auth-User", "")), unquote(headers.get("Auth-Pass", ""))
        secret = device_secret.parse(given)
        owner, stored = self.known.get(secret.public_id if secret else "", ("", bytes(32)))
        good = secret is not None and hmac.compare_digest(self.hashed(secret.text), stored) and name == owner
        event = {"at": time.time(), "name": name, "source": headers.get("Client-IP", ""), "good": good}
        os.write(self.record, json.dumps(event).encode() + b"\n")
        if not good:
            return REFUSED
        return (
            f"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {self.backend}\r\n"
            f"Auth-User: {name}*{self.master}\r\nAuth-Pass: {self.password}\r\n\r\n"
        ).encode()


class Connection(asyncio.Protocol):
    """One request."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """nginx is there."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer when the request is whole."""
        self.got += data
        if self.got.endswith(b"\r\n\r\n"):
            self.transport.write(self.service.answer(self.got))
            self.transport.close()
        elif len(self.got) > 16384:
            self.transport.abort()


async def main() -> None:
    """Serve until told to stop."""
    service = Service(sys.argv[2], sys.argv[3])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
