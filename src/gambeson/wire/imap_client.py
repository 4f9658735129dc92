"""How a door signs in at the IMAP server behind it (RFC 9051; SASL-IR RFC 4959; LITERAL+ RFC 7888).

Rules: with ``starttls`` nothing but STARTTLS is said before TLS, and nothing heard before it counts, nor
whatever the server's side pipelined behind its go-ahead. A round trip is saved where it can be: the
greeting's capabilities are believed, and ID and the sign-in go out together. The server may say what it
likes in between; what it says is bounded, and shown only after it was made one printable line without
the secret in it.

A server that lets a client leave its sign-in (UNAUTHENTICATE, RFC 8437) is refused: whoever came in with a device
could sign in anew behind the door, as anybody, with a password alone. What it can do after the sign-in is therefore
asked for where it does not say it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from . import limits, lines
from .dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from .imap import Answer, Framer, LimitError, may_hold_literal, parse_answer
from .imap_id import id_for_server, write_id
from .limits import UNAUTHENTICATE
from .sasl_client import SignInError, SignInExchange, encode


class Phase(Enum):
    """Where the dialogue stands."""

    NEW = "new"
    GREETING = "greeting"  # the server speaks first
    BUSY = "busy"  # commands of ours are unanswered
    TLS = "tls"  # the handshake runs
    DONE = "done"  # Ready or Failed was given


# RFC 5530 section 3: what a NO says of the server and not of the credential.
_LATER = frozenset((b"UNAVAILABLE", b"INUSE", b"LIMIT", b"SERVERBUG", b"CONTACTADMIN"))

# A longer initial response goes behind a continuation: RFC 9051 section 4 lets servers end lines of 8192.
_MAX_INITIAL = 4000


class ImapClient:
    """The client's side of the sign-in; see :class:`~gambeson.wire.dialogue.ClientDialogue`.

    ``trusted``: tell the server in ID (RFC 2971) whom we stand for, as Dovecot's login_trusted_networks takes
    it. ``client_id`` is the ID that the client gave us; it is passed on without its ``x-`` fields.
    """

    def __init__(
        self,
        *,
        credential: UpstreamCredential,
        origin: Origin,
        starttls: bool = False,
        trusted: bool = False,
        client_id: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._credential = credential
        self._starttls = starttls
        self._id = id_for_server(origin if trusted else None, client_id)
        self._phase = Phase.NEW
        self._framer = Framer(
            line=limits.MAX_UPSTREAM_LINE,
            literal=limits.MAX_UPSTREAM_LINE,
            total=limits.MAX_UPSTREAM_LINE,
            ask=False,
            literals=may_hold_literal,
        )
        self._answers = 0
        self._tags = 0
        self._waiting: deque[tuple[bytes, Callable[[Answer], list[Command]]]] = deque()
        self._replies: deque[bytes] = deque()  # what the next continuation requests draw
        self._exchange: SignInExchange | None = None
        self._capabilities: tuple[bytes, ...] = ()
        self._offered: frozenset[bytes] = frozenset()  # before the sign-in, upper case
        self._text = b""

    def start(self) -> list[Command]:
        """Nothing to say: the server greets."""
        self._phase = Phase.GREETING
        return []

    def receive(self, data: bytes) -> list[Command]:
        """Bytes of the server."""
        if self._phase in (Phase.TLS, Phase.DONE):
            return []
        self._framer.feed(data)
        out: list[Command] = []
        try:
            while self._phase in (Phase.GREETING, Phase.BUSY):
                pieces = self._framer.next()
                if pieces is None:
                    break
                assert isinstance(pieces, list)
                self._answers += 1
                if self._answers > limits.MAX_UPSTREAM_ANSWERS:
                    raise LimitError("it said too much before the sign-in was done")
                out += self._answer(parse_answer(pieces[0]))
        except LimitError as error:
            out += self._failed("protocol", str(error))
        return out

    def tls_started(self) -> list[Command]:
        """The handshake is done; the server does not greet again (RFC 9051 section 6.2.1)."""
        if self._phase is not Phase.TLS:
            return []
        self._phase = Phase.BUSY
        return self._ask_capabilities()

    # Answers

    def _answer(self, answer: Answer) -> list[Command]:
        if self._phase is Phase.GREETING:
            return self._greeting(answer)
        if answer.tag == b"+":
            return self._continue()
        if answer.tag == b"*":
            if answer.word == b"BYE":
                return self._failed("unavailable", _shown(answer))
            self._learn(answer)
            return []
        if (
            not self._waiting
            or answer.tag != self._waiting[0][0]
            or answer.word not in (b"OK", b"NO", b"BAD")
        ):
            return self._failed("protocol", "it sent an answer to nothing that was asked")
        _, handler = self._waiting.popleft()
        return handler(answer)

    def _greeting(self, answer: Answer) -> list[Command]:
        if answer.tag == b"*" and answer.word == b"BYE":
            return self._failed("unavailable", _shown(answer))
        if answer.tag == b"*" and answer.word == b"PREAUTH":
            # RFC 9051 section 7.1.4: signed in as nobody knows whom, and STARTTLS no longer possible.
            return self._failed("protocol", "it signed us in before we asked (PREAUTH)")
        if answer.tag != b"*" or answer.word != b"OK":
            return self._failed("protocol", "its greeting is not IMAP")
        self._phase = Phase.BUSY
        if self._starttls:
            return [Send(self._command(b"STARTTLS", self._on_starttls))]
        self._learn(answer)
        return self._sign_in() if self._capabilities else self._ask_capabilities()

    def _ask_capabilities(self) -> list[Command]:
        return [Send(self._command(b"CAPABILITY", self._on_capability))]

    def _on_starttls(self, answer: Answer) -> list[Command]:
        if answer.word != b"OK":
            return self._failed("protocol", "it does not begin TLS: " + _shown(answer))
        self._framer.take()
        self._capabilities = ()
        self._phase = Phase.TLS
        return [StartTls()]

    def _on_capability(self, answer: Answer) -> list[Command]:
        self._learn(answer)
        if answer.word != b"OK" or not self._capabilities:
            return self._failed("protocol", "it does not tell its capabilities")
        return self._sign_in()

    def _on_id(self, _answer: Answer) -> list[Command]:
        return []  # a refused ID costs the record of the client's address, no more

    def _on_sign_in(self, answer: Answer) -> list[Command]:
        if answer.word == b"OK":
            self._learn(answer)
            self._text = lines.ascii_human(answer.text).encode("ascii")
            if not self._capabilities:
                self._exchange = None
                return [Send(self._command(b"CAPABILITY", self._on_last_capability))]
            return self._signed_in()
        if answer.word == b"BAD" or answer.code == b"PRIVACYREQUIRED":
            return self._failed("protocol", _shown(answer))
        return self._failed("unavailable" if answer.code in _LATER else "refused", _shown(answer))

    def _on_last_capability(self, answer: Answer) -> list[Command]:
        self._learn(answer)
        if answer.word != b"OK" or not self._capabilities:
            return self._failed("protocol", "it does not tell its capabilities")
        return self._signed_in()

    def _signed_in(self) -> list[Command]:
        if b"UNAUTHENTICATE" in self._offered | {c.upper() for c in self._capabilities}:
            return self._failed("protocol", UNAUTHENTICATE)
        self._phase = Phase.DONE
        return [Ready(self._capabilities, self._text, self._framer.take())]

    def _learn(self, answer: Answer) -> None:
        if answer.word == b"CAPABILITY":
            self._capabilities = tuple(answer.text.split())
        elif answer.code == b"CAPABILITY":
            self._capabilities = tuple(answer.details.split())

    def _continue(self) -> list[Command]:
        try:
            if len(self._waiting) != 1 or not (self._replies or self._exchange):
                raise SignInError("the mail server asked for what we had not announced")
            if self._replies:
                return [Send(self._replies.popleft() + b"\r\n")]
            # Also the error challenge of OAUTHBEARER (RFC 7628 section 3.2.3) comes here.
            assert self._exchange is not None
            return [Send(encode(self._exchange.answer()) + b"\r\n")]
        except SignInError as error:
            return self._failed("protocol", str(error))

    # Signing in

    def _sign_in(self) -> list[Command]:
        self._offered = offered = frozenset(c.upper() for c in self._capabilities)
        try:
            exchange = SignInExchange(self._credential)
        except SignInError as error:
            return self._failed("protocol", str(error))
        out = b""
        if self._id and b"ID" in offered:
            out = self._command(b"ID " + write_id(self._id), self._on_id)
        mechanism = self._credential.mechanism
        if b"AUTH=" + mechanism.encode("ascii") in offered:
            out += self._authenticate(exchange, b"SASL-IR" in offered)
        elif (
            mechanism in ("PLAIN", "LOGIN")
            and not self._credential.authzid
            and b"LOGINDISABLED" not in offered
        ):
            out += self._login(b"LITERAL+" in offered or b"LITERAL-" in offered or b"IMAP4REV2" in offered)
        else:
            self._waiting.clear()
            return self._failed("protocol", f"it does not offer {mechanism} on this connection")
        self._capabilities = ()  # those before the sign-in; whatever it tells from here on is after it
        return [Send(out)]

    def _authenticate(self, exchange: SignInExchange, ir: bool) -> bytes:
        self._exchange = exchange
        line = b"AUTHENTICATE " + exchange.mechanism.encode("ascii")
        if exchange.mechanism != "LOGIN":  # whose server speaks first
            initial = encode(exchange.initial() or b"")
            if ir and len(initial) <= _MAX_INITIAL:
                line += b" " + (initial or b"=")  # RFC 4959 section 3: "=" is the empty one
            else:
                self._replies.append(initial)
        return self._command(line, self._on_sign_in)

    def _login(self, at_once: bool) -> bytes:
        # RFC 9051 section 6.2.3 with literals, which carry any octet. Not "at once": each waits for its "+".
        name, secret = self._credential.authcid.encode(), self._credential.secret.encode()
        if at_once and max(len(name), len(secret)) <= limits.MAX_LITERAL:
            return self._command(
                b"LOGIN {%d+}\r\n%b {%d+}\r\n%b" % (len(name), name, len(secret), secret), self._on_sign_in
            )
        self._replies.extend((b"%b {%d}" % (name, len(secret)), secret))
        return self._command(b"LOGIN {%d}" % len(name), self._on_sign_in)

    def _command(self, line: bytes, handler: Callable[[Answer], list[Command]]) -> bytes:
        self._tags += 1
        tag = b"g%d" % self._tags
        self._waiting.append((tag, handler))
        return tag + b" " + line + b"\r\n"

    def _failed(self, kind: str, text: str) -> list[Command]:
        self._phase = Phase.DONE
        self._framer.take()
        secret = self._credential.secret
        if secret:
            text = text.replace(secret, "***")
        return [Failed(kind, text)]


def _shown(answer: Answer) -> str:
    code = f"[{lines.ascii_human(answer.code)}] " if answer.code else ""
    return code + lines.ascii_human(answer.text)
