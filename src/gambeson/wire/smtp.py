"""SMTP's outer grammar: command lines, replies, xtext (RFC 5321 sections 2.3.8, 4.1, 4.2).

A line ends in CRLF and nothing else. A bare CR or a bare LF anywhere in a command is an error that ends
the session, for two programs that disagree about where a line ends can be made to disagree about where a
message ends (SMTP smuggling). Addresses and the parameters of MAIL and RCPT are in :mod:`.smtp_path`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .lines import ascii_human

REPLY_LINE = 512  # RFC 5321 section 4.5.3.1.5, with the CRLF
COMMAND_LINE = 2048  # RFC 5321 section 4.5.3.1.4 (512) and what extensions add (RFC 3461: 500)

_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?: |\Z)")
_REPLY = re.compile(rb"([2-5][0-5]\d)(?:([ -])([^\r\n]*))?\Z")
_VERB = re.compile(rb"([A-Za-z]+)(?: +(.*))?\Z", re.DOTALL)
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*\Z")


class SmtpError(Exception):
    """What is wrong with a command, as its reply: three-digit code, enhanced code (RFC 3463), sentence."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code, self.enhanced, self.text = code, enhanced, text

    @property
    def reply(self) -> bytes:
        """The reply's octets."""
        return reply(self.code, self.enhanced, self.text)


class LineTooLongError(Exception):
    """A line was longer than its limit. It has been skipped to its end."""


class BareNewlineError(Exception):
    """A line held a CR or LF that is no part of CRLF."""


class ReplyError(Exception):
    """The server's octets are no SMTP reply."""


class ReplyTooLongError(ReplyError):
    """They may be one, but a line of it, or the whole, is longer than its limit."""


def reply(code: int, enhanced: str, text: str) -> bytes:
    """A reply of one line, or of several where the sentence is longer than a line may be. Each line bears
    the enhanced code (RFC 2034 section 4); "" for the replies that have none. The text is made ASCII."""
    head = f"{enhanced} " if enhanced else ""
    room = REPLY_LINE - len("250 \r\n") - len(head)
    lines: list[str] = []
    line = ""
    for word in ascii_human(text, 4096).split(" "):
        while len(word) > room:
            lines, line, word = [*lines, *([line] if line else []), word[:room]], "", word[room:]
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return multi(code, [head + piece for piece in [*lines, line]])


def multi(code: int, lines: list[str]) -> bytes:
    """A reply of exactly these ASCII lines (RFC 5321 section 4.2.1)."""
    last = len(lines) - 1
    return "".join(f"{code}{' ' if n == last else '-'}{line}\r\n" for n, line in enumerate(lines)).encode(
        "ascii"
    )


def command(line: bytes) -> tuple[str, bytes]:
    """Verb in upper case, and its argument as sent without the blanks around. Raises SmtpError."""
    if any(c < 0x20 or c == 0x7F for c in line.rstrip(b"\t")):
        raise SmtpError(500, "5.5.2", "A command must not hold control characters")
    match = _VERB.match(line.rstrip(b" \t"))
    if match is None:
        raise SmtpError(500, "5.5.2", "This is no command")
    return match[1].decode("ascii").upper(), match[2] or b""


