"""A message's octets on their way through: where it ends, what may not be in it, dots.

Only CRLF.CRLF ends DATA (RFC 5321 section 4.1.1.4). CR and LF occur in content only together
(section 2.3.8); :func:`clean` says whether that holds for a piece. All of it scans with ``bytes.find``,
``count`` and ``replace``: no loop over lines or octets, for a message may have 50 MB.

Pieces that come out of the readers never end between CR and LF, and never between a line's end and
a dot that might be the end of all, so that each can be looked at alone.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


def clean(piece: bytes) -> bool:
    """Whether every CR in the piece is followed by LF, and every LF comes behind CR."""
    pairs = piece.count(b"\r\n")
    return piece.count(b"\r") == pairs == piece.count(b"\n")


class DataReader:
    """The content of one DATA command, dot-stuffed as the client sent it."""

    def __init__(self) -> None:
        # The CRLF that ended the DATA line counts as the one before a first dot (RFC 5321 section 4.1.1.4).
        self._held = b"\r\n"
        self._before = 2  # octets at the front that are not the message's

    def feed(self, data: bytes) -> tuple[bytes, bool, bytes]:
        """Content that has become certain, whether the end has come, and what stands behind the end."""
        octets = self._held + data
        end = octets.find(_END)
        if end >= 0:
            return self._own(octets[: end + 2]), True, octets[end + len(_END) :]
        keep = next((n for n in (4, 3, 2, 1) if octets.endswith(_END[:n])), 0)
        self._held = octets[len(octets) - keep :]
        return self._own(octets[: len(octets) - keep]), False, b""

    def _own(self, piece: bytes) -> bytes:
        cut = min(self._before, len(piece))
        self._before -= cut
        return piece[cut:]


class ChunkReader:
    """The content of BDAT chunks (RFC 3030), one after the other: octets as they are, no dots stuffed."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Content that has become certain. A chunk may end between CR and LF."""
        octets = self._held + data
        self._held = b"\r" if octets.endswith(b"\r") else b""
        return octets[: len(octets) - len(self._held)]

    def finish(self) -> bytes:
        """What was still held: nothing, or a CR without its LF."""
        held, self._held = self._held, b""
        return held


class Stuffer:
    """Makes the content of BDAT fit to be sent by DATA: a dot at a line's start is doubled, and the last
    line gets its end (RFC 5321 section 4.5.2). Pieces must not end between CR and LF."""

    def __init__(self) -> None:
        self._line_start = True

    def feed(self, piece: bytes) -> bytes:
        """The piece with its dots stuffed."""
        if not piece:
            return b""
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._line_start and piece.startswith(b"."):
            stuffed = b"." + stuffed
        self._line_start = piece.endswith(b"\r\n")
        return stuffed

    def finish(self) -> bytes:
        """The end of a last line that had none."""
        return b"" if self._line_start else b"\r\n"


class HeaderBlock:
    """Collects a message until its header is whole."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, piece: bytes) -> int:
        """Add a piece. The length of the header with its last CRLF (0 for a message that begins with an
        empty line); -1 when the empty line behind it has not come."""
        searched = max(0, len(self._octets) - 3)
        self._octets += piece
        if self._octets.startswith(b"\r\n"):
            return 0
        end = self._octets.find(b"\r\n\r\n", searched)
        return end + 2 if end >= 0 else -1

    def take(self) -> bytes:
        """All that was collected."""
        taken = bytes(self._octets)
        self._octets.clear()
        return taken


def unstuffed(header: bytes) -> bytes:
    """The header as a receiver of DATA reads it: a dot at a line's start is taken off, also where the
    client did not mean it as stuffing (``.From:`` becomes ``From:``)."""
    return header.removeprefix(b".").replace(b"\r\n.", b"\r\n")
