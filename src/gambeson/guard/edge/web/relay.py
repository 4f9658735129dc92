"""Forwarding: what a gate lets through goes out on the client's own upstream connection, and the answer comes back.

One request at a time. Neither side's octets are kept: a peer that does not take them stops the reading of the other.
Only an answer that the verdict rewrites is kept until it is whole, and it has a limit.
When the identity on the client's connection changes, the upstream connection does not go on with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gambeson.guard.core.web.verdict import Forward
from gambeson.guard.edge.splice import Splice
from gambeson.guard.edge.upstream import Unreachable
from gambeson.model.access import AccessRequest
from gambeson.model.web import Product, WebSignIn
from gambeson.wire.http_body import LAST_CHUNK, chunk
from gambeson.wire.http_forward import AnswerHead, request_head, response_head, with_cookies
from gambeson.wire.http_head import RequestHead

from .memory import HEAP
from .upstream import Upstream, binding, open_upstream, proxy_header

if TYPE_CHECKING:
    from .connection import WebConnection

_HEADER, _PORTAL = WebSignIn.HEADER, Product.PORTAL
_BINDING = ("ntlm", "negotiate")  # schemes that sign in the connection, not the request (RFC 4559)


class Relay:
    """One a client connection, made with its first forwarded request."""

    __slots__ = (
        "_bound",
        "_chunked_out",
        "_client",
        "_forward",
        "_head",
        "_held",
        "_opening",
        "_out",
        "_upstream",
        "_whose",
        "_written",
        "answering",
    )

    def __init__(self, client: WebConnection) -> None:
        self._client = client
        self._upstream: Upstream | None = None
        self._opening: asyncio.Task[None] | None = None
        self._forward: Forward | None = None
        self._head: RequestHead | None = None
        self._out = b""
        self._bound = False  # the server has signed in the connection itself, or offered to
        self._chunked_out = False
        self._held: tuple[AnswerHead, bytearray] | None = None  # an answer that will be rewritten
        self._whose: tuple[AccessRequest | None, tuple[str, ...] | None] = (None, None)
        # The last answer's head as it was written, and what it was made from.
        self._written: tuple[AnswerHead, object, bytes] | None = None
        self.answering = False  # the head of the answer has gone out

    def start(self, forward: Forward, head: RequestHead, peeked: bytes) -> bool:
        """Send a request on. ``peeked`` are octets of the body that were read for the verdict. False where the verdict
        can't be carried out."""
        request, site = head.request, forward.site
        try:
            out = request_head(
                request,
                forward.headers,
                named=head.named,
                authorization=forward.authorization,
                length=head.length,
                chunked=head.chunked,
                websocket=head.websocket,
                never=site.header if site.web_sign_in is _HEADER else "",
                ours=site.product is _PORTAL,
            )
        except ValueError:
            return False
        self._forward, self._head = forward, head
        self._held = None
        self.answering = False
        if self._whose[0] is not forward.access:
            self._whose = (forward.access, binding(forward.access))
        identity = self._whose[1]
        upstream = self._upstream
        if upstream is not None and (
            not upstream.usable
            or (upstream.endpoint is not site.endpoint and upstream.endpoint != site.endpoint)
            or (identity is not None and upstream.identity not in (None, identity))
            or (self._bound and upstream.identity != identity)
        ):
            self._let_go()
            upstream = None
        if forward.authorization and request.header("authorization")[:9].lower().startswith(_BINDING):
            self._bound = True
        self._out = out + self._framed(peeked) if peeked else out
        if upstream is not None:
            if identity is not None:
                upstream.identity = identity
            self._send(upstream)
        else:
            client = self._client
            upstream = self._upstream = Upstream(self, site.endpoint, identity)
            client.opening()
            self._opening = client.door.loop.create_task(self._open(upstream))
        return True

    async def _open(self, upstream: Upstream) -> None:
        client = self._client
        door = client.door
        timeouts = door.settings.timeouts
        header = proxy_header(upstream.endpoint, client.source, client.port, client.local)
        try:
            await open_upstream(upstream, door.trust, timeouts.connect, timeouts.shutdown, header)
        except TimeoutError:
            self._failed(
                upstream, 504, "upstream-silent", f"no connection within {timeouts.connect:g} seconds"
            )
        except Unreachable as error:
            self._failed(upstream, 502, "upstream-unreachable", str(error))
        else:
            transport = upstream.transport
            if upstream is not self._upstream or transport is None:
                upstream.release()
                return
            if transport.is_closing():
                self._failed(upstream, 502, "upstream-lost", "the mail server closed the connection")
                return
            self._opening = None
            client.shape(transport)
            if client.slow:
                transport.pause_reading()
            self._send(upstream)

    def _failed(self, upstream: Upstream, status: int, reason: str, why: str) -> None:
        if upstream is self._upstream:
            self._opening = None
            self._let_go()
            self._client.failed(status, reason, why)

    def _send(self, upstream: Upstream) -> None:
        head, transport = self._head, upstream.transport
        assert head is not None
        assert transport is not None
        upstream.expect(head.request.method == "HEAD")
        out, self._out = self._out, b""
        piece, done = self._client.forwarding()
        if piece or done:
            out += self._framed(piece)
            if done and head.chunked:
                out += LAST_CHUNK
        transport.write(out)

    def _framed(self, piece: bytes) -> bytes:
        head = self._head
        return chunk(piece) if piece and head is not None and head.chunked else piece

    def body(self, piece: bytes, done: bool) -> None:
        """More of the request's body."""
        upstream, head = self._upstream, self._head
        if upstream is None or upstream.transport is None or head is None:
            return
        if not head.chunked:
            upstream.transport.write(piece)
            return
        out = chunk(piece) if piece else b""
        if done:
            out += LAST_CHUNK
        if out:
            upstream.transport.write(out)

    def pause(self) -> None:
        """The client does not take what the server sends."""
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.pause_reading()

    def resume(self) -> None:
        """The client takes octets again."""
        upstream = self._upstream
        if upstream is not None and upstream.transport is not None and not upstream.transport.is_closing():
            upstream.transport.resume_reading()

    @property
    def bound(self) -> bool:
        """Whether the server has signed in the connection itself, or offered to."""
        return self._bound

    @property
    def alive(self) -> bool:
        """Whether the server's connection stands."""
        upstream = self._upstream
        return upstream is not None and upstream.transport is not None and not upstream.transport.is_closing()

    def rest(self) -> None:
        """No request has come for a while: forget the last one. The server's connection goes too, for it is the larger
        half of what an idle client costs; not one that the server has signed in."""
        self._forward = self._head = None
        self._out = b""
        self._whose, self._written = (None, None), None
        HEAP.rested += 1
        if not self._bound:
            self._let_go()
        elif self._upstream is not None:
            self._upstream.rest()

    def release(self) -> None:
        """The client is gone, or nothing more is to be forwarded."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._let_go()

    def _let_go(self) -> None:
        upstream, self._upstream = self._upstream, None
        self._bound = False
        self._held = None
        if upstream is not None:
            upstream.release()

    # -- the upstream connection's side

    def heard(self, octets: int) -> None:
        """The server has sent something."""
        self._client.heard(octets)

    def upstream_full(self) -> None:
        """The server does not take what the client sends."""
        self._client.upstream_full()

    def upstream_ready(self) -> None:
        """The server takes octets again."""
        self._client.upstream_ready()

    def interim(self, head: AnswerHead) -> None:
        """An interim answer. 100 is the door's own affair, 103 names things to load before the verdict on them."""
        request = self._head
        if head.status not in (100, 103) and request is not None and not request.old:
            self._client.write(response_head(AnswerHead(head.status, head.reason, ())))

    def answer_head(
        self, upstream: Upstream, head: AnswerHead, piece: bytes, done: bool, until_close: bool
    ) -> None:
        """The answer's head, and what came of its body with it."""
        client, forward, request = self._client, self._forward, self._head
        if upstream is not self._upstream or forward is None or request is None:
            return
        if client.door.request_log is not None:
            client.answering(head.status)
        if forward.rewrite is not None:
            self._held = (head, bytearray())
            self._hold(upstream, forward, piece, done)
            return
        self.answering = True
        if head.status == 401 and any(
            name == "www-authenticate" and value[:9].lower().startswith(_BINDING)
            for name, value in head.headers
        ):
            self._bound = True
        bodiless = upstream.head_only or head.status in (204, 304)
        self._chunked_out = (head.chunked or until_close) and not bodiless and not request.old
        close = (
            client.closes or client.door.stopping or (self._bound and (not head.keep_alive or until_close))
        )
        if forward.answered is not None:
            forward.answered(head.status)
        out = self._written_head(head, forward, close)
        if self._chunked_out:
            if piece:
                out += chunk(piece)
            if done:
                out += LAST_CHUNK
        elif piece:
            out += piece
        transport = client.transport
        if transport is not None:
            transport.write(out)
        if close:
            client.closes = True
        if done:
            client.answered()

    def _written_head(self, head: AnswerHead, forward: Forward, close: bool) -> bytes:
        """The answer's head for the client; the last one again where all that it is made from is the same."""
        given = (forward.actions, forward.cookies, self._chunked_out, close, forward.site.product)
        last = self._written
        if last is not None and last[0] is head and last[1] == given:
            return last[2]
        bound = with_cookies(head, forward.set_cookie)
        out = response_head(
            bound,
            forward.actions,
            forward.cookies,
            length=-1 if self._chunked_out or head.status in (204, 304) else head.length,
            chunked=self._chunked_out,
            close=close,
            ours=forward.site.product is Product.PORTAL,
        )
        # Cookies are bound to a session: an answer that sets any is written anew each time.
        self._written = (head, given, out) if bound is head else None
        return out

    def answer_body(self, upstream: Upstream, piece: bytes, done: bool) -> None:
        """More of the answer's body."""
        if upstream is not self._upstream:
            return
        client = self._client
        if self._held is not None and self._forward is not None:
            self._hold(upstream, self._forward, piece, done)
            return
        if self._chunked_out:
            piece = chunk(piece) if piece else b""
            if done:
                piece += LAST_CHUNK
        if piece:
            client.write(piece)
        if done:
            client.answered()

    def _hold(self, upstream: Upstream, forward: Forward, piece: bytes, done: bool) -> None:
        """More of an answer that will be rewritten; the whole of it goes out in its new form."""
        assert self._held is not None
        assert forward.rewrite is not None
        client, (head, body) = self._client, self._held
        body += piece
        if len(body) > forward.rewrite_limit:
            self._let_go()
            client.failed(502, "answer-too-long", f"more than {forward.rewrite_limit} octets to rewrite")
            return
        if not done:
            return
        self._held = None
        try:
            made = forward.rewrite(head.status, head.headers, bytes(body))
        except Exception as error:
            made, why = None, f"rewriting failed: {type(error).__name__}"
        else:
            why = f"an answer {head.status} that can't be rewritten"
        if forward.answered is not None:
            forward.answered(head.status)
        if made is None:
            self._let_go()
            client.failed(502, "answer-not-rewritten", why)
            return
        bodiless = upstream.head_only or head.status in (204, 304)
        self.answering = True
        close = client.closes or client.door.stopping
        out = response_head(
            with_cookies(head, forward.set_cookie),
            forward.actions,
            forward.cookies,
            length=-1 if bodiless else len(made),
            close=close,
        )
        client.write(out if bodiless else out + made)
        if close:
            client.closes = True
        client.answered()

    def upstream_lost(self, upstream: Upstream, why: str) -> None:
        """The server's connection is gone, or can't be trusted any more."""
        if upstream is not self._upstream or self._opening is not None:
            return  # while it is being opened, the opening says so itself
        bound = self._bound
        self._let_go()
        self._client.server_gone(why, bound)

    def switched(self, upstream: Upstream, head: AnswerHead) -> None:
        """101: from now on both sides speak WebSocket (RFC 6455), and octets are passed as they come."""
        request, forward, client = self._head, self._forward, self._client
        session, transport = client.session, upstream.transport
        if (
            request is None
            or not request.websocket
            or forward is None
            or session is None
            or transport is None
            or upstream is not self._upstream
        ):
            self.upstream_lost(upstream, "the mail server changed the protocol unasked")
            return
        out = response_head(with_cookies(head, forward.set_cookie), forward.actions, forward.cookies)
        out = out[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n" + upstream.leftover()
        self._upstream = None
        client.answering(101)
        taken = client.hand_over()
        if taken is None:
            transport.abort()
            return
        own, pending = taken
        door = client.door
        session.idle_limit = door.settings.web.websocket
        door.wheel.remove(session)
        door.wheel.put(session, door.wheel.now + session.idle_limit)
        limits, timeouts = door.settings.limits, door.settings.timeouts
        Splice(session, own, transport, door.wheel, limits.write_high, timeouts.farewell).begin(pending, out)
