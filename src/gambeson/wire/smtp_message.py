"""One message on its way: what is held, what may go on, why it is refused.

The header is held until it is whole and was found to name only the account's addresses; the rest streams.
A refusal is final, nothing goes on after it, and the content is only followed to its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from .smtp import SmtpError
from .smtp_data import ChunkReader, DataReader, HeaderBlock, Stuffer, clean, unstuffed
from .smtp_header import check_author
from .smtp_path import Mailbox

CHECKS = ("off", "envelope", "both")
MIN_DRAIN = 1 << 26  # octets of a refused message that are read at least, to be polite to its sender

# Whatever some program might take for the end. Used only once a message is refused for its bare CR or LF and
# the connection is about to be closed: a sender who believes to be done shall not wait for ever.
_LENIENT_END = re.compile(rb"[\r\n]\.[\r\n]")


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """Who an account may write as. ``addresses`` are canonical (lower case, A-labels). ``check``: ``off``;
    ``envelope`` (MAIL FROM only); ``both`` (the From:, Sender: and Resent- fields too). ``hint`` is a
    sentence added to the refusal.

    The null sender ``<>`` is always taken at MAIL, for read receipts have it (RFC 8098 section 3); such a
    message's From: is checked unless the check is off, so that it is no way around.
    """

    addresses: frozenset[str] = field(repr=False)
    check: str = "both"
    hint: str = ""

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise ValueError(f"{self.check!r} is no sender check; known are {', '.join(CHECKS)}")

    def check_envelope(self, sender: Mailbox | None) -> None:
        """Raise SmtpError when MAIL may not name this sender."""
        if self.check != "off" and sender is not None and sender.canonical not in self.addresses:
            text = f"<{sender}> is not an address of this account. {self.hint}"
            raise SmtpError(553, "5.7.1", text.rstrip())

    def checks_header(self, null_sender: bool) -> bool:
        """Whether the header is to be looked at."""
        return self.check == "both" or (self.check == "envelope" and null_sender)


class Outcome(Enum):
    """What the relay is to do now."""

    HOLD = auto()  # take more content
    START = auto()  # the header is good: ask the mail server for DATA
    FORWARD = auto()  # pass on what ``take`` gives
    REFUSED = auto()  # follow the content to its end, then ``answer``


class Message:
    """``stuffed``: the content comes by DATA, otherwise by BDAT. ``size`` counts its octets as they came."""

    def __init__(
        self, *, stuffed: bool, policy: SenderPolicy, null_sender: bool, max_bytes: int, max_header: int
    ) -> None:
        self.stuffed = stuffed
        self.size = 0
        self.started = False  # the mail server is inside DATA
        self.ended = False  # the content has come to its end
        self.fatal = False  # refused, and the client's idea of lines is not to be trusted further
        self.refusal = ""
        self.overrun = False  # refused, and the end does not come
        self.outcome = Outcome.HOLD
        self._policy = policy
        self._checked = policy.checks_header(null_sender)
        self._max_bytes, self._max_header = max_bytes, max_header
        self._data, self._chunks, self._stuffer = DataReader(), ChunkReader(), Stuffer()
        self._header: HeaderBlock | None = HeaderBlock()
        self._out: list[bytes] = []
        self._answer = b""
        self._tail = b""

    def data(self, octets: bytes) -> bytes:
        """Content of DATA has come. What stands behind its end is given back."""
        piece, self.ended, rest = self._data.feed(octets)
        self._content(piece)
        if self.fatal:
            seen = self._tail + octets
            self.ended = self.ended or _LENIENT_END.search(seen) is not None
        self._tail = (self._tail + octets[-2:])[-2:]
        return rest

    def chunk(self, octets: bytes, ended: bool) -> None:
        """Content of BDAT has come; ``ended`` with the last octets of BDAT LAST."""
        piece = self._chunks.feed(octets)
        if ended:
            piece += self._chunks.finish()
            self.ended = True
        self._content(piece)

    def begin(self) -> None:
        """The mail server said 354."""
        self.started = True

    def take(self) -> bytes:
        """What is to go to the mail server now, dots stuffed."""
        out, self._out = b"".join(self._out), []
        return out

    def refuse(self, answer: bytes, text: str) -> None:
        """Refuse with this answer; the first refusal stays."""
        if not self.refusal:
            self._answer, self.refusal = answer, text or "refused"
        self.outcome = Outcome.REFUSED
        self._out.clear()
        self._header = None

    def answer(self) -> bytes:
        """The answer of a refused message."""
        return self._answer

    def _content(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.refusal:
            self.fatal = self.fatal or not clean(piece)
            self.overrun = self.size > max(MIN_DRAIN, 2 * self._max_bytes)
            return
        try:
            self._judge(piece)
        except SmtpError as error:
            self.refuse(error.reply, error.text)

    def _judge(self, piece: bytes) -> None:
        if not clean(piece):
            self.fatal = True
            raise SmtpError(550, "5.6.11", "The message holds a CR or LF that is no part of a line's end")
        if self._max_bytes and self.size > self._max_bytes:
            raise SmtpError(
                552, "5.3.4", f"The message is larger than the {self._max_bytes} octets taken here"
            )
        if self._header is None:
            self.outcome = Outcome.FORWARD
        else:
            end = self._header.feed(piece)
            if end < 0 and self.ended:
                end = len(self._header)
            if end > self._max_header or len(self._header) > self._max_header > end < 0:
                raise SmtpError(552, "5.3.4", "The message's header is too large")
            if end < 0:
                return
            piece, self._header = self._header.take(), None
            if self._checked:
                header = unstuffed(piece[:end]) if self.stuffed else piece[:end]
                if header and not header.endswith(b"\r\n"):
                    header += b"\r\n"  # BDAT may leave a last line without its end
                check_author(header, self._policy.addresses, self._policy.hint)
            self.outcome = Outcome.START
        self._out.append(piece if self.stuffed else self._stuffer.feed(piece))
        if self.ended and not self.stuffed:
            self._out.append(self._stuffer.finish())
