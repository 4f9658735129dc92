"""ManageSieve (RFC 5804 section 4) grammar: atoms, quoted strings, literals and response codes.

Rules: a command or a response is one or more lines, each but the last ending in a literal. Clients send
only non-synchronising literals, ``{5+}``; servers send ``{5}``. A quoted string holds no line end. What
cannot be parsed is one error; it is fatal where the next command's beginning would be a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from .lines import LineBuffer, LineTooLongError, human

MAX_QUOTED = 1024  # RFC 5804 section 4: the most that stands between the quotes
MAX_TOKENS = 64


class Kind(Enum):
    """What a token is."""

    ATOM = auto()
    STRING = auto()
    OPEN = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``value`` of a string is its content, repr hides it (it may be a password)."""

    kind: Kind
    value: bytes = b""

    def __repr__(self) -> str:
        return f"Token({self.kind.name}, {len(self.value)} octets)"

    @property
    def word(self) -> str:
        """An atom in upper case, empty for everything else."""
        return self.value.decode("ascii").upper() if self.kind is Kind.ATOM else ""


class SieveSyntaxError(Exception):
    """The peer's octets are no ManageSieve. The text is safe to show. ``fatal``: where the next command
    begins cannot be known any more."""

    def __init__(self, text: str, *, fatal: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal


class SieveTooLongError(SieveSyntaxError):
    """Something is longer than its limit; always fatal."""

    def __init__(self, text: str) -> None:
        super().__init__(text, fatal=True)


_TOKEN = re.compile(
    rb'(?P<atom>[!#-\'*-\[\]-z|}~]+)|"(?P<quoted>[^"\\\r\n\0]*(?:\\["\\][^"\\\r\n\0]*)*)"|(?P<open>\()|(?P<close>\))'
    rb"|\{(?P<literal>[0-9]{1,10})(?P<plus>\+?)\}(?=\Z)"
)
_BLANKS = re.compile(rb"[ \t]*")
_ENDS_IN_LITERAL = re.compile(rb"\{[0-9]+\+?\}\Z")
_ESCAPED = re.compile(rb'\\(["\\])')


class Reader:
    """Commands (or, with ``server`` set, a server's responses) out of chunks, as lists of tokens."""

    def __init__(self, *, line: int, literal: int, total: int, server: bool = False) -> None:
        """The limits in octets for a line, a literal, and everything of one command."""
        self.input = LineBuffer()
        self._limits = (line, literal, total)
        self._server = server
        self._tokens: list[Token] = []
        self._literal: int | None = None  # octets of a literal still to come
        self._size = 0

    def next(self) -> list[Token] | None:
        """The next command's tokens (never none of them for a server's response); None when it has not
        come whole. Raises SieveSyntaxError; unless that is fatal, the next call goes on behind it."""
        line_limit, _, total_limit = self._limits
        while True:
            if self._literal is not None:
                octets = self.input.octets(self._literal)
                if octets is None:
                    return None
                self._literal = None
                self._add(Token(Kind.STRING, octets))
            try:
                line = self.input.line(line_limit)
            except LineTooLongError:
                raise SieveTooLongError("the line is too long") from None
            if line is None:
                return None
            self._size += len(line)
            if self._size > total_limit:
                raise SieveTooLongError("the command is too long")
            try:
                self._scan(line)
            except SieveTooLongError:
                self._forget()
                raise
            except SieveSyntaxError as error:
                self._forget()
                fatal = error.fatal or bool(_ENDS_IN_LITERAL.search(line))
                raise SieveSyntaxError(str(error), fatal=fatal) from None
            if self._literal is None:
                tokens = self._tokens
                self._forget()
                return tokens

    def _forget(self) -> None:
        self._tokens = []
        self._literal = None
        self._size = 0

    def _add(self, token: Token) -> None:
        if len(self._tokens) >= MAX_TOKENS:
            raise SieveSyntaxError("the command has too many parts")
        self._tokens.append(token)

    def _scan(self, line: bytes) -> None:
        at = 0
        apart = not self._tokens  # a string must be apart from what is before it; parentheses need not
        while True:
            blanks = _BLANKS.match(line, at)
            assert blanks is not None
            apart = apart or blanks.end() > at
            at = blanks.end()
            if at == len(line):
                return
            found = _TOKEN.match(line, at)
            if found is None:
                raise SieveSyntaxError("the command cannot be understood")
            kind = found.lastgroup
            if not apart and kind != "close":
                raise SieveSyntaxError("a blank is missing between two parts of the command")
            at = found.end()
            apart = kind == "open"
            match kind:
                case "atom":
                    self._add(Token(Kind.ATOM, found["atom"]))
                case "quoted":
                    self._add(Token(Kind.STRING, _ESCAPED.sub(rb"\1", found["quoted"])))
                case "open":
                    self._add(Token(Kind.OPEN))
                case "close":
                    self._add(Token(Kind.CLOSE))
                case _:
                    self._begin_literal(int(found["literal"]), bool(found["plus"]))

    def _begin_literal(self, size: int, plus: bool) -> None:
        _, literal_limit, total_limit = self._limits
        if not plus and not self._server:
            raise SieveSyntaxError("a client's literal needs its plus sign, as in {5+}", fatal=True)
        if size > literal_limit or self._size + size > total_limit:
            raise SieveTooLongError("the literal is too long")
        self._size += size
        self._literal = size


@dataclass(frozen=True, slots=True)
class Result:
    """The line that ends a server's response: OK, NO or BYE, its code's first word, and its text."""

    status: str
    code: str
    text: str


def parse_result(tokens: list[Token]) -> Result | None:
    """The result these tokens are (RFC 5804 section 1.2), None when they are something else."""
    if not tokens or tokens[0].word not in ("OK", "NO", "BYE"):
        return None
    rest = tokens[1:]
    code = ""
    if rest and rest[0].kind is Kind.OPEN:
        closing = next((i for i, token in enumerate(rest) if token.kind is Kind.CLOSE), len(rest) - 1)
        code = rest[1].word if closing > 1 else ""
        rest = rest[closing + 1 :]
    text = next((token.value for token in rest if token.kind is Kind.STRING), b"")
    return Result(tokens[0].word, code, human(text))


def string(value: bytes, *, server: bool = True) -> bytes:
    """A string, quoted where it can be, else a literal (``{5}`` from a server, ``{5+}`` from a client)."""
    escaped = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if len(escaped) <= MAX_QUOTED and not re.search(rb"[\r\n\0]", value) and _is_utf8(value):
        return b'"' + escaped + b'"'
    return b"{%d%s}\r\n" % (len(value), b"" if server else b"+") + value


def result(status: str, text: str, code: str = "") -> bytes:
    """One result line of a server."""
    head = f"{status} ({code})" if code else status
    return head.encode("ascii") + b" " + string(human(text).encode()) + b"\r\n"


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
