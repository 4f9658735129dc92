"""The length of a message body: counted, chunked, or up to the end of the connection.

A reader takes octets and gives the body's, and says where the message ends to the octet, so that nothing of a body is
ever taken for the next head. Chunks are read strictly and written anew: extensions and trailers don't pass
(RFC 9112 sections 6 and 7.1).
"""

from __future__ import annotations

from typing import Protocol

MAX_CHUNK_LINE = 256  # octets of a chunk's size line, extensions included
MAX_TRAILER = 8192
_MAX_SIZE_DIGITS = 15
_HEX = frozenset(b"0123456789abcdefABCDEF")
_TEXT = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t"


class BodyError(ValueError):
    """The body's framing is wrong: whatever follows on this connection can't be trusted."""


class BodyReader(Protocol):
    """``done``: the message has ended."""

    done: bool

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Octets of the body, and what came behind the message (only when ``done``). Raises BodyError."""


class Counted:
    """Content-Length octets."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = not length

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        if len(data) <= self.left:
            self.left -= len(data)
            self.done = not self.left
            return data, b""
        body, rest = data[: self.left], data[self.left :]
        self.left = 0
        self.done = True
        return body, rest


class UntilClose:
    """An answer that ends with the connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        return data, b""


class Chunked:
    """Transfer-Encoding: chunked."""

    __slots__ = ("_kept", "_left", "_trailer", "done")

    def __init__(self) -> None:
        self.done = False
        self._kept = b""  # of a line that is not whole
        self._left = -1  # octets of the current chunk, CRLF included; -1: a size line comes, -2: trailers
        self._trailer = 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        if self._kept:
            data, self._kept = self._kept + data, b""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._left > 0:
                at = self._chunk(data, at, end, pieces)
                continue
            line_end = data.find(b"\n", at)
            if line_end < 0:
                self._keep(data, at)
                break
            if line_end == at or data[line_end - 1] != 13:
                raise BodyError("a line of a chunk ends without CR")
            line = data[at : line_end - 1]
            at = line_end + 1
            if self._left == -1:
                size = _size(line)
                self._left = size + 2 if size else -2
            elif not line:
                self.done = True
                return b"".join(pieces), data[at:]
            else:
                self._trailer += len(line)
                if self._trailer > MAX_TRAILER or line.translate(None, _TEXT) or b":" not in line:
                    raise BodyError("bad trailer")
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), b""

    def _chunk(self, data: bytes, at: int, end: int, pieces: list[bytes]) -> int:
        """Take of the current chunk what is here. Returns where it ends."""
        body = self._left - 2  # what is left besides the CRLF; -1 when only LF is
        if body > 0:
            piece = data[at : at + body]
            pieces.append(piece)
            self._left -= len(piece)
            at += len(piece)
        while at < end and 0 < self._left <= 2:
            if data[at] != (13 if self._left == 2 else 10):
                raise BodyError("a chunk is longer than its size")
            self._left -= 1
            at += 1
        if not self._left:
            self._left = -1
        return at

    def _keep(self, data: bytes, at: int) -> None:
        if len(data) - at > (MAX_CHUNK_LINE if self._left == -1 else MAX_TRAILER):
            raise BodyError("a line of a chunk is too long")
        self._kept = data[at:]


def _size(line: bytes) -> int:
    """The size of a chunk. An extension is read over, but must look like one."""
    digits, mark, extension = line.partition(b";")
    if mark:
        digits = digits.rstrip(b" \t")
        if len(line) > MAX_CHUNK_LINE or extension.translate(None, _TEXT):
            raise BodyError("bad chunk extension")
    if not 0 < len(digits) <= _MAX_SIZE_DIGITS or not _HEX.issuperset(digits):
        raise BodyError("bad chunk size")
    return int(digits, 16)


def chunk(data: bytes) -> bytes:
    """One chunk with ``data`` (not empty)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
