"""Looking at an SMTP server: greeting, EHLO, STARTTLS, EHLO again, QUIT (RFC 5321, RFC 3207, RFC 4954).

No MAIL, no RCPT, no sign-in. Where NTLM is offered its first message draws the challenge, and the sign-in is then
cancelled (RFC 4954 section 4). The name in EHLO is the address literal of our end (RFC 5321 section 4.1.4).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator

from .limits import MAX_UPSTREAM_ANSWERS, MAX_UPSTREAM_LINE
from .ntlm import negotiate
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
from .smtp import Reply, ReplyError, ReplyReader, ReplyTooLongError

_Part = Generator[Step, Reply, Reply]


def address_literal(address: str) -> str:
    """How an address stands in EHLO (RFC 5321 section 4.1.3). Raises ValueError."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return f"[{parsed}]" if parsed.version == 4 else f"[IPv6:{parsed}]"


class SmtpProbe(Probe[Reply]):
    """See :class:`~gambeson.wire.probe.Probe`."""

    what = "SMTP"

    def __init__(self, aim: Aim = Aim.LOOK, *, implicit: bool = False, name: str = "[127.0.0.1]") -> None:
        self._replies = ReplyReader(MAX_UPSTREAM_LINE, MAX_UPSTREAM_ANSWERS)
        super().__init__(aim, implicit=implicit, name=name)

    def _feed(self, data: bytes) -> None:
        self._replies.feed(data)

    def _clear(self) -> None:
        self._replies.clear()

    def _next(self) -> Reply | None:
        try:
            return self._replies.next()
        except ReplyTooLongError:
            raise too_long("its answer is longer than any server's needs to be") from None
        except ReplyError:
            raise malformed(self.what) from None

    def _talk(self) -> Script[Reply]:
        seen = self.seen
        greeting = yield b""
        _wanted(greeting, "greets us with")
        if greeting.code != 220:
            raise malformed(self.what)
        seen.banner = greeting.text
        offer = yield from self._ehlo()
        if self.implicit:
            seen.secured = offer
        else:
            seen.plain = offer
            seen.offers_tls = "STARTTLS" in _names(offer)
            if seen.offers_tls and (yield from self._starttls()):
                if self.aim is Aim.INJECTION:
                    # The first answer inside TLS is to QUIT, or to the NOOP that came before there was TLS.
                    first = yield from self._ask("QUIT")
                    seen.obeyed = {250: True, 221: False}.get(first.code)
                    return
                seen.secured = yield from self._ehlo()
        if self.aim is Aim.LOOK:
            if "NTLM" in (seen.secured or offer).mechanisms:
                yield from self._ntlm()
            yield Leave(b"QUIT\r\n")

    def _ask(self, line: str, verb: str = "") -> _Part:
        self.asked = verb or line.partition(" ")[0]
        return (yield line.encode("ascii") + b"\r\n")

    def _ehlo(self) -> Generator[Step, Reply, Offered]:
        reply = yield from self._ask(f"EHLO {self.name}")
        if reply.code in (500, 502, 504):
            # RFC 5321 section 3.2: a server of before ESMTP is greeted with HELO.
            reply = yield from self._ask(f"HELO {self.name}")
            _wanted(reply, "answers our name with")
            return Offered()
        _wanted(reply, "answers our name with")
        names: list[str] = []
        for line in reply.lines[1:]:
            # Some say AUTH=LOGIN besides, for clients from before there was a standard.
            keyword, *arguments = line.decode("ascii", "replace").upper().replace(
                "AUTH=", "AUTH ", 1
            ).split() or [""]
            if keyword == "AUTH":
                names += arguments
        return Offered(
            words(reply.lines[1:], self.seen), mechanisms(words((n.encode() for n in names), self.seen))
        )

    def _starttls(self) -> Generator[Step, Reply, bool]:
        line = "STARTTLS\r\nNOOP" if self.aim is Aim.INJECTION else "STARTTLS"
        reply = yield from self._ask(line, "STARTTLS")
        if reply.code != 220:
            if self.aim is Aim.INJECTION:
                self.seen.obeyed = False  # it noticed
            else:
                self.seen.note(f"it offers STARTTLS and refuses it: {reply.code} {reply.text}")
            return False
        yield BeginTls()
        return True

    def _ntlm(self) -> Generator[Step, Reply, None]:
        reply = yield from self._ask("AUTH NTLM", "AUTH NTLM")
        if reply.code != 334:
            return
        reply = yield from self._ask(encode(negotiate()).decode("ascii"), "AUTH NTLM")
        if reply.code != 334:
            return
        self._challenged(reply.lines[-1])
        yield from self._ask("*", "AUTH NTLM")


def _names(offer: Offered) -> set[str]:
    return {line.upper().split()[0] for line in offer.capabilities if line}


def _wanted(reply: Reply, doing: str) -> None:
    """RFC 5321 section 3.8: 421 may come at any time; section 3.1: 554 where there is no service for us."""
    if reply.positive:
        return
    fault = Fault.BUSY if reply.code // 100 == 4 else Fault.REFUSED
    raise TroubleError(fault, f"it {doing} {reply.code} {reply.text}".rstrip())
