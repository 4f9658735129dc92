"""Looking at a POP3 server: greeting, CAPA, STLS, CAPA again, QUIT (RFC 1939, RFC 2449, RFC 2595).

No sign-in. Where NTLM is offered its first message draws the challenge, and the exchange is then cancelled with ``*``
(RFC 5034 section 4). A timestamp in the greeting is the offer of APOP (RFC 1939 section 7).
"""

from __future__ import annotations

import re
from collections.abc import Generator

from .limits import MAX_UPSTREAM_LINE
from .lines import LineBuffer, LineTooLongError, human
from .ntlm import negotiate
from .pop3 import Pop3SyntaxError, Response, parse_response
from .probe import (
    Aim,
    BeginTls,
    Fault,
    Leave,
    Offered,
    Probe,
    Script,
    Step,
    TroubleError,
    malformed,
    mechanisms,
    too_long,
    words,
)
from .sasl_client import encode

_TIMESTAMP = re.compile(rb"<[^<>@\s]+@[^<>@\s]+>")
_NOT_NOW = ("IN-USE", "LOGIN-DELAY", "SYS/TEMP")  # RFC 2449 section 8.1, RFC 3206 section 4
_Part = Generator[Step, bytes, Response]


class Pop3Probe(Probe[bytes]):
    """See :class:`~gambeson.wire.probe.Probe`; an answer is a line."""

    what = "POP3"

    def __init__(self, aim: Aim = Aim.LOOK, *, implicit: bool = False, name: str = "") -> None:
        self._input = LineBuffer()
        self._apop = False
        super().__init__(aim, implicit=implicit, name=name)

    def _feed(self, data: bytes) -> None:
        self._input.feed(data)

    def _clear(self) -> None:
        self._input.take()

    def _next(self) -> bytes | None:
        try:
            return self._input.line(MAX_UPSTREAM_LINE)
        except LineTooLongError:
            raise too_long("its answer is longer than any server's needs to be") from None

    def _talk(self) -> Script[bytes]:
        seen = self.seen
        line = yield b""
        greeting = self._response(line)
        if not greeting.ok:
            fault = Fault.BUSY if greeting.code in _NOT_NOW else Fault.REFUSED
            raise TroubleError(fault, f"it greets us with -ERR {human(line[4:])}".rstrip())
        seen.banner = greeting.text
        self._apop = _TIMESTAMP.search(line) is not None
        offer = yield from self._offer()
        if self.implicit:
            seen.secured = offer
        else:
            seen.plain = offer
            seen.offers_tls = "STLS" in {name.upper() for name in offer.capabilities}
            if seen.offers_tls and (yield from self._starttls()):
                if self.aim is Aim.INJECTION:
                    seen.obeyed = yield from self._obeyed()
                    return
                seen.secured = offer = yield from self._offer()
        if self.aim is Aim.LOOK:
            if "NTLM" in offer.mechanisms:
                yield from self._ntlm()
            yield Leave(b"QUIT\r\n")

    def _response(self, line: bytes) -> Response:
        try:
            return parse_response(line)
        except Pop3SyntaxError:
            raise malformed(self.what) from None

    def _ask(self, line: bytes) -> _Part:
        self.asked = line.decode("ascii")
        return self._response((yield line + b"\r\n"))

    def _offer(self) -> Generator[Step, bytes, Offered]:
        apop = ("APOP",) if self._apop else ()
        if not (yield from self._ask(b"CAPA")).ok:
            # Older than RFC 2449. Whether USER is open could only be learned by beginning a sign-in.
            self.seen.note("it does not know CAPA, so what it offers is not told")
            return Offered((), apop)
        lines: list[bytes] = []
        while (line := (yield b"")) != b".":
            lines.append(line)
        told = words(lines, self.seen)
        names: dict[str, str] = {}
        for capability in told:
            name, _, arguments = capability.partition(" ")
            names.setdefault(name.upper(), arguments)
        if implementation := names.get("IMPLEMENTATION"):
            self.seen.identity = (("IMPLEMENTATION", implementation),)
        return Offered(told, mechanisms((*names.get("SASL", "").split(), *apop)), "USER" in names)

    def _starttls(self) -> Generator[Step, bytes, bool]:
        injected = b"\r\nNOOP" if self.aim is Aim.INJECTION else b""
        self.asked = "STLS"
        answer = self._response((yield b"STLS" + injected + b"\r\n"))
        if not answer.ok:
            if injected:
                self.seen.obeyed = False
            else:
                self.seen.note(f"it offers STLS and refuses it: {answer.text}".rstrip(": "))
            return False
        yield BeginTls()
        return True

    def _obeyed(self) -> Generator[Step, bytes, bool]:
        # Before a sign-in NOOP is refused and QUIT is not, so the first answer tells which it is to.
        return not (yield from self._ask(b"QUIT")).ok

    def _ntlm(self) -> Generator[Step, bytes, None]:
        self.asked = "AUTH NTLM"
        if not (yield b"AUTH NTLM\r\n").startswith(b"+"):
            return
        line = yield encode(negotiate()) + b"\r\n"
        if not line.startswith(b"+ "):
            return
        self._challenged(line[2:])
        yield b"*\r\n"
