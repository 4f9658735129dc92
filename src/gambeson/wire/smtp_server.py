"""Submission before login: what a door says to a client that nobody knows yet (RFC 6409, 4954, 3207, 8314).

Nothing of a message is taken before the client is signed in, nobody signs in before TLS, and what came
in plain text behind STARTTLS is dropped (RFC 3207 section 4.2 and the command injections since). Offered are
only extensions that hold whatever mail server is behind, unless the door knows more (``extensions``).
"""

from __future__ import annotations

import binascii
from enum import Enum, auto

from gambeson.model.access import Mechanism, RawLogin

from .dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from .limits import MAX_COMMANDS, MAX_FAILURES, MAX_NAME, MAX_PENDING, MAX_SASL
from .lines import ascii_human
from .sasl import Exchange, SaslError, decode
from .smtp import (
    COMMAND_LINE,
    BareNewlineError,
    LineReader,
    LineTooLongError,
    SmtpError,
    command,
    multi,
    reply,
)
from .smtp_extensions import KEPT

_LINE = MAX_SASL + 2  # RFC 4954 section 4: the base64 line with its CRLF

_BEARER = (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2)
_NEEDS_LOGIN = ("MAIL", "RCPT", "DATA", "BDAT", "VRFY", "EXPN", "ETRN", "XCLIENT", "BURL")


class _Phase(Enum):
    COMMAND = auto()
    SASL = auto()  # a response is awaited
    DECISION = auto()  # the edge decides
    TLS = auto()  # between the go-ahead and the handshake
    DONE = auto()  # signed in
    CLOSED = auto()


