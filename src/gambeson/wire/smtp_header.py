"""Who a message says it is from: the From:, Sender: and Resent- fields against an account's addresses.

The reading is strict (RFC 5322 section 3.4 with obsolete routes and phrases), for whatever we could read in
one way and a mail program in another would let one person write in another's name. So: exactly one From:
field, every address in it of the account; a Sender: or Resent-From: or Resent-Sender: likewise. A display name is no
address, whatever it looks like; encoded words in it must not hide control characters.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Set

from .smtp import SmtpError
from .smtp_path import Mailbox, mailbox

MAX_FIELD = 16384  # octets of one address field, unfolded
MAX_ADDRESSES = 50

_NAME = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_ENCODED = re.compile(r"=\?[^?\s]*\?([BbQq])\?([^?]*)\?=")
_SPECIALS = frozenset('()<>[]:;@\\,."')
_OURS = (b"from", b"sender", b"resent-from", b"resent-sender")


def check_author(header: bytes, addresses: Set[str], sentence: str = "") -> None:
    """Raise SmtpError unless the header (CRLF lines, dots unstuffed, no bare CR or LF) names only mailboxes
    whose canonical form is in ``addresses``. ``sentence`` is added to a refusal for a foreign address."""
    fields = _fields(header)
    if len(fields.get(b"from", [])) != 1:
        raise SmtpError(550, "5.7.1", "A message needs exactly one From: field")
    if len(fields.get(b"sender", [])) > 1:
        raise SmtpError(550, "5.7.1", "A message has at most one Sender: field")
    for name in _OURS:
        shown = name.decode("ascii").title()
        for value in fields.get(name, []):
            try:
                boxes = addresses_of(value)
            except ValueError:
                raise SmtpError(550, "5.7.1", f"The {shown}: field cannot be read with certainty") from None
            if not boxes:
                raise SmtpError(550, "5.7.1", f"The {shown}: field holds no address")
            for box in boxes:
                if box.canonical not in addresses:
                    raise SmtpError(
                        550,
                        "5.7.1",
                        f"{box} in {shown}: is not an address of this account. {sentence}".rstrip(),
                    )
            # RFC 5322 section 3.6.2
            if name == b"from" and len(boxes) > 1 and b"sender" not in fields:
                raise SmtpError(550, "5.7.1", "Several addresses in From: need a Sender: field")


def _fields(header: bytes) -> dict[bytes, list[bytes]]:
    """The address fields' values, unfolded. A line that is no field and continues none is an error: some
    programs would take it for the header's end."""
    if b"\0" in header:
        raise SmtpError(550, "5.6.0", "The header holds a NUL")
    found: dict[bytes, list[bytes]] = {}
    name = b""
    for line in header.split(b"\r\n")[:-1]:
        if line.startswith((b" ", b"\t")):
            if not name:
                raise SmtpError(550, "5.6.0", "The header begins with a continuation line")
        else:
            match = _NAME.match(line)
            if match is None:
                raise SmtpError(550, "5.6.0", "The header holds a line that is no field")
            name, line = match[1].lower(), line[match.end() :]
            if name in _OURS:
                found.setdefault(name, []).append(b"")
        if name in _OURS:
            values = found[name]
            values[-1] += line
            if len(values[-1]) > MAX_FIELD or len(values) > MAX_ADDRESSES:
                raise SmtpError(550, "5.6.0", f"The {name.decode('ascii').title()}: field is too long")
    return found


