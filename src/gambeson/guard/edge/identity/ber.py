"""The Basic Encoding Rules as LDAP restricts them (RFC 4511 section 5.1): definite lengths, low tag numbers.

Pure: bytes in, bytes out. Whatever is not such a thing raises :class:`BerError`, before anything large is kept.
"""

from __future__ import annotations

INTEGER, OCTETS, ENUMERATED, BOOLEAN, SEQUENCE = 0x02, 0x04, 0x0A, 0x01, 0x30
_LONGEST_INTEGER = 8


class BerError(ValueError):
    """Not what LDAP may send."""


def element(tag: int, *parts: bytes) -> bytes:
    """One element: its tag, the length of the parts together, the parts."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A number, also an ENUMERATED one."""
    return element(tag, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, signed=True))


def truth(value: bool, tag: int = BOOLEAN) -> bytes:
    """True is 0xFF (RFC 4511 section 5.1)."""
    return element(tag, b"\xff" if value else b"\x00")


def _header(data: bytes | bytearray, at: int, end: int) -> tuple[int, int, int] | None:
    """Tag, where the contents begin, and their length; None where the header is not complete."""
    if end - at < 2:
        return None
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise BerError("a tag number that LDAP does not use")
    if first < 0x80:
        return tag, at + 2, first
    count = first & 0x7F
    if not 0 < count <= 4:
        raise BerError("an indefinite or far too long length")
    if end - at < 2 + count:
        return None
    return tag, at + 2 + count, int.from_bytes(data[at + 2 : at + 2 + count])


def complete(buffer: bytes | bytearray, limit: int) -> int:
    """How many octets the first message of the buffer has, 0 where it has not arrived wholly.

    Raises BerError where no SEQUENCE begins or it is longer than ``limit``.
    """
    if buffer and buffer[0] != SEQUENCE:
        raise BerError("no LDAP message begins here")
    header = _header(buffer, 0, len(buffer))
    if header is None:
        return 0
    _, start, size = header
    if start + size > limit:
        raise BerError(f"a message of more than {limit} octets")
    return start + size if len(buffer) >= start + size else 0


class Reader:
    """Reads the elements of one constructed element, in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def next_tag(self) -> int:
        """The tag of the next element, -1 at the end."""
        return self._data[self._at] if self._at < len(self._data) else -1

    def any(self) -> tuple[int, bytes]:
        """The next element's tag and contents. Raises BerError where there is none, or not wholly."""
        header = _header(self._data, self._at, len(self._data))
        if header is None:
            raise BerError("an element is missing")
        tag, start, size = header
        if start + size > len(self._data):
            raise BerError("an element reaches beyond its message")
        self._at = start + size
        return tag, self._data[start : self._at]

    def take(self, tag: int) -> bytes:
        """The contents of the next element, which must have this tag."""
        found, body = self.any()
        if found != tag:
            raise BerError(f"tag 0x{found:02x} where 0x{tag:02x} belongs")
        return body

    def number(self, tag: int = INTEGER) -> int:
        """The next element as a number of at most 64 bits."""
        body = self.take(tag)
        if not 0 < len(body) <= _LONGEST_INTEGER:
            raise BerError("a number of no or too many octets")
        return int.from_bytes(body, signed=True)
