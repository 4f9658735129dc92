"""Submission after login: a relay that sees every message to its end (RFC 6409), never a splice.

Rules:

* One command of ours is under way at the mail server at a time, and each client command gets one answer, in
  order; what a client pipelines (RFC 2920) waits. So no answer can be taken for another's.
* Commands are taken apart and written anew. The mail server never gets a client's octets as a command.
* A message goes upstream as DATA, also where the client sent BDAT (RFC 3030): so there is
  one end of a message, which we write ourselves, and CHUNKING can be kept before any mail server. BINARYMIME
  is not offered.
* The header is read before the mail server hears of the message at all. What is refused there costs an RSET.
  What is refused later (a bare CR or LF, too large) leaves the mail server without the final dot and closes
  both connections: RFC 5321 section 4.1.1.10 has it drop the message then.
* Every quota that was granted ends in one MessageDone, unless the connection ends before.

The relay holds at most ``max_header_bytes`` of a message and about ``PAUSE_AT`` of what is not yet its
turn; ``paused`` asks the edge to stop reading from the client.
"""

from __future__ import annotations

from .dialogue import AskQuota, RelayCommand, ToServer
from .smtp import (
    COMMAND_LINE,
    BareNewlineError,
    LineTooLongError,
    Reply,
    ReplyError,
    ReplyReader,
    SmtpError,
    command,
    multi,
    reply,
)
from .smtp_extensions import Extensions
from .smtp_message import MIN_DRAIN, Message, SenderPolicy
from .smtp_path import MAIL_PARAMETERS, mail, rcpt, written
from .smtp_transfer import Phase, Transaction, Transfer

__all__ = ["SenderPolicy", "SmtpRelay"]

PAUSE_AT = 65536  # octets of the client's waiting before ``paused``
MAX_WAITING = 1 << 20  # an edge that does not heed ``paused`` loses the connection here
MAX_ERRORS = 50  # refused commands in one session
MAX_REPLY_LINE = 4096
MAX_REPLY_LINES = 100