class LineReader:
    """Command lines out of chunks; content octets can be taken from the same stream.

    Of a line longer than its limit no more than the limit is kept; what is not asked for is the caller's to
    bound (``len``).
    """

    def __init__(self) -> None:
        self._octets = bytearray()
        self._start = 0  # consumed before this index; cut off now and then, so that many lines cost no copies
        self._searched = 0
        self._skipping = False

    def __len__(self) -> int:
        return len(self._octets) - self._start

    @property
    def overlong(self) -> bool:
        """Whether a line that is already longer than its limit is being skipped."""
        return self._skipping

    def feed(self, data: bytes) -> None:
        """Add what the peer sent."""
        if self._start:
            del self._octets[: self._start]
            self._searched = max(0, self._searched - self._start)
            self._start = 0
        self._octets += data

    def line(self, limit: int) -> bytes | None:
        """The next line without CRLF; None when it has not come whole. Raises LineTooLongError once the
        overlong line's end has come, and BareNewlineError (the stream is then not to be followed)."""
        begin = max(self._start, self._searched)
        end = self._octets.find(b"\n", begin)
        if end < 0:
            # A CR that is the last octet may get its LF yet.
            if self._octets.find(b"\r", begin, max(begin, len(self._octets) - 1)) >= 0:
                raise BareNewlineError
            if len(self) > limit:
                self._skipping = True
                self._start = len(self._octets) - 1
            self._searched = max(self._start, len(self._octets) - 1)
            return None
        first = self._octets.find(b"\r", self._start, end)
        if first != end - 1 or end == self._start:
            raise BareNewlineError
        line = bytes(self._octets[self._start : first])
        self._start = self._searched = end + 1
        if self._skipping or len(line) + 2 > limit:
            self._skipping = False
            raise LineTooLongError
        return line

    def take(self, count: int | None = None) -> bytes:
        """At most ``count`` octets as they are (all by default)."""
        stop = len(self._octets) if count is None else min(len(self._octets), self._start + count)
        taken = bytes(self._octets[self._start : stop])
        self._start = self._searched = stop
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._octets.clear()
        self._start = self._searched = 0
        self._skipping = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a server: its code and the text of each line, octets as sent."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """For people and the record: one line, printable ASCII, shortened."""
        return ascii_human(b" ".join(self.lines))

    @property
    def positive(self) -> bool:
        """2yz."""
        return self.code // 100 == 2

    def octets(self) -> bytes:
        """To be passed on to a client that was promised enhanced codes: a line without one gets the class's
        general code (RFC 2034 section 4: every 2yz, 4yz and 5yz reply has one)."""
        last = len(self.lines) - 1
        general = b"%d.0.0 " % (self.code // 100) if self.code // 100 in (2, 4, 5) else b""
        parts = []
        for n, line in enumerate(self.lines):
            prefix = b"" if not general or _ENHANCED.match(line) else general
            parts.append(b"%d%b%b%b\r\n" % (self.code, b" " if n == last else b"-", prefix, line))
        return b"".join(parts)


class ReplyReader:
    """Replies out of chunks, with limits on a line and on the lines of one reply."""

    def __init__(self, max_line: int, max_lines: int) -> None:
        self._max_line, self._max_lines = max_line, max_lines
        self._reader = LineReader()
        self._code = 0
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Add what the server sent."""
        self._reader.feed(data)

    def next(self) -> Reply | None:
        """The next whole reply; None when more must come. Raises ReplyError."""
        while True:
            try:
                line = self._reader.line(self._max_line)
            except LineTooLongError:
                raise ReplyTooLongError("the mail server sent a line that is too long") from None
            except BareNewlineError:
                raise ReplyError("the mail server sent a line that ends badly") from None
            if line is None:
                if self._reader.overlong:
                    raise ReplyTooLongError("the mail server sent a line that is too long")
                return None
            match = _REPLY.match(line)
            if match is None or (self._lines and int(match[1]) != self._code):
                raise ReplyError("the mail server sent something that is no SMTP reply")
            if len(self._lines) >= self._max_lines:
                raise ReplyTooLongError("the mail server sent too many lines")
            self._code = int(match[1])
            self._lines.append(match[3] or b"")
            if match[2] != b"-":
                whole = Reply(self._code, tuple(self._lines))
                self._lines = []
                return whole

    def take(self) -> bytes:
        """Octets behind the replies that were read."""
        return self._reader.take()

    def clear(self) -> None:
        """Forget everything, also a reply that has come in part."""
        self._reader.clear()
        self._lines = []


def xtext(text: str) -> str:
    """Encode as xtext (RFC 3461 section 4), octets of UTF-8 beyond the printable ones as +XX."""
    return "".join(
        chr(octet) if 0x21 <= octet <= 0x7E and octet not in b"+=" else f"+{octet:02X}"
        for octet in text.encode()
    )


def is_xtext(text: str) -> bool:
    """Whether the text is well-formed xtext."""
    return _XTEXT.match(text) is not None
