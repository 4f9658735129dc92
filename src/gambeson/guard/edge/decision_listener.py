"""The decision API's sockets: HTTP/1.1 of the least kind, for an engine on the same machine.

On loopback or a Unix socket only (the settings see to that); at the Unix socket the kernel says whose process connects.
Connections stay open between questions. Limits hold for everything: head, body, connections, requests waiting,
questions a second. What is over a limit is refused, which both recipes take for a refusal of the client.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from gambeson.guard.core.decision_api import ApiAnswer
from gambeson.process.unix_listen import peer_user

from .decision_api import DecisionApi, Headers

if TYPE_CHECKING:
    from .door import Door

MAX_HEAD = 32768  # octets: an nginx sub-request carries the client's whole head, and a certificate
MAX_BODY = 16384
MAX_HEADERS = 120
MAX_CONNECTIONS = 512
MAX_WAITING = 16  # requests that one connection has sent ahead
MAX_RATE = 5000  # questions a second, all connections together
HEAD_SECONDS = 10.0  # for one request, from its first octet
IDLE_SECONDS = 75.0
_BURST = 2.0  # seconds of the rate that may come at once
_BLANKS = b" \t"


class DecisionListener:
    """One listening socket of the decision API. The socket is ours from here on; ``stop`` closes it."""

    def __init__(self, door: Door, api: DecisionApi, name: str, sock: socket.socket, uid: int = -1) -> None:
        self._door, self.api, self.name = door, api, name
        self._sock, self._uid = sock, uid
        self.turned_away = api.turned_away
        self.connections: set[ApiConnection] = set()
        self.open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._credit, self._at = MAX_RATE * _BURST, 0.0

    def start(self) -> None:
        """Begin to accept."""
        self._sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def stop(self) -> None:
        """Accept nobody any more; what is being answered is answered, then its connection ends."""
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
        for connection in tuple(self.connections):
            connection.finish()

    def may_ask(self) -> bool:
        """Whether one more question fits into this second."""
        now = self._door.loop.time()
        self._credit = min(MAX_RATE * _BURST, self._credit + (now - self._at) * MAX_RATE)
        self._at = now
        if self._credit < 1.0:
            self.turned_away["too many questions"] += 1
            return False
        self._credit -= 1.0
        return True

    def _accept(self) -> None:
        for _ in range(self._door.settings.limits.accept_burst):
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            sock.setblocking(False)
            why = ""
            if sock.family == socket.AF_UNIX:
                why = _peer(sock, self._uid)
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.open >= MAX_CONNECTIONS:
                why = "too many connections"
            if why:
                self.turned_away[why] += 1
                sock.close()
                continue
            self.open += 1
            task = self._door.loop.create_task(self._open(sock))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, sock: socket.socket) -> None:
        try:
            await self._door.loop.connect_accepted_socket(lambda: ApiConnection(self), sock)
        except OSError:
            self.turned_away["lost"] += 1
            self.open -= 1


class ApiConnection(asyncio.Protocol):
    """One connection: requests in, answers out in their order."""

    def __init__(self, listener: DecisionListener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[str, str, str, Headers, bytes, bool] | int] = deque()
        self._work: asyncio.Task[None] | None = None
        self._ending = False
        self._wrong = 0
        self._fed = 0  # octets of the request that comes
        self._begin()
        self._partial = False

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._listener.connections.add(self)
        self._patience(IDLE_SECONDS)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._listener.connections.discard(self)
        self._listener.open -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        if self._ending:
            return
        if not self._partial:
            self._partial = True
            self._patience(HEAD_SECONDS)
        try:
            # In pieces, so that what the parser keeps of a line is bounded too.
            for at in range(0, len(data), MAX_BODY):
                self._fed += len(data[at : at + MAX_BODY])
                self._parser.feed_data(data[at : at + MAX_BODY])
                if self._fed > (MAX_HEAD if self._in_head else MAX_HEAD + 2 * MAX_BODY):
                    self._wrong = self._wrong or 431
                if self._wrong:
                    break
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._wrong = self._wrong or 400
        if self._wrong:
            self._ending = True
            self._waiting.append(self._wrong)
        elif len(self._waiting) > MAX_WAITING:
            self._abort()
            return
        if self._waiting and self._work is None:
            self._work = self._loop.create_task(self._answer_all())

    def eof_received(self) -> bool:
        """Nothing more comes; what was asked is still answered."""
        self._ending = True
        return self._work is not None or bool(self._waiting)

    def finish(self) -> None:
        """No more than what was asked already."""
        self._ending = True
        if self._work is None and self._transport is not None:
            self._transport.close()

    # -- the parser's side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._size(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._size(len(name) + len(value) + 4)
        if len(self._headers) >= MAX_HEADERS:
            self._wrong = self._wrong or 431
        if not self._wrong:
            self._headers.append((name.lower(), value.strip(_BLANKS)))

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            self._wrong = self._wrong or 505
        self._in_head = False
        names = {name for name, _ in self._headers}
        if b"expect" in names:
            self._wrong = self._wrong or 417
        if b"upgrade" in names:
            self._wrong = self._wrong or 400

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if len(self._body) + len(body) > MAX_BODY:
            self._wrong = self._wrong or 413
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._wrong:
            return
        method = self._parser.get_method().decode("ascii", "replace")
        path, _, query = self._url.decode("latin-1").partition("?")
        keep = self._parser.should_keep_alive()
        self._waiting.append((method, path, query, self._headers, bytes(self._body), keep))
        self._partial = False
        self._fed = 0

    def _begin(self) -> None:
        self._url = b""
        self._headers: Headers = []
        self._body = bytearray()
        self._head = 0
        self._in_head = True
        self._partial = True

    def _size(self, octets: int) -> None:
        self._head += octets
        if self._head > MAX_HEAD:
            self._wrong = self._wrong or 431

    # -- answers

    async def _answer_all(self) -> None:
        while self._waiting:
            asked = self._waiting.popleft()
            if isinstance(asked, int):
                self._write(ApiAnswer(asked, close=True), head=False)
                return
            method, path, query, headers, body, keep = asked
            if self._listener.may_ask():
                answer = await self._listener.api.answer(method, path, query, headers, body)
            else:
                answer = ApiAnswer(503, (("retry-after", "1"),))
            if answer.wait:
                await asyncio.sleep(answer.wait)
            close = answer.close or not keep or (self._ending and not self._waiting)
            self._write(answer, head=method == "HEAD", close=close)
            if close:
                return
        self._work = None
        if not self._partial:
            self._patience(IDLE_SECONDS)

    def _write(self, answer: ApiAnswer, *, head: bool, close: bool = True) -> None:
        if self._transport is None:
            return
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Answer"
        lines = [f"HTTP/1.1 {answer.status} {phrase}"]
        lines += [f"{name}: {_line(value)}" for name, value in answer.headers]
        if answer.status != 204:
            lines.append(f"content-length: {len(answer.body)}")
        if close:
            lines.append("connection: close")
        octets = "\r\n".join((*lines, "", "")).encode("latin-1", "replace")
        self._transport.write(octets if head or answer.status == 204 else octets + answer.body)
        if close:
            self._ending = True
            self._transport.close()

    def _patience(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tired)

    def _tired(self) -> None:
        if self._work is not None:  # somebody waits for us, not we for them
            self._patience(HEAD_SECONDS)
        else:
            self._abort()

    def _abort(self) -> None:
        self._ending = True
        if self._transport is not None:
            self._transport.abort()


def _peer(sock: socket.socket, uid: int) -> str:
    try:
        return "" if peer_user(sock) == uid else "not the engine's user"
    except OSError:
        return "lost"


def _line(value: str) -> str:
    """Nothing that is said may begin another line."""
    return "".join(c if c == "\t" or " " <= c != "\x7f" else "?" for c in value)
