"""What is asked on one client's HTTPS connection: heads, verdicts, and answers of the door's own.

A head is read only when the answer before it has gone: what a client sends ahead waits, a read's worth at most. A task
runs only where a verdict must be asked for elsewhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable
from typing import Any

from gambeson.guard.core.web.request_log import ANSWERED, SENT, shape
from gambeson.guard.core.web.verdict import Answer, Forward, Peek, Verdict
from gambeson.wire.http_body import Chunked, Counted
from gambeson.wire.http_head import MAX_HEAD, HeadError

from .life import BUSY, OVER, SENT_ON, Life, Phase
from .pages import CONTINUE, octets, page

_EMPTY_LINES = 4  # before a head (RFC 9112 section 2.2)
_REST = 10.0  # seconds without a request, after which nothing of the last one is kept
_PATH = 300  # characters of a path in the record
_IN_LOG: tuple[dict[str, Any], dict[str, Any]] = ({}, {"logged": True})  # so that nobody counts it twice
_HEAD, _JUDGING, _PEEK, _BODY = Phase.HEAD, Phase.JUDGING, Phase.PEEK, Phase.BODY


class Asking(Life):
    """A connection's side towards the gate."""

    __slots__ = ()

    @abstractmethod
    def _forward(self, forward: Forward, peeked: bytes) -> None:
        """Send the request on; ``peeked`` is what was read of its body for the verdict."""

    @abstractmethod
    def _stream(self, data: bytes) -> None:
        """More of the request's body."""

    # -- heads

    def _pump(self, head: bytes = b"") -> None:
        """Read the next head, if it is there and its turn has come. ``head`` is one that came before all that is
        kept."""
        if self._pumping:
            return
        self._pumping = True
        kept = self._kept
        try:
            if head:
                self._request(head)
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
        self._head = self._body = self._peek = None
        self._requested = self._answered = self._noted = False
        self._going = None
        self._spoken = False
        if self._relay is not None:
            self._relay.answering = False
        try:
            head = self._reader.read(octets_, sni=self.sni, source=self.source, hosts=door.web_hosts)
        except HeadError as error:
            if door.request_log is not None:
                door.request_log.unread(octets_, self.sni, self.source, error)
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
        if type(verdict) is Forward:
            self._forward(verdict, b"")
        else:
            self._carry_out(verdict)

    def _refuse_head(self, error: HeadError) -> None:
        self._head = None
        self._requested = self._answered = False
        self._answer(page(error.status), error.reason)

    def _trouble(self, error: Exception) -> Answer:
        """A gate raises nothing; where it does all the same, nobody comes in."""
        self.door.recorder.record("door.web.trouble", why=f"{type(error).__name__}: {error}"[:300])
        return page(500)

    def _rest(self) -> None:
        """Nothing is asked: let go of what only makes the next request faster. Thousands wait so."""
        self._reader.rest()
        if self._relay is not None:
            self._relay.rest()

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
        self._peeked = bytearray()
        if self._requested:
            self._judge_peeked(True)
            return
        self.phase = _PEEK
        self._window = 0
        self._arm(self.door.settings.web.body)
        self._continue()
        self._take_kept()

    def _judge_peeked(self, whole: bool) -> None:
        peek, seen = self._peek, bytes(self._peeked)
        assert peek is not None
        self._peeked = bytearray()
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
            self._free(BUSY)

    # -- answers of our own, and the end

    def _answer(self, answer: Answer, reason: str) -> None:
        """Answer here. A refusal is recorded, on one connection only so many times."""
        log = self.door.request_log
        if log is not None:
            self._note(SENT if self.phase in SENT_ON else ANSWERED, answer.status, reason)
        if (
            answer.status >= 400
            and reason
            and self._refusals < self.door.settings.web.refusals
            and self.door.web_refusals.recorded(self.source_prefix)
        ):
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
                **(shape(request, reason) if self.door.settings.web.request_log != "off" else {}),
                **_IN_LOG[log is not None],
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
        if transport is None or self.phase in OVER:
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
        now, keep = (
            self.door.wheel.now,
            web.keep_alive if self.session is not None else web.keep_alive_unknown,
        )
        self._keep_until = now + keep
        self._due_at(now + (_REST if keep > _REST else keep))
        if self._kept:
            self._pump()
            if self.phase is _HEAD and self._kept:
                self._arm(web.head)  # the next head has begun to come
        if self._holds:
            self._listen()
