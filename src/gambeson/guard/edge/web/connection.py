"""One client's HTTPS connection: heads in, verdicts, answers out.

A head is read only when the answer before it has gone: what a client sends ahead waits, a read's worth at most. The
body is framed to the octet, so none of it is ever read as a head. A task runs only where a verdict must be asked for
elsewhere or the mail server's connection is opened; everything else happens in the callbacks of the two connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict, WebClient
from gambeson.guard.edge.door_settings import ListenerSettings
from gambeson.guard.edge.networks import canonical, prefix
from gambeson.guard.edge.registry import Session, proof_of
from gambeson.guard.edge.splice import bound
from gambeson.guard.edge.tls import fingerprint, peer_certificate, server_name
from gambeson.wire.http_body import BodyError, BodyReader, Chunked, Counted
from gambeson.wire.http_head import MAX_HEAD, HeadError, RequestHead, RequestReader

from .pages import CONTINUE, octets, page
from .relay import Relay

if TYPE_CHECKING:
    from gambeson.guard.edge.door import Door

_BUSY, _FULL = 1, 2  # why nothing is read: a request is being served; the mail server does not take the body
_EMPTY_LINES = 4  # before a head (RFC 9112 section 2.2)
_TELL_EVERY = 10.0  # seconds between two records of a mail server that can't be reached
_PATH = 300  # characters of a path in the record


class Phase(Enum):
    """Where a connection stands."""

    OPENING = auto()  # accepted; PROXY header or TLS under way
    HEAD = auto()  # a head comes, or nothing does
    JUDGING = auto()  # a verdict is being asked for, or waits to be sent
    PEEK = auto()  # the body's beginning comes, for a verdict
    CONNECTING = auto()  # the mail server's connection is opened
    BODY = auto()  # the request's body goes on to the mail server
    ANSWER = auto()  # the request is out, its answer comes
    LINGER = auto()  # the last answer is out; what still comes is thrown away
    CLOSING = auto()
    HANDED_OVER = auto()  # a splice has the transport
    CLOSED = auto()


_HEAD, _JUDGING, _PEEK, _BODY, _ANSWER = Phase.HEAD, Phase.JUDGING, Phase.PEEK, Phase.BODY, Phase.ANSWER
_LINGER, _CLOSING, _CLOSED, _HANDED_OVER = Phase.LINGER, Phase.CLOSING, Phase.CLOSED, Phase.HANDED_OVER
_OVER = (Phase.LINGER, Phase.CLOSING, Phase.CLOSED, Phase.HANDED_OVER)


class WebConnection(asyncio.Protocol):
    """See the module's docstring. ``source`` and ``port`` are the client's, never a proxy's. ``closes``: the
    connection ends with the answer that is under way."""

    __slots__ = (
        "_answered",
        "_arrived",
        "_asked",
        "_body",
        "_head",
        "_heard",
        "_holds",
        "_kept",
        "_listener",
        "_peek",
        "_peeked",
        "_pumping",
        "_reader",
        "_refusals",
        "_relay",
        "_requested",
        "_site",
        "_slow_since",
        "_spoken",
        "_task",
        "_timer",
        "_window",
        "certificate",
        "client",
        "closes",
        "deadline",
        "door",
        "fingerprint",
        "idle",
        "phase",
        "port",
        "session",
        "sni",
        "source",
        "source_prefix",
        "spoke",
        "tls",
        "transport",
    )

    def __init__(self, door: Door, listener: ListenerSettings, source: str, port: int) -> None:
        self.door = door
        self._listener = listener
        self.source = source
        self.source_prefix = prefix(source)
        self.port = port
        self.phase = Phase.OPENING
        self.transport: asyncio.Transport | None = None
        self.tls = False
        self.certificate = b""
        self.fingerprint = ""
        self.sni = ""
        self.spoke = 0
        self.session: Session | None = None
        self.client = WebClient(source, port)
        self.closes = False
        self.idle = 0.0  # how long the mail server may be silent on this request
        self.deadline = door.loop.time() + door.settings.timeouts.handshake + door.settings.web.head
        self._asked = self.deadline  # when the wheel comes by
        self._reader = RequestReader()
        self._kept = bytearray()  # what came and is not read yet
        self._head: RequestHead | None = None
        self._body: BodyReader | None = None
        self._requested = self._answered = True  # of the present request: all sent on; all answered
        self._spoken = False  # 100 Continue was sent
        self._arrived = 0.0
        self._heard = 0.0
        self._window = 0
        self._holds = 0
        self._slow_since = 0.0
        self._pumping = False
        self._peek: Peek | None = None
        self._peeked: list[bytes] = []
        self._relay: Relay | None = None
        self._site = ""
        self._refusals = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def listener(self) -> ListenerSettings:
        """Where it came in."""
        return self._listener

    @property
    def disposable(self) -> bool:
        """Whether it may be dropped to make room for others: not while a request is being served."""
        return self.phase in (Phase.OPENING, _HEAD, _LINGER, _CLOSING)

    @property
    def slow(self) -> bool:
        """Whether the client does not take what is sent."""
        return bool(self._slow_since)

    @property
    def local(self) -> tuple[str, int]:
        """Our own address that the client came to; of a Unix socket the loopback address."""
        name = self.transport.get_extra_info("sockname") if self.transport is not None else None
        return (canonical(name[0]), name[1]) if isinstance(name, tuple) else ("127.0.0.1", 0)

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        # uvloop's TLS transports are no subclass of asyncio's, only like one.
        self.transport = transport = cast(asyncio.Transport, transport)
        if self.phase is _CLOSED or self.door.stopping:
            transport.abort()
            return
        self.shape(transport)
        if not self._listener.edge:
            handshake = transport.get_extra_info("ssl_object")
            self.tls = handshake is not None
            self.certificate = peer_certificate(handshake)
            self.fingerprint = fingerprint(self.certificate)
            self.sni = server_name(handshake)
        if not self.tls:
            self.drop("no TLS")
            return
        self.client = WebClient(self.source, self.port, self.sni, self.certificate, self.fingerprint)
        self.phase = _HEAD
        self.door.web.add(self)
        self._arm(self.door.settings.web.head)

    def shape(self, transport: asyncio.Transport) -> None:
        """Keep what waits in a transport small."""
        bound(transport, self.door.settings.limits.write_high)

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        phase = self.phase
        if phase is _BODY or phase is _PEEK:
            self._stream(data)
        elif phase is _HEAD:
            kept = self._kept
            if not kept:
                if data.find(b"\r\n\r\n") == len(data) - 4 and data[0] != 13 and not self._slow_since:
                    self._request(data)
                    return
                self._arm(self.door.settings.web.head)
            kept += data
            self._pump()
            if self.phase is _HEAD and self._slow_since:
                self._hold(_BUSY)  # our answers are not taken, so no more requests are
        elif phase is _LINGER:
            self._window += len(data)
            if self._window > self.door.settings.web.linger_octets:
                self._close()
        elif phase not in _OVER:
            self._kept += data
            self._hold(_BUSY)

    def eof_received(self) -> bool:
        """The peer has finished sending: under TLS that ends both ways."""
        return False

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._slow_since = self.door.loop.time()
        if self._relay is not None:
            self._relay.pause()

    def resume_writing(self) -> None:
        """The client takes octets again."""
        self._slow_since = 0.0
        if self._relay is not None:
            self._relay.resume()
        if self.phase is _HEAD:
            self._pump()
            if self.phase is _HEAD and not self._slow_since:
                self._free(_BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._over("client closed")

    # -- heads

    def _pump(self) -> None:
        """Read the next head, if it is there and its turn has come."""
        if self._pumping:
            return
        self._pumping = True
        kept = self._kept
        try:
            while self.phase is _HEAD and kept and not self._slow_since:
                empty = 0
                while kept.startswith(b"\r\n"):
                    del kept[:2]
                    empty += 1
                end = kept.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
                if empty > _EMPTY_LINES or (end < 0 and len(kept) > MAX_HEAD):
                    self._refuse_head(
                        HeadError(400, "empty-lines") if empty else HeadError(431, "head-too-long")
                    )
                    return
                if end < 0:
                    return
                head = bytes(kept[: end + 4])
                del kept[: end + 4]
                self._request(head)
        finally:
            self._pumping = False

    def _request(self, octets_: bytes) -> None:
        door = self.door
        self._arrived = door.loop.time()
        self._head = self._body = None
        self._requested = self._answered = False
        self._spoken = False
        if self._relay is not None:
            self._relay.answering = False
        try:
            head = self._reader.read(octets_, sni=self.sni, source=self.source, hosts=door.web_hosts)
        except HeadError as error:
            self._refuse_head(error)
            return
        self._head = head
        self.closes = not head.keep_alive or door.stopping
        if head.chunked:
            self._body = Chunked()
        elif head.length:
            self._body = Counted(head.length)
        else:
            self._requested = True
        gate = door.gate
        if gate is None or door.index is None:
            self._answer(page(503, head.request), "not-ready")
            return
        verdict: Verdict | Awaitable[Verdict]
        try:
            verdict = gate.judge(head.request, self.client)
        except Exception as error:
            verdict = self._trouble(error)
        self._carry_out(verdict)

    def _refuse_head(self, error: HeadError) -> None:
        self._head = None
        self._requested = self._answered = False
        self._answer(page(error.status), error.reason)

    def _trouble(self, error: Exception) -> Answer:
        """A gate raises nothing; where it does all the same, nobody comes in."""
        self.door.recorder.record("door.web.trouble", why=f"{type(error).__name__}: {error}"[:300])
        return page(500)

    # -- verdicts

    def _carry_out(self, verdict: Verdict | Awaitable[Verdict]) -> None:
        if isinstance(verdict, Forward):
            self._forward(verdict, b"")
        elif isinstance(verdict, Answer):
            self._answer(verdict, verdict.reason)
        elif isinstance(verdict, Peek):
            self._begin_peek(verdict)
        else:
            self._ask(verdict, b"")

    def _ask(self, verdict: Awaitable[Verdict], peeked: bytes) -> None:
        self.phase = _JUDGING
        self._arm(self.door.settings.web.judging)
        self._task = self.door.loop.create_task(self._await(verdict, peeked))

    async def _await(self, awaited: Awaitable[Verdict], peeked: bytes) -> None:
        verdict: Verdict
        try:
            verdict = await awaited
        except Exception as error:
            verdict = self._trouble(error)
        self._task = None
        if self.phase is not _JUDGING:
            return
        if isinstance(verdict, Forward):
            self._forward(verdict, peeked)
        elif isinstance(verdict, Peek) and self._peek is None:
            self._begin_peek(verdict)
        else:
            self._answer_or_trouble(verdict)

    def _answer_or_trouble(self, verdict: object) -> None:
        answer = verdict if isinstance(verdict, Answer) else self._trouble(TypeError("no verdict"))
        self._answer(answer, answer.reason)

    def _begin_peek(self, peek: Peek) -> None:
        self._peek = peek
        self._peeked = []
        if self._requested:
            self._judge_peeked(True)
            return
        self.phase = _PEEK
        self._window = 0
        self._arm(self.door.settings.web.body)
        self._continue()
        self._take_kept()

    def _judge_peeked(self, whole: bool) -> None:
        peek, seen = self._peek, b"".join(self._peeked)
        assert peek is not None
        self._peeked = []
        limit = min(peek.limit, self.door.settings.web.peek)
        self.phase = _JUDGING
        verdict: Verdict | Awaitable[Verdict]
        try:
            verdict = peek.judge(seen[:limit], whole and len(seen) <= limit)
        except Exception as error:
            verdict = self._trouble(error)
        if isinstance(verdict, Forward):
            self._forward(verdict, seen)
        elif isinstance(verdict, Answer | Peek):
            self._answer_or_trouble(verdict)
        else:
            self._ask(verdict, seen)

    def _forward(self, forward: Forward, peeked: bytes) -> None:
        head = self._head
        assert head is not None
        self._peek = None
        site = forward.site.name
        if self._site not in ("", site):
            # The mail server's connection is one site's, and so is what was signed in on it.
            self.closes = True
            self._answer(page(421, head.request), "site-changed")
            return
        self._site = site
        if forward.access is None:
            if head.websocket:  # it outlives the verdict, so somebody must be there to be judged again
                self._answer(page(403, head.request), "websocket-of-nobody")
                return
        elif not self._admit(forward):
            self._answer(page(503, head.request), "not-recorded")
            return
        if self.session is not None:
            self.session.last = self.door.wheel.now
        self.idle = forward.idle
        relay = self._relay
        if relay is None:
            relay = self._relay = Relay(self)
        if not relay.start(forward, head, peeked):
            self._answer(page(500, head.request), "verdict-not-writable")

    def _admit(self, forward: Forward) -> bool:
        """Put who was admitted into the list of sessions. False when that can't be recorded."""
        access, session, door = forward.access, self.session, self.door
        index = door.index
        assert access is not None
        if index is None:
            return False
        if session is not None:
            if session.ending:
                return False
            if session.proof.request == access:
                return True
            if session.identity == access.identity:
                session.proof = proof_of(access, index)
                return True
        name = session.id if session is not None else door.recorder.session_id()
        recorded = door.recorder.record(
            "door.web.admitted",
            identity=access.identity,
            door=access.door,
            source=self.source,
            id=name,
            site=forward.site.name,
            rule=forward.rule,
            rung=access.identity.rung.word,
            sni=self.sni,
        )
        if not recorded:
            return False
        if session is not None:
            session.proof = proof_of(access, index)
            return True
        self.session = door.open_web(self, name, access, forward.site.name, index)
        # Until now the wheel knew it as a stranger.
        door.wheel.put(self, self._asked)
        return True

    # -- bodies

    def _continue(self) -> None:
        head = self._head
        if head is not None and head.expects and not self._spoken and not self._kept:
            self._spoken = True
            self.write(CONTINUE)

    def _take_kept(self) -> None:
        if self._kept:
            data = bytes(self._kept)
            self._kept.clear()
            self._stream(data)
        if self.phase is _PEEK or self.phase is _BODY:
            self._free(_BUSY)

    def _stream(self, data: bytes) -> None:
        """More of the request's body."""
        body = self._body
        assert body is not None
        self._window += len(data)
        try:
            piece, rest = body.take(data)
        except BodyError:
            self._broken()
            return
        done = body.done
        if done:
            self._requested = True
            if rest:
                self._kept += rest
                self._hold(_BUSY)
        if self.phase is _PEEK:
            self._peeked.append(piece)
            peek = self._peek
            assert peek is not None
            if done or sum(map(len, self._peeked)) >= min(peek.limit, self.door.settings.web.peek):
                self._judge_peeked(done)
            return
        relay = self._relay
        assert relay is not None
        if piece or done:
            if self.session is not None:
                self.session.up += len(piece)
            if done:
                self._await_answer()
            relay.body(piece, done)
            if done and self._answered:
                self._finished()

    def _broken(self) -> None:
        """The body's framing is wrong: nothing on this connection can be trusted any more."""
        relay = self._relay
        begun = relay is not None and relay.answering
        if relay is not None:
            relay.release()
        if begun or self._answered:
            self.drop("bad framing")
        else:
            self.closes = True
            self._answer(page(400, self._head.request if self._head else None), "body-framing")

    # -- what the relay tells

    def opening(self) -> None:
        """The mail server's connection is being opened."""
        self.phase = Phase.CONNECTING
        self._arm(self.door.settings.timeouts.connect + 2.0)

    def forwarding(self) -> tuple[bytes, bool]:
        """The head goes out now. Returns what is here of the body, and whether that completes it."""
        if self._requested:
            self._await_answer()
            return b"", True
        body = self._body
        assert body is not None
        self.phase = _BODY
        self._window = 0
        self._arm(self.door.settings.web.body)
        self._continue()
        data = bytes(self._kept)
        self._kept.clear()
        self._free(_BUSY)
        if not data:
            return b"", False
        try:
            piece, rest = body.take(data)
        except BodyError:
            self.door.loop.call_soon(self._broken)
            return b"", False
        if self.session is not None:
            self.session.up += len(piece)
        if body.done:
            self._requested = True
            self._kept += rest
            self._await_answer()
        return piece, body.done

    def _await_answer(self) -> None:
        self.phase = _ANSWER
        self._heard = now = self.door.wheel.now
        self._due_at(now + self.idle)

    def write(self, data: bytes) -> None:
        """Octets for the client."""
        if self.transport is not None:
            self.transport.write(data)

    def heard(self, count: int) -> None:
        """The mail server has sent something."""
        self._heard = now = self.door.wheel.now
        session = self.session
        if session is not None:
            session.last = now
            session.down += count

    def upstream_full(self) -> None:
        """The mail server does not take the body as fast as it comes."""
        self._hold(_FULL)

    def upstream_ready(self) -> None:
        """The mail server takes octets again."""
        self._free(_FULL)

    def answered(self) -> None:
        """The answer has gone out whole."""
        self._answered = True
        relay = self._relay
        if self._requested:
            self._finished()
        elif relay is None or not relay.alive or self.closes:
            self._linger()  # the rest of the body has nowhere to go

    def failed(self, status: int, reason: str, why: str) -> None:
        """The mail server's connection could not be opened."""
        told, now = self.door.web_told, self.door.loop.time()
        if now - told.get(self._site, -_TELL_EVERY) >= _TELL_EVERY:
            told[self._site] = now
            self.door.recorder.record("door.server.unusable", why=why[:300], server=self._site, reason=reason)
        self.closes = self.closes or not self._requested
        self._answer(page(status, self._head.request if self._head else None), reason)

    def server_gone(self, why: str, bound_to_it: bool) -> None:
        """The mail server's connection has ended."""
        if self.phase in _OVER:
            return
        if self.phase is _HEAD:
            if bound_to_it:
                self._close()  # whoever was signed in by it must know that it is gone
            return
        if self._answered:
            self._linger()
        elif self._relay is not None and self._relay.answering:
            self.drop(why)  # the client must not take half an answer for a whole one
        else:
            self.closes = True
            self._answer(page(502, self._head.request if self._head else None), "upstream-lost")

    def hand_over(self) -> tuple[asyncio.Transport, bytes] | None:
        """A splice takes the connection: its transport, and what the client has sent ahead. None when it is gone."""
        transport = self.transport
        if transport is None or transport.is_closing() or self.phase is not _ANSWER:
            return None
        self.phase = _HANDED_OVER
        self.transport = None
        self.door.web.discard(self)
        self.door.wheel.remove(self)
        pending = bytes(self._kept)
        self._kept.clear()
        return transport, pending

    # -- answers of our own, and the end

    def _answer(self, answer: Answer, reason: str) -> None:
        """Answer here. A refusal is recorded, on one connection only so many times."""
        if answer.status >= 400 and reason and self._refusals < self.door.settings.web.refusals:
            self._refusals += 1
            request = self._head.request if self._head is not None else None
            self.door.recorder.record(
                "door.web.refused",
                identity=None,
                source=self.source,
                reason=reason,
                status=answer.status,
                method=request.method if request else "",
                host=request.host if request else self.sni,
                path=request.canonical[:_PATH] if request else "",
                listener=self._listener.name,
            )
        left = self._arrived + answer.wait - self.door.loop.time() if answer.wait else 0.0
        if left > 0.0:
            self.phase = _JUDGING
            self._arm(answer.wait + self.door.settings.web.judging)
            self._timer = self.door.loop.call_later(left, self._send_answer, answer)
        else:
            self._send_answer(answer)

    def _send_answer(self, answer: Answer) -> None:
        self._timer = None
        transport, head = self.transport, self._head
        if transport is None or self.phase in _OVER:
            return
        close = answer.close or head is None or head.request.body or self.closes or self.door.stopping
        head_only = head is not None and head.request.method == "HEAD"
        transport.write(octets(answer, head_only=head_only, close=close))
        self.closes = close
        self._answered = True
        if self._requested:
            self._finished()
        else:
            self._linger()

    def _finished(self) -> None:
        """Request and answer are through."""
        self._head = self._body = None
        if self.closes or self.door.stopping:
            self._close()
            return
        self.phase = _HEAD
        web = self.door.settings.web
        self._due_at(
            self.door.wheel.now + (web.keep_alive if self.session is not None else web.keep_alive_unknown)
        )
        if self._kept:
            self._pump()
        if self._holds and self.phase is _HEAD and not self._slow_since:
            self._free(_BUSY)

    def _linger(self) -> None:
        """Read away what the client still sends for a moment, so that it can read our answer."""
        if self._relay is not None:
            self._relay.release()
        self.phase = _LINGER
        self._window = len(self._kept)
        self._kept.clear()
        self._free(_BUSY | _FULL)
        self._arm(self.door.settings.web.linger)

    def _close(self) -> None:
        """Close when what was written has left."""
        transport = self.transport
        if self._relay is not None:
            self._relay.release()
        self._kept.clear()
        self.phase = _CLOSING
        if transport is not None:
            self._free(_BUSY | _FULL)
            transport.close()
            self._arm(self.door.settings.web.stall)

    # -- time

    def _arm(self, seconds: float) -> None:
        self._due_at(self.door.loop.time() + seconds)

    def _due_at(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self._asked and self.phase is not Phase.OPENING:
            self._asked = deadline
            wheel = self.door.wheel
            wheel.remove(self)
            wheel.put(self, deadline)

    def due(self, now: float) -> float:
        """A time-out may have passed."""
        self._asked = 0.0  # the wheel puts it back by itself
        again = self.deadline if now < self.deadline else self._late(now)
        self._asked = again
        return again

    def _late(self, now: float) -> float:
        """The deadline has passed: act. Returns when to ask again, 0.0 for never."""
        web, phase = self.door.settings.web, self.phase
        if phase is _HEAD:
            if self._kept:
                self._refuse_head(HeadError(408, "head-late"))
                return self.deadline
            if self.session is not None:
                self.session.reason = self.session.reason or "idle"
            self._close()
        elif phase is _BODY or phase is _PEEK:
            stalled = self._holds & _FULL
            if self._window >= (1 if stalled else web.body_least) or (self._slow_since and self._window):
                self._window = 0
                self.deadline = now + web.body
                return self.deadline
            self._give_up(504 if stalled else 408, "body-late")
        elif phase is _ANSWER:
            ends = self._slow_since + web.stall if self._slow_since else self._heard + self.idle
            if now < ends:
                self.deadline = ends
                return ends
            self._give_up(504, "answer-late")
        elif phase is _JUDGING or phase is Phase.CONNECTING:
            self._give_up(503, "verdict-late")
        elif phase is _LINGER:
            self._close()
        else:
            self.drop("took too long")
            return 0.0
        return self.deadline if self.phase is not _CLOSED else 0.0

    def _give_up(self, status: int, reason: str) -> None:
        """Too late. Where no answer has begun, say so."""
        relay, head = self._relay, self._head
        begun = relay is not None and relay.answering
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if relay is not None:
            relay.release()
        if self._answered or begun:
            self.drop(reason)
        else:
            self.closes = True
            self._answer(page(status, head.request if head else None), reason)

    # -- the door's side

    def drain(self) -> None:
        """Nobody new is taken: a connection without a request in flight ends now, others after their answer."""
        if self.phase is _HEAD and not self._kept:
            self._close()

    def shut_down(self, sentence: str) -> None:
        """Close soon, whatever is under way."""
        self.farewell(sentence)

    def farewell(self, sentence: str) -> None:
        """End the connection: HTTP has no goodbye, the next request will be judged anew."""
        transport = self.transport
        if transport is None:
            self.drop("shutting down")
            return
        self._close()
        self.door.cut_later(transport)

    def cut(self) -> None:
        """Close both sides at once."""
        self.drop("cut")

    def drop(self, reason: str) -> None:
        """Close at once, without a word."""
        transport = self.transport
        if transport is not None:
            transport.abort()
        self._over(reason)

    def _over(self, reason: str) -> None:
        """It is gone. Idempotent."""
        if self.phase in (_CLOSED, _HANDED_OVER):
            return
        self.phase = _CLOSED
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._relay is not None:
            self._relay.release()
        self._kept.clear()
        self._peeked = []
        door = self.door
        door.web.discard(self)
        session, self.session = self.session, None
        if session is not None:
            door.wheel.remove(self)
            session.closed(reason)
        else:
            door.admission.left(self)

    def _hold(self, why: int) -> None:
        if not self._holds and self.transport is not None:
            self.transport.pause_reading()
        self._holds |= why

    def _free(self, why: int) -> None:
        if self._holds:
            self._holds &= ~why
            if not self._holds and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()
