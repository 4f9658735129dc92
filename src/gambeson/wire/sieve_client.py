"""The ManageSieve dialogue a door holds with the mail server behind it, until it has signed in there.

Capabilities (told by the server unasked, RFC 5804 section 1.7), STARTTLS where asked for and the
capabilities again, XCLIENT where the server trusts us and offers it, then AUTHENTICATE, and the capabilities once
more: a server that offers UNAUTHENTICATE (section 2.14.1) is refused, for whoever came in with a device could sign
in anew behind the door, as anybody, with a password alone.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from .dialogue import Command, Failed, Origin, Ready, Send, StartTls, UpstreamCredential
from .limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE, UNAUTHENTICATE
from .pop3 import xclient
from .sasl_client import SignInError, SignInExchange, encode
from .sieve import Kind, Reader, Result, SieveSyntaxError, Token, parse_result, string


class _Waiting(Enum):
    """What the next result of the server answers."""

    CAPABILITIES = auto()  # of the greeting
    STARTTLS = auto()
    HANDSHAKE = auto()
    CAPABILITIES_IN_TLS = auto()
    XCLIENT = auto()
    SIGN_IN = auto()
    CAPABILITIES_AFTER = auto()  # the sign-in
    NOTHING = auto()  # it is over


class SieveClient:
    """A :class:`~gambeson.wire.dialogue.ClientDialogue`; ends with Ready or Failed, once.

    Ready's capabilities are ``NAME value`` as told after login, such as ``SIEVE fileinto vacation``.
    """

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
        self._waiting = _Waiting.CAPABILITIES
        self._reader = Reader(
            line=MAX_UPSTREAM_LINE, literal=MAX_UPSTREAM_LINE, total=MAX_UPSTREAM_LINE, server=True
        )
        self._answers = 0
        self._capabilities: dict[str, bytes] = {}
        self._exchange: SignInExchange | None = None
        self._text = b""
        self._unauthenticate = False  # offered before the sign-in

    def start(self) -> list[Command]:
        """The server speaks first."""
        return []

    def receive(self, data: bytes) -> list[Command]:
        """Octets from the mail server."""
        if self._waiting in (_Waiting.HANDSHAKE, _Waiting.NOTHING):
            return []  # plaintext behind the go-ahead for TLS is an injection
        self._reader.input.feed(data)
        commands: list[Command] = []
        while self._waiting not in (_Waiting.HANDSHAKE, _Waiting.NOTHING):
            try:
                tokens = self._reader.next()
                if tokens is None:
                    break
                self._answers += 1
                if self._answers > MAX_UPSTREAM_ANSWERS:
                    raise SieveSyntaxError("the mail server's sign-in takes too many lines")
                commands += self._answer(tokens)
            except (SieveSyntaxError, SignInError) as error:
                commands += self._fail("protocol", str(error))
        return commands

    def tls_started(self) -> list[Command]:
        """TLS stands; the server tells its capabilities anew (RFC 5804 section 2.2)."""
        self._reader.input.take()
        self._capabilities.clear()
        self._waiting = _Waiting.CAPABILITIES_IN_TLS
        return []

    def _answer(self, tokens: list[Token]) -> list[Command]:
        result = parse_result(tokens)
        if result is None:
            return self._part(tokens)
        if result.status == "BYE":
            return self._fail("unavailable", result.text)
        return _ANSWERS[self._waiting](self, result)

    def _part(self, tokens: list[Token]) -> list[Command]:
        if not tokens or any(token.kind is not Kind.STRING for token in tokens):
            raise SieveSyntaxError("the mail server's answer is no ManageSieve")
        if self._waiting in _TOLD:
            name = tokens[0].value.decode("ascii", "replace").upper()
            self._capabilities[name] = tokens[1].value if len(tokens) > 1 else b""
            return []
        if self._waiting is _Waiting.SIGN_IN and self._exchange and len(tokens) == 1:
            return [Send(string(encode(self._exchange.answer()), server=False) + b"\r\n")]
        raise SieveSyntaxError("the mail server told something unasked")

    def _on_capabilities(self, result: Result) -> list[Command]:
        if result.status != "OK":
            return self._fail("unavailable", result.text)
        if self._starttls and self._waiting is _Waiting.CAPABILITIES:
            if "STARTTLS" not in self._capabilities:
                return self._fail("protocol", "the mail server offers no STARTTLS")
            return self._ask(_Waiting.STARTTLS, b"STARTTLS")
        if self._xclient and "XCLIENT" in self._capabilities:
            return self._ask(_Waiting.XCLIENT, b"XCLIENT " + self._xclient)
        return self._sign_in()

    def _on_starttls(self, result: Result) -> list[Command]:
        if result.status != "OK":
            return self._fail("protocol", f"the mail server begins no TLS: {result.text}")
        self._waiting = _Waiting.HANDSHAKE
        self._reader.input.take()
        return [StartTls()]

    def _on_xclient(self, _: Result) -> list[Command]:
        return self._sign_in()  # a refusal only means that the server logs our address

    def _sign_in(self) -> list[Command]:
        mechanism = self._credential.mechanism
        offered = self._capabilities.get("SASL", b"").decode("ascii", "replace").upper().split()
        if mechanism not in offered:
            return self._fail("protocol", f"the mail server does not offer {mechanism}")
        self._exchange = SignInExchange(self._credential)
        words = [b"AUTHENTICATE", string(mechanism.encode(), server=False)]
        initial = self._exchange.initial()
        if initial is not None:
            words.append(string(encode(initial), server=False))
        return self._ask(_Waiting.SIGN_IN, b" ".join(words))

    def _on_sign_in(self, result: Result) -> list[Command]:
        if result.status != "OK":
            return self._fail("unavailable" if result.code in _NOT_NOW else "refused", result.text)
        self._text = result.text.encode()
        self._unauthenticate = "UNAUTHENTICATE" in self._capabilities
        self._capabilities.clear()
        return self._ask(_Waiting.CAPABILITIES_AFTER, b"CAPABILITY")

    def _on_capabilities_after(self, result: Result) -> list[Command]:
        if result.status != "OK" or not self._capabilities:
            return self._fail("protocol", "the mail server does not tell its capabilities")
        if self._unauthenticate or "UNAUTHENTICATE" in self._capabilities:
            return self._fail("protocol", UNAUTHENTICATE)
        self._waiting = _Waiting.NOTHING
        told = tuple(f"{name} ".encode() + value if value else name.encode() for name, value in self._told())
        return [Ready(told, self._text, self._reader.input.take())]

    def _told(self) -> list[tuple[str, bytes]]:
        return [(name, value) for name, value in self._capabilities.items() if name.isprintable()]

    def _ask(self, waiting: _Waiting, line: bytes) -> list[Command]:
        self._waiting = waiting
        return [Send(line + b"\r\n")]

    def _fail(self, kind: str, text: str) -> list[Command]:
        self._waiting = _Waiting.NOTHING
        self._reader.input.take()
        return [Failed(kind, text)]


# RFC 5804 section 1.3: the server will not now, whatever the credential is worth.
_NOT_NOW = ("TRYLATER", "ENCRYPT-NEEDED", "REFERRAL")

# While the server lists what it can.
_TOLD = (_Waiting.CAPABILITIES, _Waiting.CAPABILITIES_IN_TLS, _Waiting.CAPABILITIES_AFTER)

_ANSWERS: dict[_Waiting, Callable[[SieveClient, Result], list[Command]]] = {
    _Waiting.CAPABILITIES: SieveClient._on_capabilities,
    _Waiting.CAPABILITIES_IN_TLS: SieveClient._on_capabilities,
    _Waiting.STARTTLS: SieveClient._on_starttls,
    _Waiting.XCLIENT: SieveClient._on_xclient,
    _Waiting.SIGN_IN: SieveClient._on_sign_in,
    _Waiting.CAPABILITIES_AFTER: SieveClient._on_capabilities_after,
}
