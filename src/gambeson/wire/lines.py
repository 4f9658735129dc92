"""Lines out of chunks: the framing that POP3 and ManageSieve share.

A line ends in LF, with or without CR before it: before login nothing is passed on, so a bare LF can hide
nothing. Every octet is looked at once, in whatever chunks it comes, and no more than one line beyond its
limit is ever held by this class itself (what a caller leaves unread is the caller's to bound).
"""

from __future__ import annotations

from .limits import MAX_TEXT


class LineTooLongError(Exception):
    """The peer's line is longer than its limit; the stream cannot be followed any further."""


class LineBuffer:
    """Collects octets; gives lines and counted octets back in order."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._searched = 0  # no LF before this index

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, data: bytes) -> None:
        """Add what the peer sent."""
        self._octets += data

    def line(self, limit: int) -> bytes | None:
        """The next line without its end; None when it has not come whole. Raises LineTooLongError when the
        line with its end is longer than ``limit`` octets, however it was cut."""
        end = self._octets.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._octets)
            if self._searched > limit:
                raise LineTooLongError
            return None
        if end + 1 > limit:
            raise LineTooLongError
        line = bytes(self._octets[:end])
        self._drop(end + 1)
        return line.removesuffix(b"\r")

    def octets(self, count: int) -> bytes | None:
        """The next ``count`` octets as they are; None when fewer are there."""
        if len(self._octets) < count:
            return None
        taken = bytes(self._octets[:count])
        self._drop(count)
        return taken

    def take(self) -> bytes:
        """Everything that is left; the buffer is empty afterwards."""
        return self.octets(len(self._octets)) or b""

    def _drop(self, count: int) -> None:
        del self._octets[:count]
        self._searched = 0


def human(text: str | bytes, limit: int = MAX_TEXT) -> str:
    """A peer's text made fit to be shown, logged or passed on in a line: printable, one line, at most
    ``limit`` characters. What is not UTF-8 or not printable becomes ``?``."""
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "replace")
    text = text[:limit]
    if not text.isprintable() or "\ufffd" in text:
        text = "".join(c if c.isprintable() and c != "\ufffd" else "?" for c in text)
    return text.strip()


def ascii_human(text: str | bytes, limit: int = MAX_TEXT) -> str:
    """As :func:`human`, and everything beyond ASCII becomes ``?`` too."""
    shown = human(text, limit)
    return shown if shown.isascii() else shown.encode("ascii", "replace").decode("ascii")
