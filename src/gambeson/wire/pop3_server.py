"""The POP3 dialogue a door holds with a client until it is signed in (RFC 1939's AUTHORIZATION state).

Rules: no login before TLS (RFC 8314 section 4.1), no APOP, nothing said about whether a name exists. What
CAPA tells before login is what we keep ourselves, and what the mail server is known to have; after login
the mail server answers for itself. RFC 6856's UTF8 command belongs to the mail server's session and is not
offered; names and passwords may be UTF-8 all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from gambeson.model.access import Mechanism, RawLogin

from .dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from .limits import MAX_COMMANDS, MAX_FAILURES, MAX_LINE, MAX_PENDING, MAX_SASL
from .lines import LineBuffer, LineTooLongError
from .pop3 import AUTH, IN_USE, PERMANENT, TEMPORARY, Pop3SyntaxError, is_capability, parse_command, response
from .sasl import Exchange, SaslError, decode, prepare_name, prepare_password
from .sasl_client import encode


class _State(Enum):
    COMMAND = auto()  # the next line is a command
    SASL = auto()  # the next line answers a challenge
    DECIDING = auto()  # an Authenticate is out; lines are kept
    HANDSHAKE = auto()  # TLS is beginning; nothing may come in plaintext
    SIGNED_IN = auto()  # what comes now is for the mail server
    CLOSED = auto()


class Pop3Server:
    """A :class:`~gambeson.wire.dialogue.ServerDialogue`.

    ``tls``: the connection is encrypted from the first byte. ``starttls``: STLS is offered. ``external``:
    a verified client certificate is there; after STLS the edge sets the attribute before ``tls_started``.
    ``upstream``: capabilities of the mail server's TRANSACTION state that are known to hold, to be listed
    before login already, as clients that ask only once need (RFC 2449 section 6).
    """

    def __init__(
        self,
        *,
        hostname: str,
        external: bool = False,
        starttls: bool = False,
        tls: bool = False,
        upstream: tuple[str, ...] = ("TOP", "UIDL"),
    ) -> None:
        self.external = external
        self._hostname = hostname
        self._starttls = starttls
        self._tls = tls
        self._upstream = tuple(name for name in upstream if is_capability(name))
        self._state = _State.COMMAND
        self._input = LineBuffer()
        self._exchange: Exchange | None = None
        self._name: str | None = None  # what this command's USER gave
        self._named: str | None = None  # what the USER right before this command gave
        self._commands = 0
        self._failures = 0

    def start(self) -> list[Command]:
        """The greeting. Without a timestamp: there is no APOP (RFC 1939 section 7)."""
        return [_say(True, f"{self._hostname} Gambeson POP3 ready")]

    def receive(self, data: bytes) -> list[Command]:
        """Octets from the client."""
        if self._state in (_State.HANDSHAKE, _State.CLOSED):
            return []  # plaintext behind STLS is nobody's (RFC 2595 section 4)
        self._input.feed(data)
        return self._run()

    def tls_started(self) -> list[Command]:
        """TLS stands; everything known from before it is forgotten (RFC 2595 section 4)."""
        self._tls = True
        self._name = None
        self._input.take()
        self._state = _State.COMMAND
        return []

    def refused(self, refusal: Refusal) -> list[Command]:
        """The edge's no; then what was pipelined behind."""
        if self._state is not _State.DECIDING:
            return []  # it was closed meanwhile
        self._failures += 1
        self._state = _State.COMMAND
        passing = IN_USE if refusal.code == "INUSE" else TEMPORARY
        answer = _say(False, refusal.sentence, passing if refusal.temporary else AUTH)
        if refusal.close or self._failures >= MAX_FAILURES:
            return [answer, self._close("refused")]
        return [answer, *self._run()]

    def accepted(self, ready: Ready) -> list[Command]:
        """The edge's yes: the mail server's own words, and the session is its."""
        if self._state is not _State.DECIDING:
            return []
        self._state = _State.SIGNED_IN
        text = ready.warning or ready.text.decode("utf-8", "replace") or "Logged in."
        return [Send(response(True, text))]

    def pending(self) -> bytes:
        """What the client sent behind its login; the buffer is empty afterwards."""
        return self._input.take()

    def shut_down(self, sentence: str) -> list[Command]:
        """Ends the session. Once spliced, a line of ours could land within a message: none is sent."""
        if self._state is _State.CLOSED:
            return []
        silent = self._state in (_State.SIGNED_IN, _State.HANDSHAKE)
        last: list[Command] = [] if silent else [_say(False, sentence, TEMPORARY)]
        return [*last, self._close("shut down")]

    def _run(self) -> list[Command]:
        commands: list[Command] = []
        while self._state in (_State.COMMAND, _State.SASL):
            sasl = self._state is _State.SASL
            try:
                line = self._input.line(MAX_SASL + 2 if sasl else MAX_LINE)
            except LineTooLongError:
                return [*commands, _say(False, "The line is too long"), self._close("line too long")]
            if line is None:
                return commands
            commands += self._response(line) if sasl else self._command(line)
        if len(self._input) > MAX_PENDING:
            if self._state is _State.DECIDING:
                commands.append(_say(False, "Too much was sent behind the login", TEMPORARY))
            commands.append(self._close("pipelined too much"))
        return commands

    def _command(self, line: bytes) -> list[Command]:
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            return [_say(False, "Too many commands before signing in"), self._close("too many commands")]
        self._named, self._name = self._name, None
        try:
            command = parse_command(line)
        except Pop3SyntaxError as error:
            return [_say(False, f"Syntax error: {error}")]
        if command.keyword in _AFTER_LOGIN:
            return [_say(False, f"{command.keyword} comes after signing in: send USER and PASS, or AUTH")]
        rule = _COMMANDS.get(command.keyword)
        if rule is None:
            return [_say(False, "Unknown command")]
        if command.argument and not rule.argument:
            return [_say(False, f"{command.keyword} takes no argument")]
        if rule.needs_tls and not self._tls:
            # RFC 3206 section 4: nothing is wrong with the credential, and trying again will not help.
            how = "send STLS first" if self._starttls else "use the port for POP3 over TLS"
            return [_say(False, f"Signing in needs an encrypted connection: {how}", PERMANENT)]
        return rule.run(self, command.argument)

    def _capa(self, _: bytes) -> list[Command]:
        # RFC 2449 section 6.8: commands sent at once are answered one by one, those behind a login by the mail server,
        # which gets them in the same order.
        ours = ("RESP-CODES", "AUTH-RESP-CODE", "PIPELINING")
        lines = ["+OK Capabilities follow", *self._upstream, *ours]
        if self._tls:
            lines += ["USER", "SASL " + " ".join(self._mechanisms())]
        elif self._starttls:
            lines.append("STLS")
        return [Send("".join(f"{line}\r\n" for line in [*lines, "IMPLEMENTATION Gambeson", "."]).encode())]

    def _mechanisms(self) -> list[str]:
        return ["PLAIN", "LOGIN", *(["EXTERNAL"] if self.external else [])]

    def _stls(self, _: bytes) -> list[Command]:
        if self._tls:
            return [_say(False, "TLS is active already")]
        if not self._starttls:
            return [_say(False, "TLS is not offered here: use the port for POP3 over TLS")]
        self._state = _State.HANDSHAKE
        self._input.take()
        return [_say(True, "Begin TLS"), StartTls()]

    def _user(self, argument: bytes) -> list[Command]:
        try:
            self._name = prepare_name(argument.decode("utf-8"))
        except (UnicodeDecodeError, SaslError):
            return [_say(False, "USER needs a name in UTF-8 without control characters", AUTH)]
        if not self._name:
            self._name = None
            return [_say(False, "USER needs a name")]
        return [_say(True, "Send PASS")]  # for every name alike (RFC 1939 section 13)

    def _pass(self, argument: bytes) -> list[Command]:
        if self._named is None:
            return [_say(False, "PASS comes right behind USER")]  # RFC 1939 section 7
        try:
            password = prepare_password(argument.decode("utf-8"))
        except (UnicodeDecodeError, SaslError):
            return [_say(False, "PASS needs a password in UTF-8 without control characters", AUTH)]
        return self._authenticate(RawLogin(Mechanism.USER_PASS, self._named, password))

    def _auth(self, argument: bytes) -> list[Command]:
        if not argument:
            # No standard has it, but old clients ask so for the mechanisms.
            names = "".join(f"{name}\r\n" for name in self._mechanisms())
            return [Send(f"+OK\r\n{names}.\r\n".encode())]
        mechanism, _, initial = argument.partition(b" ")
        try:
            exchange = Exchange(mechanism.decode("ascii", "replace"))
            if exchange.mechanism is Mechanism.EXTERNAL and not self.external:
                raise SaslError("EXTERNAL needs a client certificate")
            return self._step(exchange, decode(initial) if initial else None)
        except SaslError as error:
            return [_say(False, f"AUTH failed: {error}")]

    def _response(self, line: bytes) -> list[Command]:
        exchange, self._exchange = self._exchange, None
        self._state = _State.COMMAND
        if line == b"*" or exchange is None:  # RFC 5034 section 4
            return [_say(False, "AUTH cancelled")]
        try:
            return self._step(exchange, decode(line))
        except SaslError as error:
            return [_say(False, f"AUTH failed: {error}")]

    def _step(self, exchange: Exchange, message: bytes | None) -> list[Command]:
        outcome = exchange.step(message)
        if isinstance(outcome, RawLogin):
            return self._authenticate(outcome)
        self._exchange = exchange
        self._state = _State.SASL
        return [Send(b"+ " + encode(outcome) + b"\r\n")]

    def _authenticate(self, login: RawLogin) -> list[Command]:
        self._state = _State.DECIDING
        return [Authenticate(login)]

    def _quit(self, _: bytes) -> list[Command]:
        return [_say(True, "Bye"), self._close("quit")]

    def _close(self, reason: str) -> Close:
        self._state = _State.CLOSED
        self._input.take()
        return Close(reason)


@dataclass(frozen=True, slots=True)
class _Rule:
    run: Callable[[Pop3Server, bytes], list[Command]]
    argument: bool = False
    needs_tls: bool = False


_COMMANDS = {
    "CAPA": _Rule(Pop3Server._capa),
    "STLS": _Rule(Pop3Server._stls),
    "USER": _Rule(Pop3Server._user, argument=True, needs_tls=True),
    "PASS": _Rule(Pop3Server._pass, argument=True, needs_tls=True),
    "AUTH": _Rule(Pop3Server._auth, argument=True, needs_tls=True),
    "QUIT": _Rule(Pop3Server._quit),
}

# RFC 1939 sections 5 and 7: commands of the TRANSACTION state. RFC 6856's UTF8 and LANG and RFC 1939's
# APOP are simply unknown here, as CAPA and the greeting say.
_AFTER_LOGIN = {"STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL"}


def _say(ok: bool, text: str, code: str = "") -> Send:
    return Send(response(ok, text, code))
