"""What the dialogues of a look have in common: they listen, ask what is offered, and leave without signing in.

A dialogue is written as a script: a generator that yields what to send and is given each answer. :class:`Probe` drives
it with whatever octets come. It never waits and never fails: what it heard before things went wrong stays in ``seen``,
and ``seen.trouble`` says what went wrong. What is kept of a peer's words is bounded.

Nothing here names a person, a password, a sender or a recipient.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Generic, TypeVar

from .dialogue import Close, Command, Send, StartTls
from .limits import MAX_UPSTREAM_ANSWERS
from .lines import human
from .ntlm import Challenge, NtlmError, parse_challenge

MAX_CAPABILITIES = 200  # words of an offer that are kept
MAX_WORD = 200  # characters of each
MAX_NOTES = 8
MAX_OCTETS = 262144  # of one dialogue
MAX_PAIRS = 10  # of what a server says of itself


class Aim(Enum):
    """How far a dialogue goes."""

    LOOK = "look"  # all that is offered, before and after TLS
    TLS = "tls"  # to where TLS begins, and no further
    INJECTION = "injection"  # a harmless command is sent together with STARTTLS: is it obeyed inside TLS?


class Fault(StrEnum):
    """What went wrong with a peer."""

    MALFORMED = "malformed"  # what came is not the protocol
    TOO_LONG = "too-long"  # more came than anybody needs to say
    BUSY = "busy"  # it asks to come later
    REFUSED = "refused"  # it does not want to talk to us
    CLOSED = "closed"  # it closed the connection


@dataclass(frozen=True, slots=True)
class Trouble:
    """``fault``, and in ``text`` what happened, as part of a sentence, fit to be shown."""

    fault: Fault
    text: str


@dataclass(frozen=True, slots=True)
class Offered:
    """What is offered at one moment. ``mechanisms`` are SASL names in capitals. ``password_command``: whether the
    protocol's own command with a bare password is open; None where it has none or it does not say."""

    capabilities: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    password_command: bool | None = None


@dataclass(slots=True)
class Seen:
    """What a dialogue has learned so far. ``offers_tls``: STARTTLS was offered; ``began_tls``: the server said go
    ahead; ``obeyed``: the command that was sent together with STARTTLS was answered inside TLS."""

    banner: str = ""
    plain: Offered | None = None
    offers_tls: bool = False
    began_tls: bool = False
    secured: Offered | None = None
    obeyed: bool | None = None
    challenge: Challenge | None = None
    identity: tuple[tuple[str, str], ...] = ()
    notes: list[str] = field(default_factory=list)
    trouble: Trouble | None = None

    def note(self, sentence: str) -> None:
        """Keeps what was odd."""
        if len(self.notes) < MAX_NOTES:
            self.notes.append(sentence)


class TroubleError(Exception):
    """Ends a script."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.trouble = Trouble(fault, text)


class BeginTls:
    """What a script yields where TLS is to begin; the answer to it is None."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What a script yields last: the polite end, whose answer is not worth waiting for."""

    line: bytes


A = TypeVar("A")
Step = bytes | BeginTls | Leave
Script = Generator[Step, A, None]


