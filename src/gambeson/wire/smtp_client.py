"""How a submission door signs in at the mail server: greeting, EHLO, STARTTLS, XCLIENT, AUTH.

A mail server that trusts the door is told who is behind it by XCLIENT (Postfix's XCLIENT_README), so that
it logs the client and counts it; it then greets anew. A credential without a mechanism means that this
trust is all that is needed. Fail closed: no STARTTLS where it was asked for, or no such mechanism, is an end.
"""

from __future__ import annotations

from enum import Enum, auto

from .dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from .limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE
from .sasl_client import SignInError, SignInExchange, encode
from .smtp import REPLY_LINE, Reply, ReplyError, ReplyReader, xtext

# AUTH answers that say the credential is bad (RFC 4954 section 6), as against the server's own trouble.
_BAD_CREDENTIAL = (530, 534, 535, 538)
_UNAVAILABLE = "[UNAVAILABLE]"


class _Phase(Enum):
    GREETING = auto()
    EHLO = auto()
    STARTTLS = auto()
    TLS = auto()
    XCLIENT = auto()
    AUTH = auto()
    OVER = auto()


class SmtpClient:
    """A ClientDialogue. ``trusted``: the mail server may be told the origin. ``hostname`` is our own
    name in EHLO."""

    def __init__(
        self,
        *,
        credential: UpstreamCredential,
        origin: Origin,
        starttls: bool = False,
        trusted: bool = False,
        hostname: str = "localhost",
    ) -> None:
        self._credential = credential
        self._origin = origin
        self._starttls = starttls
        self._trusted = trusted
        self._hostname = hostname
        self._replies = ReplyReader(MAX_UPSTREAM_LINE, MAX_UPSTREAM_ANSWERS)
        self._phase = _Phase.GREETING
        self._lines: tuple[bytes, ...] = ()
        self._exchange: SignInExchange | None = None
        self._first: bytes | None = None  # an initial response too long for the AUTH line
        self._out: list[Command] = []

    def start(self) -> list[Command]:
        """The server speaks first."""
        return []

    def receive(self, data: bytes) -> list[Command]:
        """The mail server sent these octets. While TLS is being set up they are dropped."""
        if self._phase not in (_Phase.TLS, _Phase.OVER):
            self._replies.feed(data)
            try:
                while not self._waits() and (answer := self._replies.next()) is not None:
                    self._answered(answer)
            except ReplyError as error:
                self._fail("protocol", str(error))
            except SignInError as error:
                self._fail("protocol", str(error))
        out, self._out = self._out, []
        return out

    def tls_started(self) -> list[Command]:
        """TLS is there; what was learned before counts no more (RFC 3207 section 4.2)."""
        if self._phase is not _Phase.TLS:
            return []
        self._replies.clear()
        self._lines = ()
        self._starttls = False
        self._phase = _Phase.EHLO
        return [Send(self._ehlo())]

    def _waits(self) -> bool:
        return self._phase in (_Phase.TLS, _Phase.OVER)

    def _ehlo(self) -> bytes:
        return f"EHLO {self._hostname}\r\n".encode("ascii")

    def _answered(self, answer: Reply) -> None:
        # RFC 5321 section 3.8: 421 may come at any time.
        if answer.code // 100 == 4:
            self._fail("unavailable", answer.text)
            return
        match self._phase:
            case _Phase.GREETING:
                if answer.code != 220:
                    self._fail("unavailable" if answer.code // 100 == 5 else "protocol", answer.text)
                    return
                self._send(_Phase.EHLO, self._ehlo())
            case _Phase.EHLO:
                if answer.code != 250:
                    self._fail("protocol", answer.text)
                    return
                self._lines = answer.lines[1:]
                self._next()
            case _Phase.STARTTLS:
                if answer.code != 220:
                    self._fail("protocol", f"the mail server refused STARTTLS: {answer.text}")
                    return
                self._replies.clear()
                self._phase = _Phase.TLS
                self._out.append(StartTls())
            case _Phase.XCLIENT:
                if answer.code != 220:
                    self._fail("protocol", f"the mail server refused XCLIENT: {answer.text}")
                    return
                self._send(_Phase.EHLO, self._ehlo())
            case _:
                self._auth_answered(answer)

    def _next(self) -> None:
        """What comes after EHLO."""
        if self._starttls:
            if self._offers("STARTTLS") is None:
                self._fail("protocol", "the mail server offers no STARTTLS")
                return
            self._send(_Phase.STARTTLS, b"STARTTLS\r\n")
            return
        attributes = self._offers("XCLIENT") if self._trusted else None
        if attributes is not None:
            self._trusted = False  # once is enough: the EHLO after it goes on
            self._send(_Phase.XCLIENT, self._xclient(attributes))
        elif not self._credential.mechanism:
            self._ready("")
        else:
            self._auth()

    def _offers(self, keyword: str) -> list[str] | None:
        """The words behind an extension's keyword; None where it is not offered."""
        for line in self._lines:
            words = line.decode("ascii", "replace").upper().split()
            if words and words[0] == keyword:
                return words[1:]
        return None

    def _xclient(self, offered: list[str]) -> bytes:
        origin = self._origin
        address = origin.address
        if ":" in address:
            address = f"IPV6:{address}"
        values = {
            "NAME": _UNAVAILABLE,  # no one looked the name up
            "ADDR": xtext(address) or _UNAVAILABLE,
            "PORT": str(origin.port) if origin.port else _UNAVAILABLE,
            "PROTO": "ESMTP",
            "HELO": xtext(origin.helo) or _UNAVAILABLE,
        }
        if not self._credential.mechanism:
            # Only where nothing signs in: Postfix takes LOGIN for the sign-in itself, and refuses AUTH after it.
            values["LOGIN"] = xtext(origin.login) or _UNAVAILABLE
        words = [f"{name}={value}" for name, value in values.items() if name in offered]
        return " ".join(["XCLIENT", *words]).encode("ascii") + b"\r\n"

    def _auth(self) -> None:
        mechanism = self._credential.mechanism
        if mechanism not in (self._offers("AUTH") or []):
            self._fail("protocol", f"the mail server does not offer AUTH {mechanism}")
            return
        self._exchange = SignInExchange(self._credential)
        initial = self._exchange.initial()
        line = b"AUTH " + mechanism.encode("ascii")
        if initial is not None:
            # RFC 4954 section 4: = is the empty response; one too long for the line follows the challenge.
            whole = line + b" " + (encode(initial) or b"=")
            if len(whole) + 2 > REPLY_LINE:
                self._first = initial
            else:
                line = whole
        self._send(_Phase.AUTH, line + b"\r\n")

    def _auth_answered(self, answer: Reply) -> None:
        assert self._exchange is not None
        if answer.code == 235:
            self._ready(answer.text)
        elif answer.code == 334:
            if self._first is not None:
                response, self._first = self._first, None
            else:
                response = self._exchange.answer()
            self._send(_Phase.AUTH, encode(response) + b"\r\n")
        else:
            self._fail("refused" if answer.code in _BAD_CREDENTIAL else "protocol", answer.text)

    def _ready(self, text: str) -> None:
        self._phase = _Phase.OVER
        self._out.append(Ready(self._lines, text.encode("ascii"), self._replies.take()))

    def _send(self, phase: _Phase, line: bytes) -> None:
        self._phase = phase
        self._out.append(Send(line))

    def _fail(self, kind: str, text: str) -> None:
        self._phase = _Phase.OVER
        self._out.append(Failed(kind, text))
