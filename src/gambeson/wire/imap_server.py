"""What a door speaks with an IMAP client until it is signed in (RFC 9051 and RFC 3501, not authenticated state).

Rules: nothing that carries a password is taken before TLS. STARTTLS forgets all that came before it. Commands
behind a login stay in the buffer until it is decided, and go to the mail server when it was accepted. Nothing the
client sent is ever echoed but its tag.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from enum import Enum

from gambeson.model.access import Mechanism, RawLogin

from . import limits
from .dialogue import Authenticate, Close, Command, Ready, Refusal, Send, StartTls
from .imap import Cursor, Framer, GrammarError, LimitError, LiteralAsked, bye, human, parse_head
from .imap_capabilities import offered, passed_on
from .imap_id import read_id
from .sasl import Exchange, SaslError, decode, typed


class Phase(Enum):
    """Where the dialogue stands."""

    NEW = "new"
    COMMAND = "command"  # a command may come
    EXCHANGE = "exchange"  # a SASL response must come
    DECIDING = "deciding"  # the edge answers accepted or refused
    TLS = "tls"  # the handshake runs
    SIGNED_IN = "signed in"
    CLOSED = "closed"


# Every move there is. What is not here cannot happen: a wrong call of the edge raises RuntimeError.
_MOVES: dict[tuple[Phase, str], Phase] = {
    (Phase.NEW, "greet"): Phase.COMMAND,
    (Phase.COMMAND, "challenge"): Phase.EXCHANGE,
    (Phase.COMMAND, "ask"): Phase.DECIDING,
    (Phase.COMMAND, "fail"): Phase.COMMAND,
    (Phase.COMMAND, "starttls"): Phase.TLS,
    (Phase.EXCHANGE, "challenge"): Phase.EXCHANGE,
    (Phase.EXCHANGE, "ask"): Phase.DECIDING,
    (Phase.EXCHANGE, "fail"): Phase.COMMAND,
    (Phase.DECIDING, "refused"): Phase.COMMAND,
    (Phase.DECIDING, "accepted"): Phase.SIGNED_IN,
    (Phase.TLS, "encrypted"): Phase.COMMAND,
}

# RFC 9051 sections 6.3 and 6.4, and what common clients send: known, but only after sign-in.
_AFTER_SIGN_IN = frozenset(
    b"APPEND CHECK CLOSE COMPRESS COPY CREATE DELETE DELETEACL ENABLE EXAMINE EXPUNGE FETCH GETACL GETMETADATA "
    b"GETQUOTA GETQUOTAROOT IDLE LIST LISTRIGHTS LSUB MOVE MYRIGHTS NAMESPACE NOTIFY RENAME SEARCH SELECT SETACL "
    b"SETMETADATA SETQUOTA SORT STATUS STORE SUBSCRIBE THREAD UID UNSELECT UNSUBSCRIBE XLIST".split()
)

_BEARER = (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2)


class ImapServer:
    """The server's side before sign-in; see :class:`~gambeson.wire.dialogue.ServerDialogue`.

    ``external`` may be set anew before ``tls_started``, when the handshake has shown a certificate.
    ``client_id`` is what the client said of itself (RFC 2971): asserted, nothing more; NIL is "".
    """

    def __init__(
        self, *, hostname: str, tls: bool = False, starttls: bool = False, external: bool = False
    ) -> None:
        self.external = external
        self.client_id: tuple[tuple[str, str], ...] = ()
        self._hostname = human(hostname)
        self._tls = tls
        self._starttls = starttls
        self._phase = Phase.NEW
        self._framer = Framer(
            line=limits.MAX_LINE, literal=limits.MAX_LITERAL, total=limits.MAX_COMMAND, ask=True
        )
        self._exchange: Exchange | None = None
        self._tag = b"*"
        self._mechanism: Mechanism | None = None
        self._commands = 0
        self._failures = 0
        self._out: list[Command] = []

    # What the edge calls

    def start(self) -> list[Command]:
        """The greeting."""
        self._move("greet")
        self._say(b"* OK [CAPABILITY ", self._capabilities(), b"] ", self._hostname, b" ready")
        return self._flush()

    def receive(self, data: bytes) -> list[Command]:
        """Bytes of the client."""
        if self._phase in (Phase.CLOSED, Phase.TLS):
            return []  # behind STARTTLS: plaintext that somebody may have slipped in
        self._framer.feed(data)
        return self._run()

    def tls_started(self) -> list[Command]:
        """The handshake is done. No new greeting in IMAP; what was said before it is forgotten."""
        if self._phase is Phase.CLOSED:
            return []
        self._move("encrypted")
        self._tls = True
        return []

    def refused(self, refusal: Refusal) -> list[Command]:
        """The login is refused; then whatever the client pipelined behind it is answered."""
        if self._phase is Phase.CLOSED:
            return []
        self._move("refused")
        sentence = human(refusal.sentence)
        if refusal.alert:
            self._say(b"* NO [ALERT] ", sentence)
        code = refusal.code or ("UNAVAILABLE" if refusal.temporary else "AUTHENTICATIONFAILED")
        self._say(self._tag, b" NO [", code.encode("ascii"), b"] ", sentence)
        self._failed(refusal.close)
        return self._run()

    def accepted(self, ready: Ready) -> list[Command]:
        """The mail server signed the client in."""
        if self._phase is Phase.CLOSED:
            return []
        if self._mechanism in _BEARER:
            # The client holds an error challenge (RFC 7628 section 3.2.3): OK cannot follow it.
            return self.refused(Refusal("Single sign-on tokens are not accepted here", close=True))
        self._move("accepted")
        kept = passed_on(ready.capabilities)
        code = b"[CAPABILITY " + kept + b"] " if kept else b""
        if ready.warning:
            # RFC 9051 section 7.1: ALERT must be shown to the person, also with an OK.
            self._say(b"* OK [ALERT] ", human(ready.warning))
        self._say(self._tag, b" OK ", code, human(ready.text or b"Signed in"))
        return self._flush()

    def pending(self) -> bytes:
        """What the client sent behind its login, for the mail server; the dialogue then holds nothing."""
        return self._framer.take()

    def shut_down(self, sentence: str) -> list[Command]:
        """End the connection for a reason of ours. During a handshake nothing can be said."""
        if self._phase is Phase.CLOSED:
            return []
        if self._phase is Phase.TLS:
            self._close("shut down")
        else:
            self._bye(sentence, "shut down")
        return self._flush()

    # The loop

    def _run(self) -> list[Command]:
        try:
            while self._phase in (Phase.COMMAND, Phase.EXCHANGE):
                if self._phase is Phase.EXCHANGE:
                    line = self._framer.line(limits.MAX_SASL)
                    if line is None:
                        break
                    self._response(line)
                    continue
                got = self._framer.next()
                if got is None:
                    break
                if isinstance(got, LiteralAsked):
                    self._literal_asked(got)
                else:
                    self._command(got)
        except LimitError as error:
            self._bye(f"{error}. Connect again.", "limit")
        if self._framer.held > limits.MAX_PENDING and self._phase in (Phase.DECIDING, Phase.SIGNED_IN):
            self._bye("Too much was sent behind the login. Connect again.", "limit")
        return self._flush()

    def _command(self, pieces: list[bytes]) -> None:
        tag, name, at = parse_head(pieces[0])
        if not self._count():
            return
        handler = _HANDLERS.get(name)
        if handler is None:
            self._unknown(tag, name, pieces[0])
            return
        try:
            handler(self, tag, Cursor(pieces, at))
        except GrammarError as error:
            self._say(tag, b" BAD ", human(str(error)))

    def _literal_asked(self, asked: LiteralAsked) -> None:
        # Leave is given only where the literal will be used: so that nobody is asked to send a password
        # in the clear, and nothing is held for a command that is refused anyway.
        tag, name, _ = parse_head(asked.head)
        if asked.size >= 0 and (name == b"ID" or (name == b"LOGIN" and self._tls)):
            self._framer.grant()
            self._say(b"+ OK")
            return
        self._framer.abandon()
        if not self._count():
            return
        if name == b"LOGIN" and not self._tls:
            self._private(tag)
        elif name in _HANDLERS:
            self._say(tag, b" BAD ", b"No literal here" if asked.size >= 0 else b"The literal is too long")
        else:
            self._unknown(tag, name, asked.head)

    def _unknown(self, tag: bytes, name: bytes, line: bytes) -> None:
        if line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            # A browser made to speak to us: nothing of its request may count as a command.
            self._bye("This is a mail server", "http")
        elif name in _AFTER_SIGN_IN:
            self._say(tag, b" BAD Sign in first")
        else:
            self._say(tag, b" BAD ", b"Unknown command" if name else b"This is no command")

    # The commands (RFC 9051 sections 6.1 and 6.2)

    def _capability(self, tag: bytes, arguments: Cursor) -> None:
        arguments.end()
        self._say(b"* CAPABILITY ", self._capabilities())
        self._say(tag, b" OK Done")

    def _noop(self, tag: bytes, arguments: Cursor) -> None:
        arguments.end()
        self._say(tag, b" OK Done")

    def _logout(self, tag: bytes, arguments: Cursor) -> None:
        arguments.end()
        self._say(b"* BYE Goodbye")
        self._say(tag, b" OK Done")
        self._close("logout")

    def _id(self, tag: bytes, arguments: Cursor) -> None:
        self.client_id = read_id(arguments)
        self._say(b'* ID ("name" "Gambeson")')
        self._say(tag, b" OK Done")

    def _start_tls(self, tag: bytes, arguments: Cursor) -> None:
        arguments.end()
        if self._tls or not self._starttls:
            self._say(tag, b" BAD ", b"TLS is on already" if self._tls else b"Unknown command")
            return
        self._say(tag, b" OK Begin TLS")
        self._do(StartTls())
        self._move("starttls")
        # RFC 9051 section 6.2.1: nothing learned in the clear is kept, and nothing sent in it is run.
        self._framer.take()
        self.client_id = ()

    def _login(self, tag: bytes, arguments: Cursor) -> None:
        if not self._tls:
            self._private(tag)
            return
        arguments.need(b" ", "LOGIN needs a name and a password")
        name = arguments.astring()
        arguments.need(b" ", "LOGIN needs a name and a password")
        password = arguments.astring()
        arguments.end()
        self._tag = tag
        try:
            self._ask(typed(Mechanism.IMAP_LOGIN, name, password))
        except SaslError as error:
            self._unreadable(error)

    def _authenticate(self, tag: bytes, arguments: Cursor) -> None:
        if not self._tls:
            self._private(tag)
            return
        arguments.need(b" ", "AUTHENTICATE needs a mechanism")
        name = arguments.atom()
        initial = arguments.base64() if arguments.take(b" ") else None
        arguments.end()
        self._tag = tag
        try:
            exchange = Exchange(name.decode("ascii"))
        except SaslError:
            exchange = None
        if exchange is None or (exchange.mechanism is Mechanism.EXTERNAL and not self.external):
            why = (
                b"This mechanism is not offered"
                if exchange is None
                else b"EXTERNAL needs a client certificate"
            )
            self._say(tag, b" NO ", why)
            return
        self._exchange = exchange
        self._step(initial)

    # The exchange (RFC 9051 section 6.2.2)

    def _response(self, line: bytes) -> None:
        if line == b"*":
            self._move("fail")
            self._say(self._tag, b" BAD Cancelled")
            return
        self._step(line)

    def _step(self, response: bytes | None) -> None:
        assert self._exchange is not None
        try:
            message = None if response is None else decode(response)
        except SaslError as error:
            self._move("fail")
            self._say(self._tag, b" BAD ", human(str(error)))
            return
        try:
            outcome = self._exchange.step(message)
        except SaslError as error:
            self._unreadable(error)
            return
        if isinstance(outcome, RawLogin):
            self._ask(outcome)
        else:
            self._move("challenge")
            self._say(b"+ ", b64encode(outcome))

    def _ask(self, login: RawLogin) -> None:
        self._move("ask")
        self._exchange = None
        self._mechanism = login.mechanism
        self._do(Authenticate(login))

    def _unreadable(self, error: SaslError) -> None:
        self._move("fail")
        self._say(self._tag, b" NO [AUTHENTICATIONFAILED] Not signed in: ", human(str(error)))
        self._failed(False)

    # Small things

    def _capabilities(self) -> bytes:
        return offered(tls=self._tls, starttls=self._starttls, external=self.external)

    def _private(self, tag: bytes) -> None:
        how = b"begin TLS with STARTTLS" if self._starttls else b"connect with TLS"
        self._say(tag, b" NO [PRIVACYREQUIRED] Not without encryption: ", how, b", then sign in")

    def _count(self) -> bool:
        self._commands += 1
        if self._commands > limits.MAX_COMMANDS:
            self._bye("Too many commands without signing in. Connect again.", "limit")
            return False
        return True

    def _failed(self, close: bool) -> None:
        self._failures += 1
        if close or self._failures >= limits.MAX_FAILURES:
            self._bye("Not signed in. Connect again when the cause is removed.", "refused")

    def _bye(self, sentence: str, reason: str) -> None:
        self._say(bye(sentence)[:-2])
        self._close(reason)

    def _close(self, reason: str) -> None:
        self._phase = Phase.CLOSED
        self._framer.take()
        self._do(Close(reason))

    def _move(self, event: str) -> None:
        phase = _MOVES.get((self._phase, event))
        if phase is None:
            raise RuntimeError(f"no {event!r} in phase {self._phase.value!r}")
        self._phase = phase

    def _say(self, *parts: bytes) -> None:
        line = b"".join((*parts, b"\r\n"))
        last = self._out[-1] if self._out else None
        if isinstance(last, Send):  # one write for what is said together
            self._out[-1] = Send(last.data + line)
        else:
            self._out.append(Send(line))

    def _do(self, command: Command) -> None:
        self._out.append(command)

    def _flush(self) -> list[Command]:
        out, self._out = self._out, []
        return out


_HANDLERS: dict[bytes, Callable[[ImapServer, bytes, Cursor], None]] = {
    b"CAPABILITY": ImapServer._capability,
    b"NOOP": ImapServer._noop,
    b"LOGOUT": ImapServer._logout,
    b"ID": ImapServer._id,
    b"STARTTLS": ImapServer._start_tls,
    b"LOGIN": ImapServer._login,
    b"AUTHENTICATE": ImapServer._authenticate,
}