class Probe(ABC, Generic[A]):
    """Drives one script. ``implicit``: TLS was there from the first octet, so nothing is said of STARTTLS. ``name`` is
    what we call ourselves where the protocol asks."""

    what = "the protocol"  # its name in sentences

    def __init__(self, aim: Aim = Aim.LOOK, *, implicit: bool = False, name: str = "[127.0.0.1]") -> None:
        self.aim, self.implicit, self.name = aim, implicit, name
        self.seen = Seen()
        self.asked = "the greeting"  # what the next answer is to, as part of a sentence
        self.over = False
        self._in_handshake = False
        self._answers = self._octets = 0
        self._first = b""  # the first octets, to tell other protocols by
        self._script = self._talk()

    # What a protocol is made of

    @abstractmethod
    def _talk(self) -> Script[A]:
        """The script. It yields ``b""`` to hear one more answer."""

    @abstractmethod
    def _feed(self, data: bytes) -> None:
        """Takes octets."""

    @abstractmethod
    def _next(self) -> A | None:
        """The next answer; None where it has not come whole. Raises TroubleError."""

    @abstractmethod
    def _clear(self) -> None:
        """Forgets all octets."""

    # What the edge calls

    def start(self) -> list[Command]:
        """The server speaks first."""
        return self._go(lambda: next(self._script))

    def receive(self, data: bytes) -> list[Command]:
        """Octets of the peer. Behind the go-ahead for TLS and after the end they are dropped."""
        out: list[Command] = []
        if len(self._first) < 8:
            self._first += data[: 8 - len(self._first)]
        if not self._listens():
            return out
        self._octets += len(data)
        if self._octets > MAX_OCTETS:
            return self._end(Trouble(Fault.TOO_LONG, f"it said more than {MAX_OCTETS} octets"))
        self._feed(data)
        while self._listens():
            try:
                answer = self._next()
            except TroubleError as error:
                out += self._end(self._named(error.trouble))
                break
            if answer is None:
                break
            self._answers += 1
            if self._answers > MAX_UPSTREAM_ANSWERS:
                out += self._end(
                    Trouble(Fault.TOO_LONG, f"it goes on and on before {self.asked} is answered")
                )
                break
            out += self._answered(answer)
        return out

    def tls_started(self) -> list[Command]:
        """The handshake is done; what was heard before counts no more."""
        if not self._in_handshake:
            return []
        self._in_handshake = False
        self._clear()
        return self._go(lambda: next(self._script))

    def closed(self) -> None:
        """The peer closed the connection."""
        if self._listens():
            self._end(Trouble(Fault.CLOSED, f"it closed the connection before {self.asked} was answered"))

    def _challenged(self, line: bytes) -> None:
        """Keeps what the NTLM challenge in this base 64 gives away."""
        try:
            self.seen.challenge = parse_challenge(base64.b64decode(line.strip(), validate=True))
        except ValueError:
            self.seen.note("its NTLM challenge is not base 64")
        except NtlmError as error:
            self.seen.note(str(error))

    # The machine

    def _listens(self) -> bool:
        return not (self._in_handshake or self.over)

    def _answered(self, answer: A) -> list[Command]:
        return self._go(lambda: self._script.send(answer))

    def _go(self, step: Callable[[], Step]) -> list[Command]:
        try:
            wanted = step()
        except StopIteration:
            return self._end(None)
        except TroubleError as error:
            return self._end(self._named(error.trouble))
        if isinstance(wanted, BeginTls):
            self._in_handshake = True
            self.seen.began_tls = True
            self._clear()
            return [StartTls()]
        if isinstance(wanted, Leave):
            return [Send(wanted.line), *self._end(None)]
        return [Send(wanted)] if wanted else []

    def _end(self, trouble: Trouble | None) -> list[Command]:
        self.over = True
        self._script.close()
        self._clear()
        self.seen.trouble = trouble
        return [Close(trouble.text if trouble else "")]

    def _named(self, trouble: Trouble) -> Trouble:
        """Garbage in answer to nothing is often another protocol; say which."""
        if trouble.fault is Fault.MALFORMED and not self.seen.banner:
            for beginning, name in _OTHERS:
                if self._first.startswith(beginning):
                    return Trouble(trouble.fault, f"what answers there is {name} and not {self.what}")
        return trouble


_OTHERS = (
    (b"HTTP/", "a web server"),
    (b"SSH-", "SSH"),
    (b"\x15\x03", "TLS"),
    (b"\x16\x03", "TLS"),
    (b"220", "SMTP or FTP"),
    (b"* OK", "IMAP"),
    (b"+OK", "POP3"),
)


def malformed(what: str) -> TroubleError:
    """What came is not ``what``."""
    return TroubleError(Fault.MALFORMED, f"what it sent is not {what}")


def too_long(text: str) -> TroubleError:
    """More came than anybody needs to say."""
    return TroubleError(Fault.TOO_LONG, text)


def words(given: Iterable[bytes], seen: Seen) -> tuple[str, ...]:
    """The words of an offer, made printable, no more than are of use."""
    kept: list[str] = []
    for word in given:
        if len(kept) == MAX_CAPABILITIES:
            if (
                sentence := f"more than {MAX_CAPABILITIES} capabilities; the rest was left out"
            ) not in seen.notes:
                seen.note(sentence)
            break
        kept.append(human(word, MAX_WORD))
    return tuple(kept)


def mechanisms(given: Iterable[str]) -> tuple[str, ...]:
    """SASL names in capitals, each once, in order of the alphabet."""
    return tuple(sorted({name.upper() for name in given if name}))
