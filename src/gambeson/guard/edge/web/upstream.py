"""The mail server's side of a client's connection: one for one, never shared.

A server that authenticates the connection (NTLM, Negotiate) takes whatever comes on it for the same person. So
the connection belongs to one client connection and to one identity on it, and ends with either.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from typing import TYPE_CHECKING, cast

from gambeson.guard.edge.tls import fingerprint, peer_certificate
from gambeson.guard.edge.upstream import Unreachable, UpstreamTrust, connect_unix, server_hostname
from gambeson.guard.edge.within import Within
from gambeson.model.access import AccessRequest
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.wire.http_body import BodyError, BodyReader, Chunked, Counted, UntilClose
from gambeson.wire.http_forward import MAX_ANSWER_HEAD, AnswerHead, AnswerReader
from gambeson.wire.http_target import HeadError
from gambeson.wire.proxyproto import build_v2

if TYPE_CHECKING:
    from .relay import Relay

_MAX_INTERIM = 100  # interim answers to one request


class Upstream(asyncio.Protocol):
    """Reads answers and hands them to its client connection. ``endpoint`` and ``identity`` are what it is bound to."""

    __slots__ = (
        "_answers",
        "_body",
        "_head",
        "_interim",
        "_kept",
        "client",
        "endpoint",
        "head_only",
        "identity",
        "transport",
        "waiting",
    )

    def __init__(self, client: Relay, endpoint: Endpoint, identity: object) -> None:
        self.client: Relay | None = client
        self.endpoint = endpoint
        self.identity = identity
        self.transport: asyncio.Transport | None = None
        self.waiting = False  # a request is out, its answer not whole
        self.head_only = False
        self._answers = AnswerReader()
        self._kept = bytearray()
        self._head: AnswerHead | None = None
        self._body: BodyReader | None = None
        self._interim = 0

    def expect(self, head_only: bool) -> None:
        """A request goes out now; its answer follows. ``head_only``: for HEAD."""
        self.waiting = True
        self.head_only = head_only
        self._head = self._body = None
        self._interim = 0

    @property
    def usable(self) -> bool:
        """Whether another request may go out."""
        transport = self.transport
        return transport is not None and not self.waiting and not transport.is_closing()

    def rest(self) -> None:
        """No answer is awaited: forget the last one."""
        self._answers.rest()
        if not self._kept:
            self._kept = bytearray()

    def release(self) -> None:
        """The client does not need it any more."""
        self.client = None
        if self.transport is not None:
            self.transport.abort()

    def leftover(self) -> bytes:
        """What came behind the head of an answer that changes the protocol; from now on somebody else reads."""
        self.client = None
        data = bytes(self._kept)
        self._kept.clear()
        return data

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        # uvloop's TLS transports are no subclass of asyncio's, only like one.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        client = self.client
        if client is None:
            return
        if not self.waiting:
            client.upstream_lost(self, "the mail server spoke unasked")
            return
        client.heard(len(data))
        try:
            if self._body is not None:
                self._take(client, data)
            else:
                self._read_heads(client, data)
        except (HeadError, BodyError) as error:
            client.upstream_lost(self, f"the mail server's answer is wrong: {error}")

    def eof_received(self) -> bool:
        """The server has finished sending."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; for an answer without a length that is its end."""
        client = self.client
        if client is None:
            return
        if self.waiting and isinstance(self._body, UntilClose) and exc is None:
            self.waiting = False
            client.answer_body(self, b"", True)
        client.upstream_lost(self, "the mail server closed the connection")

    def pause_writing(self) -> None:
        """The server does not take what the client sends."""
        if self.client is not None:
            self.client.upstream_full()

    def resume_writing(self) -> None:
        """The server takes octets again."""
        if self.client is not None:
            self.client.upstream_ready()

    # -- answers

    def _read_heads(self, client: Relay, data: bytes) -> None:
        """Heads of answers, interim ones first."""
        kept = self._kept
        last, head = self._answers.last
        if head is not None and not kept and head.status >= 200 and data.startswith(last):
            # The same octets as the last head, whose only empty line is its end.
            self._begin(client, head, data[len(last) :])
            return
        while True:
            if kept:
                searched = max(0, len(kept) - 3)
                kept += data
                end = kept.find(b"\r\n\r\n", searched)
                if end >= 0:
                    data = bytes(kept)
                    kept.clear()
            else:
                end = data.find(b"\r\n\r\n")
            if end < 0 or end + 4 > MAX_ANSWER_HEAD:
                if not kept:
                    kept += data
                if len(kept) > MAX_ANSWER_HEAD or end >= 0:
                    raise HeadError(502, "answer-too-long")
                return
            end += 4
            head = self._answers.read(data if end == len(data) else data[:end])
            data = data[end:]
            if head.status >= 200:
                self._begin(client, head, data)
                return
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise HeadError(502, "answer-interim")
            if head.status == 101:
                self._kept += data
                client.switched(self, head)
                return
            client.interim(head)
            if not data:
                return

    def _begin(self, client: Relay, head: AnswerHead, data: bytes) -> None:
        if len(data) == head.length and data and not self.head_only and head.status not in (204, 304):
            # All of it is here: the usual small answer.
            self._head = head
            self._finish(b"")
            client.answer_head(self, head, data, True, False)
            return
        self._head = head
        body: BodyReader
        if self.head_only or head.status in (204, 304):
            body = Counted(0)
        elif head.chunked:
            body = Chunked()
        elif head.length >= 0:
            body = Counted(head.length)
        else:
            body = UntilClose()
        self._body = body
        piece, rest = body.take(data) if data and not body.done else (b"", data)
        done = body.done
        if done:
            self._finish(rest)
        client.answer_head(self, head, piece, done, isinstance(body, UntilClose))

    def _take(self, client: Relay, data: bytes) -> None:
        body = self._body
        assert body is not None
        piece, rest = body.take(data)
        if body.done:
            self._finish(rest)
        if piece or body.done:
            client.answer_body(self, piece, body.done)

    def _finish(self, rest: bytes) -> None:
        """The answer is whole. What comes behind it was not asked for: then nothing more is."""
        head = self._head
        self.waiting = False
        if (rest or head is None or not head.keep_alive) and self.transport is not None:
            self.transport.abort()
        self._head = self._body = None


