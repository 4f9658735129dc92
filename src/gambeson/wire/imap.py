"""The grammar of IMAP (RFC 9051 section 9, RFC 3501) as far as a door needs it before sign-in.

Three parts: :class:`Framer` cuts a byte stream into commands or answers with their literals (RFC 9051
section 4.3, non-synchronising ones RFC 7888); :class:`Cursor` reads the arguments of one command;
:func:`parse_answer` reads what a mail server says. Writers make text that cannot break out of its line.

Every octet is looked at a fixed number of times, however the bytes are chunked. A limit passed raises
:class:`LimitError` (the connection must end: the rest cannot be told apart), a command that does
not parse raises :class:`GrammarError` (answer BAD and go on).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .limits import MAX_LINE, MAX_TEXT
from .lines import ascii_human


class LimitError(Exception):
    """The peer sent more than it may. The text is one sentence, safe to show."""


class GrammarError(Exception):
    """One command that does not parse. The text is one sentence, safe to show."""


@dataclass(frozen=True, slots=True)
class LiteralAsked:
    """The client waits for leave to send a literal of ``size`` octets (RFC 9051 section 4.3);
    ``head`` is the command's line before it."""

    head: bytes
    size: int


def _everywhere(_line: bytes) -> bool:
    return True


class Framer:
    """Cuts a stream into lines with their literals.

    ``next`` gives the pieces of one command or answer: text, literal, text, literal, ... text (always an
    odd number; texts without CRLF and without the ``{n}`` marker). A bare LF ends a line as CRLF does.
    With ``ask`` a synchronising literal gives :class:`LiteralAsked` once, to be answered with ``grant``
    or ``abandon``. ``literals`` tells from an answer's first line whether it can hold any.
    """

    __slots__ = (
        "_ask",
        "_asked",
        "_await",
        "_buffer",
        "_line",
        "_literal",
        "_literals",
        "_pieces",
        "_seen",
        "_size",
        "_total",
    )

    def __init__(
        self,
        *,
        line: int,
        literal: int,
        total: int,
        ask: bool,
        literals: Callable[[bytes], bool] = _everywhere,
    ) -> None:
        self._line = line
        self._literal = literal
        self._total = total
        self._ask = ask
        self._literals = literals
        self._buffer = bytearray()
        self._seen = 0  # octets of the buffer known to hold no LF
        self._pieces: list[bytes] = []
        self._size = 0
        self._await = -1  # octets of the literal that comes next, -1 for none
        self._asked = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self._buffer += data

    @property
    def held(self) -> int:
        """Octets fed and not yet handed out."""
        return len(self._buffer)

    def take(self) -> bytes:
        """All octets not yet handed out; the framer is empty after it."""
        held = bytes(self._buffer)
        self._buffer.clear()
        self._restart()
        return held

    def grant(self) -> None:
        """The literal asked for may come."""
        self._asked = False

    def abandon(self) -> None:
        """The literal asked for shall not come, and its command is over (RFC 9051 section 4.3)."""
        self._restart()

    def line(self, limit: int) -> bytes | None:
        """One line without its end, no literals; None when it is not complete. Raises LimitError."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._seen)
        if end < 0:
            self._seen = len(buffer)
            if self._seen > limit:
                raise LimitError("A line was too long")
            return None
        if end > limit:
            raise LimitError("A line was too long")
        text = bytes(buffer[: end - 1 if end and buffer[end - 1] == 13 else end])
        del buffer[: end + 1]
        self._seen = 0
        return text

    def next(self) -> list[bytes] | LiteralAsked | None:
        """The next command or answer, or None when more must come. Raises LimitError."""
        while True:
            if self._await >= 0:
                if self._asked or len(self._buffer) < self._await:
                    return None
                self._pieces.append(bytes(self._buffer[: self._await]))
                del self._buffer[: self._await]
                self._await = -1
                self._seen = 0
            text = self.line(self._line)
            if text is None:
                return None
            self._size += len(text)
            if self._size > self._total:
                raise LimitError("A command was too long")
            marker = _marker(text) if text.endswith(b"}") else None
            if marker is None or not self._literals(self._pieces[0] if self._pieces else text):
                pieces = [*self._pieces, text]
                self._restart()
                return pieces
            start, size, waits = marker
            if waits and self._ask and text[start - 1 : start] not in (b" ", b"("):
                # No literal can stand here; most likely an unquoted password. Leave it to the grammar.
                pieces = [*self._pieces, text]
                self._restart()
                return pieces
            self._pieces.append(text[:start])
            fits = size <= self._literal and self._size + size <= self._total
            if not fits and not (waits and self._ask):
                # RFC 7888 section 4: it is on its way already, so ending the connection is the safe answer.
                raise LimitError("A literal was too long")
            self._size += size
            self._await = size
            if waits and self._ask:
                self._asked = True
                return LiteralAsked(self._pieces[0], size if fits else -1)

    def _restart(self) -> None:
        self._pieces = []
        self._size = self._seen = 0
        self._await = -1
        self._asked = False


def _marker(text: bytes) -> tuple[int, int, bool] | None:
    # "{5}" or "{5+}" at the end of a line: where it begins, the size, whether the client waits for leave.
    start = text.rfind(b"{")
    digits = text[start + 1 : -1]
    waits = not digits.endswith(b"+")
    if not waits:
        digits = digits[:-1]
    if start < 0 or not digits.isdigit():
        return None
    return start, int(digits[:12]) if len(digits) > 12 else int(digits), waits


# RFC 9051 section 9: tag = 1*<any ASTRING-CHAR except "+">; a command's name is an atom.
_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+) ([^\x00-\x20\x7f-\xff(){%*"\\\]]+)')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+(?= |\Z)')
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
# Octets above 127 are let through here (RFC 9051 section 4.3 quoted strings may hold UTF-8).
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_ESCAPED = re.compile(rb"\\(.)")


def parse_head(line: bytes) -> tuple[bytes, bytes, int]:
    """Tag, command name in upper case, and where its arguments begin. Where the line holds no command the
    name is empty; where it holds no tag either, the tag is ``*`` (to be used in the BAD answer)."""
    match = _HEAD.match(line)
    if match is not None and line[match.end() : match.end() + 1] in (b"", b" "):
        return match[1], match[2].upper(), match.end()
    tag = _TAG.match(line)
    return (tag[0] if tag else b"*"), b"", len(line)


class Cursor:
    """Reads the arguments of one command from its pieces. Each method raises GrammarError."""

    __slots__ = ("_at", "_index", "_pieces")

    def __init__(self, pieces: Sequence[bytes], at: int = 0) -> None:
        self._pieces = pieces
        self._index = 0
        self._at = at

    @property
    def done(self) -> bool:
        """True at the end of the command."""
        return self._index == len(self._pieces) - 1 and self._at == len(self._pieces[self._index])

    def end(self) -> None:
        """Nothing more may come."""
        if not self.done:
            raise GrammarError("There is more than this command takes")

    def take(self, octet: bytes) -> bool:
        """Step over ``octet`` if it comes next; tells whether it did."""
        if self._pieces[self._index][self._at : self._at + 1] != octet:
            return False
        self._at += 1
        return True

    def need(self, octet: bytes, why: str) -> None:
        """Step over ``octet``; it must come next."""
        if not self.take(octet):
            raise GrammarError(why)

    def atom(self) -> bytes:
        """An atom."""
        return self._match(_ATOM, "A word was expected")

    def base64(self) -> bytes:
        """Base 64 or ``=`` (RFC 4959 section 3), not decoded."""
        return self._match(_BASE64, "base64 was expected")

    def string(self) -> bytes:
        """A quoted string or a literal, decoded."""
        piece = self._pieces[self._index]
        if self._at == len(piece) and self._index + 2 < len(self._pieces):
            self._index += 2
            self._at = 0
            return self._pieces[self._index - 1]
        match = _QUOTED.match(piece, self._at)
        if match is None:
            raise GrammarError("A quoted string or a literal was expected")
        self._at = match.end()
        value: bytes = match[1]
        return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value

    def astring(self) -> bytes:
        """A word, a quoted string or a literal, decoded."""
        match = _ASTRING.match(self._pieces[self._index], self._at)
        if match is None:
            return self.string()
        self._at = match.end()
        return match[0]

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        if self._pieces[self._index][self._at : self._at + 3].upper() == b"NIL":
            self._at += 3
            return None
        return self.string()

    def _match(self, pattern: re.Pattern[bytes], why: str) -> bytes:
        match = pattern.match(self._pieces[self._index], self._at)
        if match is None or not match[0]:
            raise GrammarError(why)
        self._at = match.end()
        return bytes(match[0])


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of a mail server. ``tag`` is ``*``, ``+`` or the tag; ``word`` the status (OK, NO, BAD, BYE,
    PREAUTH) or the name of the data, upper case; ``code`` a response code's name in upper case with
    ``details`` behind it (RFC 9051 section 7.1); ``text`` the rest."""

    tag: bytes
    word: bytes = b""
    code: bytes = b""
    details: bytes = b""
    text: bytes = b""