class SmtpServer:
    """A ServerDialogue. ``tls``: the connection is under TLS from the start. ``helo`` is the name that the
    client gave, believed by nobody. ``external`` (a verified client certificate is there) may be set anew once
    TLS has started."""

    def __init__(
        self,
        *,
        hostname: str,
        external: bool = False,
        starttls: bool = False,
        tls: bool = False,
        extensions: tuple[str, ...] = KEPT,
        max_message_bytes: int = 0,
    ) -> None:
        self.helo = ""
        self._hostname = hostname
        self.external = external
        self._starttls = starttls
        self._tls = tls
        size = f"SIZE {max_message_bytes}" if max_message_bytes else "SIZE"
        has_size = any(line.split(" ")[0] == "SIZE" for line in extensions)
        self._extensions = [*extensions, *([] if has_size else [size])]
        self._reader = LineReader()
        self._phase = _Phase.COMMAND
        self._exchange: Exchange | None = None
        self._commands = 0
        self._failures = 0
        self._out: list[Command] = []

    def start(self) -> list[Command]:
        """Greet."""
        return [Send(reply(220, "", f"{self._hostname} ESMTP ready"))]

    def receive(self, data: bytes) -> list[Command]:
        """The client sent these octets. While TLS is being set up they are dropped."""
        if self._phase not in (_Phase.TLS, _Phase.CLOSED):
            self._reader.feed(data)
            self._work()
        return self._flush()

    def tls_started(self) -> list[Command]:
        """TLS is there: everything begins anew (RFC 3207 section 4.2)."""
        if self._phase is _Phase.TLS:
            self._tls, self.helo = True, ""
            self._reader.clear()
            self._phase = _Phase.COMMAND
        return []

    def refused(self, refusal: Refusal) -> list[Command]:
        """The login is refused."""
        if self._phase is _Phase.DECISION:
            code, enhanced = (454, "4.7.0") if refusal.temporary else (535, "5.7.8")
            self._phase = _Phase.COMMAND
            self._failed(reply(code, enhanced, refusal.sentence))
            if refusal.close:
                self._close("login refused")
            self._work()
        return self._flush()

    def accepted(self, ready: Ready) -> list[Command]:
        """The login is good; from here on the relay speaks, and has what is ``pending``."""
        if self._phase is _Phase.DECISION:
            self._phase = _Phase.DONE
            self._out.append(Send(reply(235, "2.7.0", ready.warning or "Authentication successful")))
        return self._flush()

    def pending(self) -> bytes:
        """What the client sent behind its login. RFC 4954 section 4 has AUTH end a pipelined group, but a
        client that did not wait does no harm here."""
        return self._reader.take()

    def shut_down(self, sentence: str) -> list[Command]:
        """End now, telling the client why."""
        if self._phase is not _Phase.CLOSED:
            if self._phase is not _Phase.TLS:
                self._out.append(Send(reply(421, "4.3.2", sentence)))
            self._close("shut down")
        return self._flush()

    def _work(self) -> None:
        while self._phase in (_Phase.COMMAND, _Phase.SASL):
            try:
                line = self._reader.line(_LINE)
                if line is None:
                    return
                if self._phase is _Phase.SASL:
                    self._response(line)
                else:
                    self._take(line)
            except LineTooLongError:
                # RFC 4954 section 4: an overlong response ends the exchange with 500.
                self._phase, self._exchange = _Phase.COMMAND, None
                self._count()
                if self._phase is _Phase.COMMAND:
                    self._out.append(Send(reply(500, "5.5.6", "The line is too long")))
            except BareNewlineError:
                text = "A command must not hold a CR or LF that is no line's end"
                self._out.append(Send(reply(500, "5.5.2", text)))
                self._close("bare CR or LF in a command")
            except SmtpError as error:
                self._out.append(Send(error.reply))
        if self._phase in (_Phase.DECISION, _Phase.DONE) and len(self._reader) > MAX_PENDING:
            self._out.append(Send(reply(421, "4.3.2", "Too much was sent without waiting for answers")))
            self._close("client overflow")

    def _count(self) -> None:
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            self._out.append(Send(reply(421, "4.7.0", "Too many commands before signing in")))
            self._close("too many commands")

    def _take(self, line: bytes) -> None:
        self._count()
        if self._phase is _Phase.CLOSED:
            return
        verb, argument = command(line)
        if len(line) + 2 > COMMAND_LINE and verb != "AUTH":
            raise SmtpError(500, "5.5.2", "The line is too long")
        match verb:
            case "EHLO" | "HELO":
                self._hello(verb, argument)
            case "STARTTLS":
                self._start_tls(argument)
            case "AUTH":
                self._auth(argument)
            case "NOOP" | "RSET":
                self._out.append(Send(reply(250, "2.0.0", "Ok")))
            case "HELP":
                self._out.append(Send(reply(214, "2.0.0", "EHLO STARTTLS AUTH NOOP RSET QUIT HELP")))
            case "QUIT":
                self._out.append(Send(reply(221, "2.0.0", "Bye")))
                self._close("client quit")
            case _ if verb in _NEEDS_LOGIN:
                if not self._tls:
                    raise SmtpError(530, "5.7.0", "Must issue a STARTTLS command first")
                raise SmtpError(530, "5.7.0", "Authentication required")
            case _:
                raise SmtpError(502, "5.5.1", "This command is not known here")

    def _hello(self, verb: str, argument: bytes) -> None:
        if not argument or len(argument) > MAX_NAME:
            raise SmtpError(501, "5.5.4", f"{verb} needs a name")
        self.helo = ascii_human(argument)
        lines = [self._hostname]
        if verb == "EHLO":
            lines += self._extensions
            if self._starttls and not self._tls:
                lines.append("STARTTLS")
            if self._tls:
                lines.append(" ".join(["AUTH", *self._mechanisms()]))
        self._out.append(Send(multi(250, lines)))

    def _mechanisms(self) -> tuple[str, ...]:
        return ("PLAIN", "LOGIN", "EXTERNAL") if self.external else ("PLAIN", "LOGIN")

    def _start_tls(self, argument: bytes) -> None:
        if argument:
            raise SmtpError(501, "5.5.4", "STARTTLS has no argument")
        if self._tls:
            raise SmtpError(503, "5.5.1", "TLS is there already")
        if not self._starttls:
            raise SmtpError(502, "5.5.1", "STARTTLS is not offered here")
        self._reader.clear()
        self._phase = _Phase.TLS
        self._out += [Send(reply(220, "2.0.0", "Ready to start TLS")), StartTls()]

    def _auth(self, argument: bytes) -> None:
        if not self._tls:
            raise SmtpError(538, "5.7.11", "Encryption is required: use STARTTLS first")
        if not self.helo:
            raise SmtpError(503, "5.5.1", "EHLO comes first")
        words = argument.split()
        if len(words) not in (1, 2):
            raise SmtpError(501, "5.5.4", "AUTH needs a mechanism")
        mechanism = words[0].decode("ascii", "replace").upper()
        # Bearer tokens are not offered, but heard, so that whoever tries one is told what to do instead.
        if mechanism not in (*self._mechanisms(), *_BEARER):
            raise SmtpError(504, "5.5.4", "This mechanism is not offered here")
        self._exchange = Exchange(mechanism)
        self._step(words[1] if len(words) == 2 else None)

    def _response(self, line: bytes) -> None:
        if line == b"*":
            self._phase, self._exchange = _Phase.COMMAND, None
            self._failed(reply(501, "5.7.0", "Authentication cancelled"))
            return
        self._step(line)

    def _step(self, response: bytes | None) -> None:
        assert self._exchange is not None
        try:
            result = self._exchange.step(None if response is None else decode(response))
        except SaslError as error:
            self._phase, self._exchange = _Phase.COMMAND, None
            self._failed(reply(501, "5.5.2", f"The login cannot be read: {error}"))
            return
        if isinstance(result, RawLogin):
            self._phase, self._exchange = _Phase.DECISION, None
            self._out.append(Authenticate(result))
        else:
            self._phase = _Phase.SASL
            self._out.append(Send(b"334 " + _base64(result) + b"\r\n"))

    def _failed(self, answer: bytes) -> None:
        self._failures += 1
        self._out.append(Send(answer))
        if self._failures >= MAX_FAILURES:
            self._out.append(Send(reply(421, "4.7.0", "Too many failed logins; please connect again later")))
            self._close("too many failed logins")

    def _close(self, reason: str) -> None:
        if self._phase is not _Phase.CLOSED:
            self._phase = _Phase.CLOSED
            self._reader.clear()
            self._out.append(Close(reason))

    def _flush(self) -> list[Command]:
        out, self._out = self._out, []
        return out


def _base64(challenge: bytes) -> bytes:
    return binascii.b2a_base64(challenge, newline=False)