def addresses_of(value: bytes) -> list[Mailbox]:
    """Every mailbox of an address list, those in groups too (RFC 5322 section 3.4). Raises ValueError where
    the text is no address list, or more than one reading is possible."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    for encoding, word in _ENCODED.findall(text):
        _check_encoded_word(encoding, word)
    boxes = _Parser(_items(text)).address_list()
    if len(boxes) > MAX_ADDRESSES:
        raise ValueError("too many addresses")
    return boxes


def _check_encoded_word(encoding: str, word: str) -> None:
    """RFC 2047 section 4; a hidden NUL or line end has made mail programs show another author."""
    try:
        raw = word.encode("ascii")
        text = binascii.a2b_base64(raw) if encoding in "Bb" else binascii.a2b_qp(raw, header=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("malformed encoded word") from None
    if any(octet < 0x20 or octet == 0x7F for octet in text):
        raise ValueError("control character in an encoded word")


def _items(text: str) -> list[str]:
    """Atoms, quoted strings and domain literals as sent, specials alone; comments and blanks dropped."""
    items: list[str] = []
    at = 0
    while at < len(text):
        c = text[at]
        if c in " \t":
            at += 1
        elif c == "(":
            at = _comment_end(text, at)
        elif c == '"':
            end = _quoted_end(text, at)
            items.append(text[at:end])
            at = end
        elif c == "[":
            end = text.find("]", at) + 1
            if not end:
                raise ValueError("domain literal without end")
            items.append(text[at:end])
            at = end
        elif c in _SPECIALS:
            if c in ")]\\":
                raise ValueError("a special out of place")
            items.append(c)
            at += 1
        else:
            start = at
            while at < len(text) and text[at] not in _SPECIALS and text[at] not in " \t":
                if not text[at].isprintable():
                    raise ValueError("control character")
                at += 1
            items.append(text[start:at])
    return items


def _quoted_end(text: str, at: int) -> int:
    at += 1
    while at < len(text):
        if text[at] == '"':
            return at + 1
        if text[at] != "\t" and not text[at].isprintable():
            raise ValueError("control character in a quoted string")
        at += 2 if text[at] == "\\" else 1
    raise ValueError("quoted string without end")


def _comment_end(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        elif text[at] == "\\":
            at += 1
        at += 1
    raise ValueError("comment without end")


class _Parser:
    """Recursive descent over the items; a group holds no group, so there is no depth."""

    def __init__(self, items: list[str]) -> None:
        self._items = items
        self._at = 0

    def address_list(self) -> list[Mailbox]:
        boxes: list[Mailbox] = []
        while self._at < len(self._items):
            if self._accept(","):  # RFC 5322 section 4.4: empty members
                continue
            boxes += self._address()
            if self._at < len(self._items):
                self._expect(",")
        return boxes

    def _address(self, in_group: bool = False) -> list[Mailbox]:
        start = self._at
        while self._at < len(self._items) and self._items[self._at] not in ("<", ":", "@", ",", ";", ">"):
            self._at += 1  # a phrase, or a local part: the next item tells
        phrase = self._at > start
        if self._accept("<"):
            if self._peek() == "@":
                self._route()
            box = self._addr_spec()
            self._expect(">")
            return [box]
        if phrase and not in_group and self._accept(":"):
            return self._group()
        self._at = start
        return [self._addr_spec()]

    def _group(self) -> list[Mailbox]:
        boxes: list[Mailbox] = []
        while not self._accept(";"):
            if self._accept(","):
                continue
            boxes += self._address(in_group=True)
            if self._peek() not in (",", ";"):
                raise ValueError("group without end")
        return boxes

    def _route(self) -> None:
        while not self._accept(":"):
            if not (self._accept(",") or self._accept("@")):
                self._word()
        if self._peek() == "@":
            raise ValueError("malformed route")

    def _word(self) -> None:
        item = self._peek()
        if item is None or (item in _SPECIALS and item != "."):
            raise ValueError("a word is missing")
        self._at += 1

    def _addr_spec(self) -> Mailbox:
        local = self._joined()
        self._expect("@")
        domain = self._joined()
        box = mailbox(f"{local}@{domain}")
        if box is None:
            raise ValueError("malformed address")
        return box

    def _joined(self) -> str:
        """Words with dots between them. Two words side by side are no local part and no domain."""
        parts: list[str] = []
        while (item := self._peek()) is not None and (item == "." or item not in _SPECIALS):
            if parts and (parts[-1] == ".") == (item == "."):
                raise ValueError("malformed address")
            parts.append(item)
            self._at += 1
        return "".join(parts)

    def _peek(self) -> str | None:
        return self._items[self._at] if self._at < len(self._items) else None

    def _accept(self, item: str) -> bool:
        if self._peek() != item:
            return False
        self._at += 1
        return True

    def _expect(self, item: str) -> None:
        if not self._accept(item):
            raise ValueError(f"{item} is missing")