_STATUS = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))


def parse_answer(line: bytes) -> Answer:
    """One answer line. Never raises: what is no answer has an unknown tag or word."""
    tag, _, rest = line.partition(b" ")
    if tag == b"+":
        return Answer(tag, text=rest)
    word, _, rest = rest.partition(b" ")
    word = word.upper()
    if word in _STATUS and rest.startswith(b"["):
        inside, closed, text = rest[1:].partition(b"]")
        if closed:
            code, _, details = inside.partition(b" ")
            return Answer(tag, word, code.upper(), details, text.lstrip(b" "))
    return Answer(tag, word, text=rest)


def may_hold_literal(line: bytes) -> bool:
    """Whether an answer can hold literals: only untagged data can, the text of a status never."""
    return line.startswith(b"* ") and line[2:].split(b" ", 1)[0].upper() not in _STATUS


def is_atom(word: bytes) -> bool:
    """Whether these octets are one atom."""
    return _ATOM.fullmatch(word) is not None


def quoted(text: str) -> bytes:
    """A quoted string; whatever is not printable ASCII becomes a question mark."""
    plain = ascii_human(text, MAX_LINE).encode("ascii")
    if b"\\" not in plain and b'"' not in plain:
        return b'"%b"' % plain
    return b'"' + plain.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def human(sentence: str | bytes) -> bytes:
    """The human part of an answer: printable ASCII in one line, never empty, never beginning like a response
    code (RFC 9051 section 7.1)."""
    text = ascii_human(sentence, MAX_TEXT).encode("ascii")
    if text.startswith(b"["):
        text = b"(" + text[1:]
    return text or b"-"


def bye(sentence: str) -> bytes:
    """The untagged BYE that ends a connection, also one that is signed in (RFC 9051 section 7.1.5)."""
    return b"* BYE " + human(sentence) + b"\r\n"