async def open_upstream(
    side: Upstream, trust: UpstreamTrust, seconds: float, shutdown: float, header: bytes
) -> None:
    """Connect ``side`` to its endpoint; ``header`` (a PROXY header) goes out first. Raises Unreachable, TimeoutError;
    also ends in Unreachable when the server is not who it should be."""
    try:
        with Within(asyncio.get_running_loop(), seconds):
            await _connect(side, side.endpoint, trust, seconds, shutdown, header)
    except (OSError, ssl.SSLError) as error:
        if side.transport is not None:
            side.transport.abort()
        if isinstance(error, TimeoutError):
            raise
        raise Unreachable(str(error) or type(error).__name__) from None
    except BaseException:
        if side.transport is not None:
            side.transport.abort()
        raise


async def _connect(
    side: Upstream, endpoint: Endpoint, trust: UpstreamTrust, seconds: float, shutdown: float, header: bytes
) -> None:
    loop = asyncio.get_running_loop()
    if endpoint.tls is UpstreamTls.STARTTLS:
        raise Unreachable("a web server has no STARTTLS")
    tls = trust.context(endpoint) if endpoint.tls is UpstreamTls.IMPLICIT else None
    options: dict[str, object] = {}
    if tls is not None and not header:
        options = {
            "ssl": tls,
            "server_hostname": server_hostname(endpoint),
            "ssl_handshake_timeout": seconds,
            "ssl_shutdown_timeout": shutdown,
        }
    if endpoint.unix:
        sock = await connect_unix(endpoint.unix)
        await loop.create_unix_connection(lambda: side, sock=sock, **options)  # type: ignore[arg-type]
    else:
        await loop.create_connection(lambda: side, endpoint.host, endpoint.port, **options)  # type: ignore[call-overload]
    if header:
        assert side.transport is not None
        side.transport.write(header)
        if tls is not None:
            side.transport = await loop.start_tls(
                side.transport,
                side,
                tls,
                server_hostname=server_hostname(endpoint),
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=shutdown,
            )
    if side.transport is None:
        raise Unreachable("the mail server closed the connection while TLS began")
    if tls is not None:
        _verify_pin(endpoint, fingerprint(peer_certificate(side.transport.get_extra_info("ssl_object"))))


def _verify_pin(endpoint: Endpoint, seen: str) -> None:
    if endpoint.pin and not hmac.compare_digest(seen, endpoint.pin.lower().replace(":", "")):
        raise Unreachable("the mail server's certificate is not the pinned one")


def proxy_header(endpoint: Endpoint, source: str, port: int, local: tuple[str, int]) -> bytes:
    """The PROXY header for an endpoint that wants one; empty for others."""
    return build_v2(source, port, *local) if endpoint.proxy_v2 else b""


def binding(access: AccessRequest | None) -> tuple[str, ...] | None:
    """Who the upstream connection is for; None for nobody in particular."""
    if access is None:
        return None
    who = access.identity
    return (who.organisation, who.account, who.device, who.credential, who.session, who.claimed)
