"""The ManageSieve dialogue a door holds with a client until it is signed in (RFC 5804).

Rules: no login before TLS, so SASL is empty until then (section 1.7); the capabilities are told anew after
STARTTLS (section 2.2); nothing is said about whether a name exists. SIEVE must always be told (section
1.7): it is what the mail server behind was last heard to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from gambeson.model.access import Mechanism, RawLogin

from .dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from .limits import MAX_COMMAND, MAX_COMMANDS, MAX_FAILURES, MAX_PENDING, MAX_SASL
from .lines import human
from .sasl import Exchange, SaslError, decode
from .sasl_client import encode
from .sieve import Kind, Reader, SieveSyntaxError, Token, result, string


class _State(Enum):
    COMMAND = auto()  # a command comes next
    SASL = auto()  # a string comes next: the answer to a challenge
    DECIDING = auto()  # an Authenticate is out; commands are kept
    HANDSHAKE = auto()  # TLS is beginning; nothing may come in plaintext
    SIGNED_IN = auto()  # what comes now is for the mail server
    CLOSED = auto()


class SieveServer:
    """A :class:`~gambeson.wire.dialogue.ServerDialogue`.

    ``tls``: the connection is encrypted from the first byte. ``starttls``: STARTTLS is offered. ``external``:
    a verified client certificate is there; after STARTTLS the edge sets the attribute before
    ``tls_started``. ``sieve_extensions``: what the mail server behind tells as SIEVE, blank-separated.
    """

    def __init__(
        self,
        *,
        hostname: str,
        external: bool = False,
        starttls: bool = False,
        tls: bool = False,
        sieve_extensions: str = "",
    ) -> None:
        self.external = external
        self._hostname = hostname
        self._starttls = starttls
        self._tls = tls
        self._extensions = human(sieve_extensions, 1000)
        self._state = _State.COMMAND
        self._reader = Reader(line=MAX_COMMAND, literal=MAX_SASL, total=MAX_COMMAND)
        self._exchange: Exchange | None = None
        self._commands = 0
        self._failures = 0

    def start(self) -> list[Command]:
        """The greeting: the capabilities and OK (RFC 5804 section 1.7)."""
        return [self._capabilities(f"{self._hostname} ManageSieve ready.")]

    def receive(self, data: bytes) -> list[Command]:
        """Octets from the client."""
        if self._state in (_State.HANDSHAKE, _State.CLOSED):
            return []  # plaintext behind STARTTLS is nobody's (RFC 5804 section 2.2)
        self._reader.input.feed(data)
        return self._run()

    def tls_started(self) -> list[Command]:
        """TLS stands: the capabilities again, unasked (RFC 5804 section 2.2)."""
        self._tls = True
        self._reader.input.take()
        self._state = _State.COMMAND
        return [self._capabilities("TLS stands.")]

    def refused(self, refusal: Refusal) -> list[Command]:
        """The edge's no; then what was pipelined behind."""
        if self._state is not _State.DECIDING:
            return []  # it was closed meanwhile
        self._failures += 1
        self._state = _State.COMMAND
        answer = _say("NO", refusal.sentence, "TRYLATER" if refusal.temporary else "")
        if refusal.close or self._failures >= MAX_FAILURES:
            return [answer, _say("BYE", "Connect again to try once more."), self._close("refused")]
        return [answer, *self._run()]

    def accepted(self, ready: Ready) -> list[Command]:
        """The edge's yes: the mail server's own words, and the session is its."""
        if self._state is not _State.DECIDING:
            return []
        self._state = _State.SIGNED_IN
        return [_say("OK", ready.warning or ready.text.decode("utf-8", "replace") or "Logged in.")]

    def pending(self) -> bytes:
        """What the client sent behind its login; the buffer is empty afterwards."""
        return self._reader.input.take()

    def shut_down(self, sentence: str) -> list[Command]:
        """Ends the session. Once spliced, a line of ours could land within a script: none is sent."""
        if self._state is _State.CLOSED:
            return []
        silent = self._state in (_State.SIGNED_IN, _State.HANDSHAKE)
        last: list[Command] = [] if silent else [_say("BYE", sentence, "TRYLATER")]
        return [*last, self._close("shut down")]

    def _run(self) -> list[Command]:
        commands: list[Command] = []
        while self._state in (_State.COMMAND, _State.SASL):
            try:
                tokens = self._reader.next()
            except SieveSyntaxError as error:
                commands += self._syntax_error(error)
                continue
            if tokens is None:
                return commands
            commands += self._response(tokens) if self._state is _State.SASL else self._command(tokens)
        if len(self._reader.input) > MAX_PENDING:
            if self._state is _State.DECIDING:
                commands.append(_say("BYE", "Too much was sent behind the login."))
            commands.append(self._close("pipelined too much"))
        return commands

    def _syntax_error(self, error: SieveSyntaxError) -> list[Command]:
        self._exchange = None
        self._state = _State.COMMAND
        if error.fatal:
            return [_say("BYE", f"Syntax error: {error}."), self._close("syntax error")]
        return self._count() or [_say("NO", f"Syntax error: {error}.")]

    def _count(self) -> list[Command]:
        self._commands += 1
        if self._commands <= MAX_COMMANDS:
            return []
        return [_say("BYE", "Too many commands before signing in."), self._close("too many commands")]

    def _command(self, tokens: list[Token]) -> list[Command]:
        if over := self._count():
            return over
        name = tokens[0].word if tokens else ""
        arguments = [token.value for token in tokens[1:] if token.kind is Kind.STRING]
        if name in _AFTER_LOGIN:
            return [_say("NO", f"{name} comes after signing in: send AUTHENTICATE first.")]
        rule = _COMMANDS.get(name)
        if rule is None:
            return [_say("NO", "Unknown command.")]
        if len(arguments) != len(tokens) - 1 or not rule.least <= len(arguments) <= rule.most:
            return [_say("NO", f"{name} takes {rule.takes}.")]
        return rule.run(self, arguments)

    def _capability(self, _: list[bytes]) -> list[Command]:
        return [self._capabilities("Capability completed.")]

    def _capabilities(self, text: str) -> Send:
        mechanisms = ["PLAIN", "LOGIN", *(["EXTERNAL"] if self.external else [])] if self._tls else []
        lines = [
            b'"IMPLEMENTATION" "Gambeson"',
            b'"SASL" ' + string(" ".join(mechanisms).encode()),
            b'"SIEVE" ' + string(self._extensions.encode()),
            *([b'"STARTTLS"'] if self._starttls and not self._tls else []),
            b'"VERSION" "1.0"',
        ]
        return Send(b"".join(line + b"\r\n" for line in lines) + result("OK", text))

    def _begin_tls(self, _: list[bytes]) -> list[Command]:
        if self._tls:
            return [_say("NO", "TLS is active already.")]
        if not self._starttls:
            return [_say("NO", "TLS is not offered here.")]
        self._state = _State.HANDSHAKE
        self._reader.input.take()
        return [_say("OK", "Begin TLS."), StartTls()]

    def _noop(self, arguments: list[bytes]) -> list[Command]:
        if not arguments:
            return [_say("OK", "Done.")]
        return [Send(b"OK (TAG " + string(arguments[0]) + b') "Done."\r\n')]  # RFC 5804 section 2.13

    def _logout(self, _: list[bytes]) -> list[Command]:
        return [_say("OK", "Bye."), self._close("logout")]

    def _authenticate(self, arguments: list[bytes]) -> list[Command]:
        if not self._tls:
            return [
                _say("NO", "Signing in needs an encrypted connection: send STARTTLS first.", "ENCRYPT-NEEDED")
            ]
        try:
            exchange = Exchange(arguments[0].decode("ascii", "replace"))
            if exchange.mechanism is Mechanism.EXTERNAL and not self.external:
                raise SaslError("EXTERNAL needs a client certificate")
            return self._step(exchange, decode(arguments[1]) if len(arguments) > 1 else None)
        except SaslError as error:
            return [_say("NO", f"AUTHENTICATE failed: {error}.")]

    def _response(self, tokens: list[Token]) -> list[Command]:
        exchange, self._exchange = self._exchange, None
        self._state = _State.COMMAND
        if len(tokens) != 1 or tokens[0].kind is not Kind.STRING or exchange is None:
            return [_say("NO", "AUTHENTICATE failed: the answer to a challenge is one string.")]
        if tokens[0].value == b"*":  # RFC 5804 section 2.1
            return [_say("NO", "AUTHENTICATE cancelled.")]
        try:
            return self._step(exchange, decode(tokens[0].value))
        except SaslError as error:
            return [_say("NO", f"AUTHENTICATE failed: {error}.")]

    def _step(self, exchange: Exchange, message: bytes | None) -> list[Command]:
        outcome = exchange.step(message)
        if isinstance(outcome, RawLogin):
            self._state = _State.DECIDING
            return [Authenticate(outcome)]
        self._exchange = exchange
        self._state = _State.SASL
        return [Send(string(encode(outcome)) + b"\r\n")]

    def _close(self, reason: str) -> Close:
        self._state = _State.CLOSED
        self._reader.input.take()
        return Close(reason)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How to run a command, and how many strings it takes."""

    run: Callable[[SieveServer, list[bytes]], list[Command]]
    least: int = 0
    most: int = 0
    takes: str = "no argument"


_COMMANDS = {
    "AUTHENTICATE": _Rule(SieveServer._authenticate, 1, 2, "a mechanism and at most one response"),
    "CAPABILITY": _Rule(SieveServer._capability),
    "LOGOUT": _Rule(SieveServer._logout),
    "NOOP": _Rule(SieveServer._noop, 0, 1, "at most one string"),
    "STARTTLS": _Rule(SieveServer._begin_tls),
}

# RFC 5804 section 2: what is valid only once signed in.
_AFTER_LOGIN = {
    "HAVESPACE",
    "PUTSCRIPT",
    "LISTSCRIPTS",
    "SETACTIVE",
    "GETSCRIPT",
    "DELETESCRIPT",
    "RENAMESCRIPT",
    "CHECKSCRIPT",
}


def _say(status: str, text: str, code: str = "") -> Send:
    return Send(result(status, text, code))
