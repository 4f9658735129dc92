"""Looking at an IMAP server: greeting, CAPABILITY, STARTTLS, CAPABILITY again, ID, LOGOUT (RFC 9051, RFC 2971).

No sign-in. Where NTLM is offered its first message draws the challenge, and the exchange is then cancelled with ``*``
(RFC 9051 section 6.2.2).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from .imap import Answer, Cursor, Framer, GrammarError, LimitError, may_hold_literal, parse_answer
from .imap_id import read_id
from .limits import MAX_UPSTREAM_LINE
from .lines import human
from .ntlm import negotiate
from .probe import (
    MAX_PAIRS,
    MAX_WORD,
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


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, and the pieces it was made of (text, literal, text, ...)."""

    answer: Answer
    pieces: tuple[bytes, ...]


_Part = Generator[Step, Said, Answer]


class ImapProbe(Probe[Said]):
    """See :class:`~gambeson.wire.probe.Probe`."""

    what = "IMAP"

    def __init__(self, aim: Aim = Aim.LOOK, *, implicit: bool = False, name: str = "") -> None:
        self._framer = Framer(
            line=MAX_UPSTREAM_LINE,
            literal=MAX_UPSTREAM_LINE,
            total=MAX_UPSTREAM_LINE,
            ask=False,
            literals=may_hold_literal,
        )
        self._tags = 0
        self._capabilities: tuple[bytes, ...] = ()
        super().__init__(aim, implicit=implicit, name=name)

    def _feed(self, data: bytes) -> None:
        self._framer.feed(data)

    def _clear(self) -> None:
        self._framer.take()

    def _next(self) -> Said | None:
        try:
            pieces = self._framer.next()
        except LimitError:
            raise too_long("its answer is longer than any server's needs to be") from None
        if not isinstance(pieces, list):
            return None
        return Said(parse_answer(pieces[0]), tuple(pieces))

    def _talk(self) -> Script[Said]:
        seen = self.seen
        greeting = (yield b"").answer
        if greeting.tag != b"*" or greeting.word not in (b"OK", b"PREAUTH", b"BYE"):
            raise malformed(self.what)
        if greeting.word == b"BYE":
            raise TroubleError(Fault.BUSY, f"it greets us with BYE {human(greeting.text)}".rstrip())
        seen.banner = human(greeting.text)
        if greeting.word == b"PREAUTH":
            # RFC 9051 section 7.1.4: whoever connects is signed in.
            seen.note("it signs in whoever connects, without asking for anything (PREAUTH)")
        offer = yield from self._offer()
        if self.implicit:
            seen.secured = offer
        else:
            seen.plain = offer
            seen.offers_tls = "STARTTLS" in _upper(offer)
            if seen.offers_tls and (yield from self._starttls()):
                if self.aim is Aim.INJECTION:
                    seen.obeyed = yield from self._obeyed()
                    return
                seen.secured = offer = yield from self._offer()
        if self.aim is Aim.LOOK:
            if "ID" in _upper(offer):
                yield from self._identity()
            if "NTLM" in offer.mechanisms:
                yield from self._ntlm()
            yield Leave(self._tagged(b"LOGOUT"))

    def _tagged(self, line: bytes) -> bytes:
        self._tags += 1
        return b"g%d %b\r\n" % (self._tags, line)

    def _ask(self, line: bytes, name: str = "") -> _Part:
        """Sends a command; the answer to it. Capabilities that come meanwhile are learned, ID as well."""
        self.asked = name or line.decode("ascii")
        said = yield self._tagged(line)
        return (yield from self._until_tagged(said))

    def _until_tagged(self, said: Said) -> _Part:
        tag = b"g%d" % self._tags
        while True:
            answer = said.answer
            if answer.tag in (tag, b"+"):
                if answer.tag == tag and answer.word not in (b"OK", b"NO", b"BAD"):
                    raise malformed(self.what)
                self._learn(answer)
                return answer
            if answer.tag != b"*":
                raise malformed(self.what)
            if answer.word == b"BYE":
                raise TroubleError(
                    Fault.BUSY, f"it answers {self.asked} with BYE {human(answer.text)}".rstrip()
                )
            self._learn(answer)
            if answer.word == b"ID":
                self._learn_id(said.pieces)
            said = yield b""

    def _learn(self, answer: Answer) -> None:
        if answer.word == b"CAPABILITY":
            self._capabilities = tuple(answer.text.split())
        elif answer.code == b"CAPABILITY":
            self._capabilities = tuple(answer.details.split())

    def _learn_id(self, pieces: tuple[bytes, ...]) -> None:
        try:
            pairs = read_id(Cursor(pieces, len(b"* ID")))
        except GrammarError:
            self.seen.note("its answer to ID is malformed")
        else:
            self.seen.identity = tuple((name, value[:MAX_WORD]) for name, value in pairs[:MAX_PAIRS] if value)

    def _offer(self) -> Generator[Step, Said, Offered]:
        self._capabilities = ()
        answer = yield from self._ask(b"CAPABILITY")
        if answer.word != b"OK" or not self._capabilities:
            raise malformed(self.what)
        names = words(self._capabilities, self.seen)
        upper = [name.upper() for name in names]
        return Offered(
            names,
            mechanisms(name[5:] for name in upper if name.startswith("AUTH=")),
            "LOGINDISABLED" not in upper,
        )

    def _starttls(self) -> Generator[Step, Said, bool]:
        self.asked = "STARTTLS"
        line = self._tagged(b"STARTTLS")
        tags = self._tags
        if self.aim is Aim.INJECTION:
            line += self._tagged(b"NOOP")
        said = yield line
        self._tags = tags
        answer = yield from self._until_tagged(said)
        if answer.word != b"OK":
            if self.aim is Aim.INJECTION:
                self.seen.obeyed = False
            else:
                self.seen.note(f"it offers STARTTLS and refuses it: {human(answer.text)}".rstrip(": "))
            return False
        yield BeginTls()
        return True

    def _obeyed(self) -> Generator[Step, Said, bool]:
        # The NOOP's tag follows STARTTLS'; ours comes behind it.
        injected = b"g%d" % (self._tags + 1)
        self._tags += 1
        self.asked = "LOGOUT"
        said = yield self._tagged(b"LOGOUT")
        while said.answer.tag not in (injected, b"g%d" % self._tags) and said.answer.word != b"BYE":
            said = yield b""
        return said.answer.tag == injected

    def _identity(self) -> Generator[Step, Said, None]:
        yield from self._ask(b"ID NIL", "ID")

    def _ntlm(self) -> Generator[Step, Said, None]:
        answer = yield from self._ask(b"AUTHENTICATE NTLM")
        if answer.tag != b"+":
            return
        answer = yield from self._until_tagged((yield encode(negotiate()) + b"\r\n"))
        if answer.tag != b"+":
            return
        self._challenged(answer.text)
        yield from self._until_tagged((yield b"*\r\n"))


def _upper(offer: Offered) -> set[str]:
    return {name.upper() for name in offer.capabilities}
