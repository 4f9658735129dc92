"""What stands behind ``auth_request``, ext_authz and ``forward_auth``: a small service that says who somebody is.

As lean as such a service can be in Python: one asyncio protocol on uvloop, llhttp, no framework. It does what must be
done so that nobody comes in with a password alone: take the session cookie or the Authorization header, find its keyed
hash among those it knows, and answer with the account's name, or with 401. The sessions and devices are given to it:
it verifies no signature, renews no session, and has no policy, no grammar, no shields, no throttle and no record.

Arguments: port, JSON file of ``{"sessions": {value: name}, "devices": {value: name}}`` (read again on SIGHUP).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from hashlib import blake2b
from typing import cast

import httptools
import uvloop

COOKIE = b"__Host-gambeson-session="
REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"


class Service:
    """Who is known, by the keyed hash of what they show."""

    def __init__(self, given: str) -> None:
        self._given = given
        self._key = secrets.token_bytes(32)
        self.load()

    def load(self) -> None:
        """Read the file."""
        with open(self._given) as file:
            document = json.load(file)
        known = {**document["sessions"], **document["devices"]}
        self._answers = {
            self._hashed(
                shown.encode()
            ): f"HTTP/1.1 200 OK\r\nx-user: {name}\r\ncontent-length: 0\r\n\r\n".encode()
            for shown, name in known.items()
        }

    def _hashed(self, shown: bytes) -> bytes:
        return blake2b(shown, key=self._key, digest_size=16).digest()

    def answer(self, cookie: bytes, authorization: bytes) -> bytes:
        """The answer to one question."""
        shown = authorization
        begin = cookie.find(COOKIE)
        if begin >= 0:
            shown = cookie[begin + len(COOKIE) :].partition(b";")[0]
        return self._answers.get(self._hashed(shown), REFUSED)


class Connection(asyncio.Protocol):
    """One connection of a proxy's."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._cookie = self._authorization = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The proxy is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp's."""
        name = name.lower()
        if name == b"cookie":
            self._cookie = value
        elif name == b"authorization":
            self._authorization = value

    def on_message_complete(self) -> None:
        """llhttp's."""
        self._transport.write(self._service.answer(self._cookie, self._authorization))
        self._cookie = self._authorization = b""


async def main() -> None:
    """Serve until told to stop."""
    service = Service(sys.argv[2])
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, service.load)
    server = await loop.create_server(
        lambda: Connection(service), "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
