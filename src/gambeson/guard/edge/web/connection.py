"""One client's HTTPS connection: what the gate lets through goes to the mail server, and comes back.

The body is framed to the octet, so none of it is ever read as a head. Everything happens in the callbacks of the two
connections; a task runs only while the mail server's is opened.
"""

from __future__ import annotations

import asyncio
import time

from gambeson.guard.core.web.request_log import FORWARDED
from gambeson.guard.core.web.verdict import Forward
from gambeson.guard.edge.registry import proof_of, still_admitted
from gambeson.wire.http_body import BodyError
from gambeson.wire.http_head import HeadError

from .asking import Asking
from .life import BUSY, FULL, OVER, Phase
from .pages import page
from .relay import Relay

__all__ = ["Phase", "WebConnection"]

_TELL_EVERY = 10.0  # seconds between two records of a mail server that can't be reached
_HEAD, _JUDGING, _PEEK, _BODY, _ANSWER = Phase.HEAD, Phase.JUDGING, Phase.PEEK, Phase.BODY, Phase.ANSWER
_LINGER, _CLOSING, _CLOSED, _HANDED_OVER = Phase.LINGER, Phase.CLOSING, Phase.CLOSED, Phase.HANDED_OVER


class WebConnection(Asking):
    """See the module's docstring."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        phase = self.phase
        if phase is _BODY or phase is _PEEK:
            self._stream(data)
        elif phase is _HEAD:
            kept = self._kept
            if not kept:
                end = data.find(b"\r\n\r\n") + 4
                if end > 3 and data[0] != 13 and not self._slow_since:
                    if end == len(data):
                        self._request(data)
                    else:
                        kept += data[end:]
                        self._pump(data[:end])
                        if self.phase is _HEAD and self._slow_since:
                            self._hold(BUSY)
                    return
                self._arm(self.door.settings.web.head)
            kept += data
            self._pump()
            if self.phase is _HEAD and self._slow_since:
                self._hold(BUSY)  # our answers are not taken, so no more requests are
        elif phase is _LINGER:
            self._window += len(data)
            if self._window > self.door.settings.web.linger_octets:
                self._close()
        elif phase not in OVER:
            self._kept += data
            self._hold(BUSY)

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
        access, session = forward.access, self.session
        if (
            access is not None
            and session is not None
            and session.proof.request is access
            and not session.ending
            and self.door.index is not None
        ):
            pass  # who is in the list of sessions already, and judged again there with each snapshot
        elif access is None:
            if head.websocket:  # it outlives the verdict, so somebody must be there to be judged again
                self._answer(page(403, head.request), "websocket-of-nobody")
                return
        elif not self._still(forward):
            self.closes = True
            self._answer(page(403, head.request), "no-longer-admitted")
            return
        elif not self._admit(forward):
            self._answer(page(503, head.request), "not-recorded")
            return
        session = self.session
        if session is not None:
            session.last = self.door.wheel.now
            session.until = forward.until
        self.idle = forward.idle
        self._going = forward
        relay = self._relay
        if relay is None:
            relay = self._relay = Relay(self)
        if not relay.start(forward, head, peeked):
            self._answer(page(500, head.request), "verdict-not-writable")

    def _still(self, forward: Forward) -> bool:
        """Whether the present snapshot admits it too. A verdict that had to wait for the body's beginning or for the
        keeper may be older, and only who is in the list of sessions was judged again meanwhile."""
        access, session, index = forward.access, self.session, self.door.index
        assert access is not None
        if index is None or (
            session is not None and (session.proof.request is access or session.proof.request == access)
        ):
            return True  # without a snapshot nobody is recorded, so nobody is admitted
        return still_admitted(proof_of(access, index), index, time.time())

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
            if session.proof.request is access or session.proof.request == access:
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
                self._hold(BUSY)
        if self.phase is _PEEK:
            self._peeked += piece
            peek = self._peek
            assert peek is not None
            if done or len(self._peeked) >= min(peek.limit, self.door.settings.web.peek):
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
                # An answer that came before the body had gone: nobody knows what the server takes the body for.
                self.closes = self.closes or relay.bound
                relay.release()
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
        self._free(BUSY)
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

    def heard(self, count: int) -> None:
        """The mail server has sent something."""
        self._heard = now = self.door.wheel.now
        session = self.session
        if session is not None:
            session.last = now
            session.down += count

    def upstream_full(self) -> None:
        """The mail server does not take the body as fast as it comes."""
        self._hold(FULL)

    def upstream_ready(self) -> None:
        """The mail server takes octets again."""
        self._free(FULL)

    def answering(self, status: int) -> None:
        """The mail server has begun to answer with this status."""
        forward = self._going
        if forward is not None:
            self._note(FORWARDED, status, forward.rule)

    def answered(self) -> None:
        """The answer has gone out whole."""
        self._answered = True
        if self._requested:
            self._finished()
            return
        relay = self._relay
        if relay is None or not relay.alive or self.closes:
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
        if self.phase in OVER:
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

    def _late(self, now: float) -> float:
        """The deadline has passed: act. Returns when to ask again, 0.0 for never."""
        web, phase = self.door.settings.web, self.phase
        if phase is _HEAD:
            if self._kept:
                self._refuse_head(HeadError(408, "head-late"))
                return self.deadline
            if now < self._keep_until:
                self._rest()
                self.deadline = self._keep_until
                return self.deadline
            if self.session is not None:
                self.session.reason = self.session.reason or "idle"
            self._close()
        elif phase is _BODY or phase is _PEEK:
            stalled = self._holds & FULL
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
