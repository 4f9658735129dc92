"""The part of the relay that carries a message's content: DATA and BDAT on one side, DATA on the other.

:mod:`.smtp_message` says what of the content may go on and when; here is what that means for the two
connections. The rules are in :mod:`.smtp_relay`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from .dialogue import Close, MessageDone, RelayCommand, ToClient, ToServer
from .lines import ascii_human
from .smtp import LineReader, Reply, SmtpError, reply
from .smtp_message import Message, Outcome
from .smtp_path import Mailbox


class Phase(Enum):
    """Whose turn it is."""

    COMMAND = auto()  # the client may speak
    REPLY = auto()  # the mail server is to answer self._expects
    QUOTA = auto()  # the edge is to answer AskQuota
    DATA = auto()  # content of DATA comes
    CHUNK = auto()  # content of one BDAT comes
    CLOSED = auto()


@dataclass(slots=True)
class Transaction:
    """One message's envelope, from MAIL on."""

    sender: Mailbox | None
    smtputf8: bool
    recipients: list[str] = field(default_factory=list)
    message: Message | None = None  # from the granted quota on
    failed: bool = False  # a BDAT was refused: only RSET and its like lead on


class Transfer:
    """What both halves of the relay share: whose turn it is, the transaction, what is to be done."""

    def __init__(self) -> None:
        self._client = LineReader()
        self._phase = Phase.COMMAND
        self._expects = ""
        self._transaction: Transaction | None = None
        self._after: bytes = b""  # the client's answer once a RSET of ours is done
        self._by_data = False  # whether the message under way comes by DATA
        self._chunk = 0  # octets of this BDAT still to come
        self._last = False
        self._size = 0  # of this BDAT
        self._errors = 0
        self._client_gone = False
        self._out: list[RelayCommand] = []

    def _take_data(self) -> None:
        message = self._message()
        rest = message.data(self._client.take())
        self._client.feed(rest)
        self._carry()
        if message.overrun and not message.ended:
            self._say(message.answer())
            self._done(False, message.refusal)
            self._close("message without end")

    def _take_chunk(self) -> None:
        octets = self._client.take(self._chunk)
        self._chunk -= len(octets)
        if self._transaction is None or self._transaction.message is None:
            if not self._chunk:
                self._chunk_dropped(self._transaction)
            return
        message = self._transaction.message
        message.chunk(octets, ended=self._last and not self._chunk)
        self._carry()

    def _chunk_dropped(self, transaction: Transaction | None) -> None:
        """A chunk that belongs to no message, or to one refused before, has come to its end."""
        self._phase = Phase.COMMAND
        answer, self._after = self._after, b""
        if not answer:
            answer = SmtpError(503, "5.5.1", "BDAT needs MAIL and RCPT first").reply
            self._errors += 1
        if transaction is not None and transaction.failed and self._last:
            self._reset(answer)
        else:
            self._say(answer)

    def _carry(self) -> None:
        """Do what the message asks for, after content has come to it."""
        message = self._message()
        match message.outcome:
            case Outcome.START:
                self._ask("data", b"DATA\r\n")
            case Outcome.FORWARD:
                self._forward(message)
            case Outcome.REFUSED:
                self._content_refused(message)
            case Outcome.HOLD:
                self._chunk_taken(message)

    def _forward(self, message: Message) -> None:
        """The mail server is inside DATA: give it what has come."""
        octets = message.take()
        if octets:
            self._out.append(ToServer(octets))
        if message.ended:
            self._out.append(ToServer(b".\r\n"))
            self._expects, self._phase = "end", Phase.REPLY
        else:
            self._chunk_taken(message)

    def _chunk_taken(self, message: Message) -> None:
        if message.stuffed:
            self._phase = Phase.DATA
        elif self._chunk:
            self._phase = Phase.CHUNK
        else:
            self._say(reply(250, "2.0.0", f"{self._size} octets received"))
            self._phase = Phase.COMMAND

    def _content_refused(self, message: Message) -> None:
        """The message is refused: once its content (or the chunk's) has come to its end, answer."""
        if message.stuffed:
            self._phase = Phase.DATA
            if not message.ended:
                return
        elif self._chunk:
            self._phase = Phase.CHUNK
            return
        self._done(False, message.refusal)
        answer = message.answer()
        if message.fatal or message.started:
            self._say(answer)
            self._close("message refused while under way")
        elif message.stuffed or message.ended:
            self._reset(answer)
        elif self._transaction is not None:
            self._transaction.failed, self._transaction.message = True, None
            self._phase = Phase.COMMAND
            self._say(answer)

    def _data_answered(self, answer: Reply) -> None:
        message = self._message()
        if answer.code == 354:
            message.begin()
            self._forward(message)
            return
        if answer.code // 100 in (2, 3):
            self._end("421", "4.3.0", "The mail server answered DATA with nonsense", "DATA answered wrongly")
            return
        message.refuse(answer.octets(), answer.text)
        self._content_refused(message)

    # Small parts.

    def _message(self) -> Message:
        assert self._transaction is not None
        assert self._transaction.message is not None
        return self._transaction.message

    def _ask(self, expects: str, line: bytes) -> None:
        self._expects, self._phase = expects, Phase.REPLY
        self._out.append(ToServer(line))

    def _reset(self, answer: bytes) -> None:
        """Give up the transaction on both sides, then answer the client."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            self._phase = Phase.COMMAND
            self._say(answer)
        elif transaction.message is not None and transaction.message.started:
            # Inside DATA the mail server hears no RSET; only a closed connection ends it without a message.
            self._end(
                "421", "4.3.2", "The message is given up; please connect again", "reset inside a message"
            )
        else:
            self._after = answer
            self._ask("rset", b"RSET\r\n")

    def _refuse(self, error: SmtpError) -> None:
        """Refuse the DATA or BDAT that waits for its quota."""
        assert self._transaction is not None
        if self._by_data:
            self._phase = Phase.COMMAND
            self._reset(error.reply)
        else:
            self._transaction.failed = True
            self._after = error.reply
            self._phase = Phase.CHUNK

    def _done(self, accepted: bool, text: str) -> None:
        transaction = self._transaction
        if transaction is not None and transaction.message is not None:
            sender = "" if transaction.sender is None else transaction.sender.canonical
            recipients = tuple(transaction.recipients)
            self._out.append(MessageDone(sender, recipients, transaction.message.size, accepted, text))

    def _say(self, octets: bytes) -> None:
        if not self._client_gone:
            self._out.append(ToClient(octets))

    def _end(self, code: str, enhanced: str, text: str, reason: str) -> None:
        self._say(reply(int(code), enhanced, text))
        self._close(reason)

    def _close(self, reason: str) -> None:
        self._phase = Phase.CLOSED
        self._client.clear()
        self._out.append(Close(ascii_human(reason)))

    def _flush(self) -> list[RelayCommand]:
        out, self._out = self._out, []
        return out