class SmtpRelay(Transfer):
    """One client's session with one mail server, both signed in.

    ``server_extensions`` are the mail server's EHLO lines (Ready.capabilities); ``max_message_bytes`` 0 means
    that only the mail server's own limit counts.
    """

    def __init__(
        self,
        *,
        hostname: str,
        server_extensions: tuple[bytes, ...],
        senders: SenderPolicy,
        max_message_bytes: int = 0,
        max_recipients: int = 1000,
        max_header_bytes: int = 262144,
    ) -> None:
        super().__init__()
        self._hostname = hostname
        self._extensions = Extensions(server_extensions, max_message_bytes)
        self._senders = senders
        self._max_recipients = max_recipients
        self._max_header = max_header_bytes
        self._server = ReplyReader(MAX_REPLY_LINE, MAX_REPLY_LINES)
        self._adding = ""  # the recipient whose RCPT is under way
        self._next: Transaction | None = None  # the transaction whose MAIL is under way

    @property
    def paused(self) -> bool:
        """Whether enough of the client's octets wait; the edge should not read more until it turns False."""
        return len(self._client) > PAUSE_AT

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._phase is Phase.CLOSED

    # What the edge calls. Each gives back what is to be done.

    def from_client(self, data: bytes) -> list[RelayCommand]:
        """The client sent these octets."""
        if self._phase is not Phase.CLOSED and not self._client_gone:
            self._client.feed(data)
            self._work()
            if len(self._client) > MAX_WAITING:
                self._end("421", "4.3.2", "Too much was sent without waiting for answers", "client overflow")
        return self._flush()

    def from_server(self, data: bytes) -> list[RelayCommand]:
        """The mail server sent these octets."""
        if self._phase is not Phase.CLOSED:
            self._server.feed(data)
            try:
                # The client's turn comes after all that is here: an answer sent before our next command is
                # none to it.
                while not self.closed and (answer := self._server.next()) is not None:
                    self._answered(answer)
                self._work()
            except ReplyError as error:
                self._end("421", "4.3.0", f"The message service is out of order: {error}", str(error))
        return self._flush()

    def quota_granted(self) -> list[RelayCommand]:
        """The message that AskQuota asked about may be sent."""
        if self._phase is Phase.QUOTA and self._transaction is not None:
            transaction = self._transaction
            sender = transaction.sender
            transaction.message = Message(
                stuffed=self._by_data,
                policy=self._senders,
                null_sender=sender is None,
                max_bytes=self._extensions.max_bytes,
                max_header=self._max_header,
            )
            if self._by_data:
                self._say(reply(354, "", "Send the message; end with a dot alone on a line"))
                self._phase = Phase.DATA
            else:
                self._phase = Phase.CHUNK
            self._work()
        return self._flush()

    def quota_refused(self, sentence: str) -> list[RelayCommand]:
        """It may not; the sentence says why and when to come again."""
        if self._phase is Phase.QUOTA and self._transaction is not None:
            # RFC 5321 section 4.2.3: 450 is for policy too; X.7.1 says that it is one (RFC 3463).
            self._refuse(SmtpError(450, "4.7.1", sentence))
            self._work()
        return self._flush()

    def client_closed(self) -> list[RelayCommand]:
        """The client is gone. A message that is complete is still seen through: wait for Close."""
        self._client_gone = True
        if self._phase is Phase.CLOSED or (self._phase is Phase.REPLY and self._expects == "end"):
            return []
        transaction = self._transaction
        inside = transaction is not None and transaction.message is not None and transaction.message.started
        if not inside and self._phase is not Phase.REPLY:
            self._out.append(ToServer(b"QUIT\r\n"))
        self._close("client closed")
        return self._flush()

    def server_closed(self) -> list[RelayCommand]:
        """The mail server is gone."""
        if self._phase is not Phase.CLOSED:
            if self._phase is Phase.REPLY and self._expects == "end":
                self._done(False, "the mail server closed the connection")
            self._end("421", "4.3.2", "The mail server closed the connection", "server closed")
        return self._flush()

    def shut_down(self, sentence: str) -> list[RelayCommand]:
        """End now, telling the client why."""
        if self._phase is not Phase.CLOSED:
            self._end("421", "4.3.2", sentence, "shut down")
        return self._flush()

    # The client's side.

    def _work(self) -> None:
        """Take from the client as long as it is its turn."""
        while not self._client_gone:
            match self._phase:
                case Phase.COMMAND:
                    if self._errors > MAX_ERRORS:
                        self._end("421", "4.7.0", "Too many errors", "too many errors")
                        return
                    if not self._take_command():
                        return
                case Phase.DATA:
                    if not len(self._client):
                        return
                    self._take_data()
                case Phase.CHUNK:
                    if self._chunk and not len(self._client):
                        return
                    self._take_chunk()
                case _:
                    return

    def _take_command(self) -> bool:
        try:
            line = self._client.line(COMMAND_LINE)
        except LineTooLongError:
            self._error(SmtpError(500, "5.5.2", "The line is too long"))
            return True
        except BareNewlineError:
            self._say(reply(500, "5.5.2", "A command must not hold a CR or LF that is no line's end"))
            self._close("bare CR or LF in a command")
            return False
        if line is None:
            return False
        try:
            verb, argument = command(line)
            self._command(verb, argument)
        except SmtpError as error:
            self._error(error)
        return True

    def _command(self, verb: str, argument: bytes) -> None:
        transaction = self._transaction
        match verb:
            case "MAIL":
                self._mail(argument)
            case "RCPT":
                self._rcpt(argument)
            case "DATA" | "BDAT":
                self._content(verb, argument)
            case "RSET" | "EHLO" | "HELO":
                if verb == "RSET":
                    answer = reply(250, "2.0.0", "Ok")
                elif not argument:
                    raise SmtpError(501, "5.5.4", f"{verb} needs a name")
                else:
                    lines = self._extensions.lines() if verb == "EHLO" else []
                    answer = multi(250, [self._hostname, *lines])
                self._reset(answer)
            case "NOOP":
                # Passed on, for it keeps the mail server's connection alive too.
                if (
                    transaction is not None
                    and transaction.message is not None
                    and transaction.message.started
                ):
                    self._say(reply(250, "2.0.0", "Ok"))
                else:
                    self._ask("noop", b"NOOP\r\n")
            case "QUIT":
                if transaction is None or transaction.message is None or not transaction.message.started:
                    self._out.append(ToServer(b"QUIT\r\n"))
                self._say(reply(221, "2.0.0", "Bye"))
                self._close("client quit")
            case "VRFY":
                self._say(reply(252, "2.1.5", "Not verified; send some mail and see"))
            case "HELP":
                self._say(reply(214, "2.0.0", "MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EHLO HELP"))
            case "AUTH":
                raise SmtpError(503, "5.5.1", "You are signed in already")  # RFC 4954 section 4
            case "STARTTLS":
                raise SmtpError(503, "5.5.1", "STARTTLS comes before signing in")
            case _:
                raise SmtpError(502, "5.5.1", "This command is not known here")

    def _mail(self, argument: bytes) -> None:
        if self._transaction is not None:
            raise SmtpError(503, "5.5.1", "A message is under way; RSET gives it up")
        sender, given = mail(argument)
        self._extensions.check(given)
        self._senders.check_envelope(sender)
        text = "" if sender is None else str(sender)
        self._next = Transaction(sender, "SMTPUTF8" in given)
        # AUTH= (RFC 4954 section 5) is for trusted relays; a client's word on who wrote is not passed on.
        keep = tuple(p for p in MAIL_PARAMETERS if p != "AUTH" and self._extensions.passes(p))
        self._ask("mail", f"MAIL FROM:<{text}>{written(given, keep)}\r\n".encode())

    def _rcpt(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None or transaction.message is not None or transaction.failed:
            raise SmtpError(503, "5.5.1", "MAIL comes first, and no RCPT after the message has begun")
        text, box, given = rcpt(argument)
        self._extensions.check(given)
        if box is not None and not box.ascii and not transaction.smtputf8:
            raise SmtpError(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
        if len(transaction.recipients) >= self._max_recipients:
            raise SmtpError(452, "4.5.3", "Too many recipients for one message; send it again to the others")
        self._adding = text if box is None else box.canonical
        self._ask("rcpt", f"RCPT TO:<{text}>{written(given, ('NOTIFY', 'ORCPT'))}\r\n".encode())

    def _content(self, verb: str, argument: bytes) -> None:
        transaction = self._transaction
        if verb == "BDAT":
            words = argument.split()
            last = len(words) == 2 and words[1].upper() == b"LAST"
            if not words or not (len(words) == 1 or last) or not words[0].isdigit() or len(words[0]) > 20:
                # Where the next command begins cannot be known any more.
                self._end("421", "4.5.4", "BDAT needs a number of octets", "malformed BDAT")
                return
            self._chunk = self._size = int(words[0])
            self._last = last
            if self._extensions.max_bytes and self._chunk > max(MIN_DRAIN, 2 * self._extensions.max_bytes):
                self._end("552", "5.3.4", "The chunk is far larger than a message may be", "oversized BDAT")
                return
        elif argument:
            raise SmtpError(501, "5.5.4", "DATA has no argument")
        message = transaction.message if transaction is not None else None
        ready = transaction is not None and bool(transaction.recipients) and not transaction.failed
        if verb == "BDAT" and (not ready or message is not None):
            # More of the message; or to be dropped before the answer (RFC 3030 section 2).
            self._phase = Phase.CHUNK
            return
        if not ready or message is not None or transaction is None:
            raise SmtpError(
                503, "5.5.1", "RCPT comes first" if message is None else "DATA and BDAT do not mix"
            )
        self._by_data = verb == "DATA"
        self._phase = Phase.QUOTA
        sender = "" if transaction.sender is None else transaction.sender.canonical
        self._out.append(AskQuota(sender, len(transaction.recipients)))

    # The mail server's side.

    def _answered(self, answer: Reply) -> None:
        if answer.code == 421:
            if self._expects == "end":
                self._done(False, answer.text)
            self._say(answer.octets())
            self._close("the mail server closes")
            return
        if self._phase is not Phase.REPLY:
            self._unasked(answer)
            return
        expects, self._expects = self._expects, ""
        self._phase = Phase.COMMAND
        match expects:
            case "mail":
                if answer.positive:
                    self._transaction = self._next
                self._next = None
                self._say(answer.octets())
            case "rcpt":
                if answer.positive and self._transaction is not None:
                    self._transaction.recipients.append(self._adding)
                self._say(answer.octets())
            case "data":
                self._data_answered(answer)
            case "end":
                self._done(answer.positive, answer.text)
                self._transaction = None
                self._say(answer.octets())
                if self._client_gone:
                    self._out.append(ToServer(b"QUIT\r\n"))
                    self._close("client closed")
            case "rset":
                if answer.positive:
                    self._say(self._after)
                    self._after = b""
                else:
                    self._end("421", "4.3.0", "The mail server could not start anew", "RSET refused")
            case _:
                self._say(answer.octets())

    def _unasked(self, answer: Reply) -> None:
        """An answer to nothing. Inside DATA it is a verdict given early: the client hears it at its end."""
        transaction = self._transaction
        message = transaction.message if transaction is not None else None
        if message is not None and message.started and answer.code // 100 in (4, 5):
            message.refuse(answer.octets(), answer.text)
            return
        self._end("421", "4.3.0", "The mail server answered what was not asked", "unasked answer")

    def _error(self, error: SmtpError) -> None:
        self._errors += 1
        self._say(error.reply)
