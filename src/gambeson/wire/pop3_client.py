"""The POP3 dialogue a door holds with the mail server behind it, until it has signed in there.

Greeting, STLS where asked for, CAPA, XCLIENT where the server trusts us and offers it, then AUTH, or USER
and PASS where the server knows nothing better. The steps are a table: what we wait for, and what handles it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from .dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from .limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE
from .lines import LineBuffer, LineTooLongError
from .pop3 import AUTH, IN_USE, MAX_LINE_WITH_INITIAL, Pop3SyntaxError, Response, parse_response, xclient
from .sasl_client import SignInError, SignInExchange, encode


class _Waiting(Enum):
    """What the next line from the server is."""

    GREETING = auto()
    STLS = auto()
    HANDSHAKE = auto()
    CAPA = auto()
    CAPABILITY = auto()  # a line of CAPA's list
    XCLIENT = auto()
    USER = auto()
    SIGN_IN = auto()  # a challenge, or the answer to AUTH or PASS
    NOTHING = auto()  # it is over


# RFC 2449 section 8.1 and RFC 3206 section 4: the credential may be good, but not now.
_NOT_NOW = ("SYS", IN_USE, "LOGIN-DELAY")


class Pop3Client:
    """A :class:`~gambeson.wire.dialogue.ClientDialogue`; ends with Ready or Failed, once."""

    def __init__(
        self,
        *,
        credential: UpstreamCredential,
        origin: Origin,
        starttls: bool = False,
        trusted: bool = False,
    ) -> None:
        self._credential = credential
        self._starttls = starttls
        self._xclient = xclient(origin) if trusted else None
        self._waiting = _Waiting.GREETING
        self._input = LineBuffer()
        self._answers = 0
        self._capabilities: set[str] = set()
        self._mechanisms: set[str] = set()
        self._offers_xclient = False
        self._exchange: SignInExchange | None = None

    def start(self) -> list[Command]:
        """The server speaks first."""
        return []

    def receive(self, data: bytes) -> list[Command]:
        """Octets from the mail server."""
        if self._waiting in (_Waiting.HANDSHAKE, _Waiting.NOTHING):
            return []  # plaintext behind the go-ahead for TLS is an injection
        self._input.feed(data)
        commands: list[Command] = []
        while self._waiting not in (_Waiting.HANDSHAKE, _Waiting.NOTHING):
            try:
                line = self._input.line(MAX_UPSTREAM_LINE)
                if line is None:
                    break
                self._answers += 1
                if self._answers > MAX_UPSTREAM_ANSWERS:
                    commands += self._fail("protocol", "the mail server's sign-in takes too many lines")
                    break
                commands += self._line(line)
            except LineTooLongError:
                commands += self._fail("protocol", "the mail server's answer is too long")
            except (Pop3SyntaxError, SignInError) as error:
                commands += self._fail("protocol", str(error))
        return commands

    def tls_started(self) -> list[Command]:
        """TLS stands: ask anew what the server can (RFC 2595 section 4)."""
        self._input.take()
        return self._ask(_Waiting.CAPA, b"CAPA")

    def _line(self, line: bytes) -> list[Command]:
        if self._waiting is _Waiting.CAPABILITY:
            return self._on_capability(line)
        if self._waiting is _Waiting.SIGN_IN and line.startswith(b"+") and line[1:2] in (b"", b" "):
            return self._on_challenge()
        return _ANSWERS[self._waiting](self, parse_response(line))

    def _on_greeting(self, answer: Response) -> list[Command]:
        if not answer.ok:
            return self._fail("unavailable", answer.text)
        # Dovecot says in its greeting's response code that it takes XCLIENT from us.
        self._offers_xclient = "XCLIENT" in answer.code.split()
        if self._starttls:
            return self._ask(_Waiting.STLS, b"STLS")
        return self._ask(_Waiting.CAPA, b"CAPA")

    def _on_stls(self, answer: Response) -> list[Command]:
        if not answer.ok:
            return self._fail("protocol", f"the mail server offers no STLS: {answer.text}")
        self._waiting = _Waiting.HANDSHAKE
        self._input.take()
        return [StartTls()]

    def _on_capa(self, answer: Response) -> list[Command]:
        if not answer.ok:  # older than RFC 2449: USER and PASS then
            self._capabilities.add("USER")
            return self._introduce()
        self._waiting = _Waiting.CAPABILITY
        return []

    def _on_capability(self, line: bytes) -> list[Command]:
        if line == b".":
            return self._introduce()
        name, *arguments = line.decode("ascii", "replace").upper().split() or [""]
        self._capabilities.add(name)
        if name == "SASL":
            self._mechanisms.update(arguments)
        return []

    def _introduce(self) -> list[Command]:
        if self._xclient and (self._offers_xclient or "XCLIENT" in self._capabilities):
            return self._ask(_Waiting.XCLIENT, b"XCLIENT " + self._xclient)
        return self._sign_in()

    def _on_xclient(self, _: Response) -> list[Command]:
        return self._sign_in()  # a refusal only means that the server logs our address

    def _sign_in(self) -> list[Command]:
        credential = self._credential
        if credential.mechanism not in self._mechanisms and credential.mechanism in ("PLAIN", "LOGIN"):
            if credential.authzid:
                return self._fail(
                    "protocol", "the mail server offers no SASL PLAIN, which acting for another needs"
                )
            if "USER" in self._capabilities:
                _refuse_controls(credential.authcid)
                return self._ask(_Waiting.USER, b"USER " + credential.authcid.encode())
        if credential.mechanism not in self._mechanisms:
            return self._fail("protocol", f"the mail server does not offer {credential.mechanism}")
        self._exchange = SignInExchange(credential)
        line = b"AUTH " + credential.mechanism.encode()
        if credential.mechanism != "LOGIN":
            # RFC 5034 section 4: an empty initial response is "="; a long one waits for the challenge.
            initial = self._exchange.initial() or b""
            whole = line + b" " + (encode(initial) or b"=")
            if len(whole) + 2 <= MAX_LINE_WITH_INITIAL:
                line = whole
            else:
                self._exchange = SignInExchange(credential)
        return self._ask(_Waiting.SIGN_IN, line)

    def _on_user(self, answer: Response) -> list[Command]:
        if not answer.ok:
            return self._on_sign_in(answer)
        _refuse_controls(self._credential.secret)
        return self._ask(_Waiting.SIGN_IN, b"PASS " + self._credential.secret.encode())

    def _on_challenge(self) -> list[Command]:
        if self._exchange is None:
            raise Pop3SyntaxError("the mail server's answer is no POP3")
        return self._ask(_Waiting.SIGN_IN, encode(self._exchange.answer()))

    def _on_sign_in(self, answer: Response) -> list[Command]:
        if not answer.ok:
            not_now = answer.code.split("/")[0] in _NOT_NOW and answer.code != AUTH
            code = "INUSE" if answer.code == IN_USE else ""
            return self._fail("unavailable" if not_now else "refused", answer.text, code)
        self._waiting = _Waiting.NOTHING
        return [Ready(text=answer.text.encode(), leftover=self._input.take())]

    def _ask(self, waiting: _Waiting, line: bytes) -> list[Command]:
        self._waiting = waiting
        return [Send(line + b"\r\n")]

    def _fail(self, kind: str, text: str, code: str = "") -> list[Command]:
        self._waiting = _Waiting.NOTHING
        self._input.take()
        return [Failed(kind, text, code)]


def _refuse_controls(text: str) -> None:
    if any(ord(c) < 0x20 or c == "\x7f" for c in text):
        raise SignInError("the credential for the mail server holds a control character")


_ANSWERS: dict[_Waiting, Callable[[Pop3Client, Response], list[Command]]] = {
    _Waiting.GREETING: Pop3Client._on_greeting,
    _Waiting.STLS: Pop3Client._on_stls,
    _Waiting.CAPA: Pop3Client._on_capa,
    _Waiting.XCLIENT: Pop3Client._on_xclient,
    _Waiting.USER: Pop3Client._on_user,
    _Waiting.SIGN_IN: Pop3Client._on_sign_in,
}
