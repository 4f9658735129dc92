"""WBXML as ActiveSync uses it: a reader and a writer (MS-ASWBXML section 2.1, WAP-192-WBXML).

ActiveSync's profile is small: version 1.3, public id 1, UTF-8, an empty string table, no attributes, no entities.
Anything outside it is refused: what Exchange would read in its own way must not pass here unread. A document is a tree
of :class:`Node`; depth, number of nodes and octets are limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .wbxml_pages import NUMBERS, PAGES

HEADER = b"\x03\x01\x6a\x00"
MAX_DEPTH = 32
MAX_NODES = 50_000
_SWITCH_PAGE, _END, _STR_I, _OPAQUE = 0x00, 0x01, 0x03, 0xC3
_CONTENT, _ATTRIBUTES, _TAG = 0x40, 0x80, 0x3F


class WbxmlError(ValueError):
    """The octets are no document of ActiveSync's profile. One sentence."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element. ``page`` and ``number`` say which; ``text`` is its inline string, ``opaque`` its opaque data (at
    most one of the two, and then no ``children``)."""

    page: int
    number: int
    children: tuple[Node, ...] = ()
    text: str = ""
    opaque: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The tag's name, or ``page:number`` where it is not named here."""
        return PAGES.get(self.page, {}).get(self.number) or f"{self.page}:{self.number:#04x}"

    def child(self, name: str) -> Node | None:
        """The first child of that name on the same page."""
        return next((c for c in self.children if c.page == self.page and c.name == name), None)

    def value(self, *names: str) -> str:
        """The text at a path of names below this node; empty where there is none."""
        node: Node | None = self
        for name in names:
            node = node.child(name) if node is not None else None
        return node.text if node is not None else ""


def element(page: int, name: str, *content: Node | str | bytes) -> Node:
    """A node by name, for writing: children, or one text, or one string of octets. Raises KeyError."""
    number = NUMBERS[page, name]
    if len(content) == 1 and isinstance(content[0], str):
        return Node(page, number, text=content[0])
    if len(content) == 1 and isinstance(content[0], bytes):
        return Node(page, number, opaque=content[0])
    return Node(page, number, tuple(c for c in content if isinstance(c, Node)))


def write(root: Node) -> bytes:
    """The document of a tree."""
    out = bytearray(HEADER)
    _write(root, 0, out)
    return bytes(out)


def _write(node: Node, page: int, out: bytearray) -> int:
    if node.page != page:
        out += bytes((_SWITCH_PAGE, node.page))
        page = node.page
    full = bool(node.children or node.text or node.opaque)
    out.append(node.number | (_CONTENT if full else 0))
    if not full:
        return page
    if node.text:
        out += bytes((_STR_I,)) + node.text.replace("\0", "").encode() + b"\0"
    elif node.opaque:
        out += bytes((_OPAQUE,)) + _length(len(node.opaque)) + node.opaque
    for child in node.children:
        page = _write(child, page, out)
    out.append(_END)
    return page


def _length(number: int) -> bytes:
    """A multi-byte integer: seven bits an octet, the highest first."""
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))


class _Open:
    """An element whose end has not come."""

    __slots__ = ("children", "number", "opaque", "page", "text")

    def __init__(self, page: int, number: int) -> None:
        self.page, self.number = page, number
        self.children: list[Node] = []
        self.text: list[bytes] = []
        self.opaque = b""

    def close(self) -> Node:
        if self.children and (self.text or self.opaque):
            raise WbxmlError("an element mixes text and elements")
        if self.text and self.opaque:
            raise WbxmlError("an element mixes text and opaque data")
        try:
            text = b"".join(self.text).decode()
        except UnicodeDecodeError:
            raise WbxmlError("a string is not UTF-8") from None
        return Node(self.page, self.number, tuple(self.children), text, self.opaque)


def read(octets: bytes) -> Node:
    """The tree of a whole document. Raises WbxmlError."""
    return _Reader(octets).root()


class _Reader:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def root(self) -> Node:
        if self._octets[:4] != HEADER:
            raise WbxmlError("the document does not begin as WBXML 1.3 of ActiveSync does")
        self._at = 4
        page = nodes = 0
        stack: list[_Open] = []
        done: Node | None = None
        while self._at < len(self._octets):
            token = self._next()
            if done is not None:
                raise WbxmlError("something follows the root element")
            if token == _SWITCH_PAGE:
                page = self._next()
            elif token == _END:
                if not stack:
                    raise WbxmlError("an end without its element")
                done = self._finish(stack)
            elif token == _STR_I:
                self._inside(stack).text.append(self._string())
            elif token == _OPAQUE:
                inner = self._inside(stack)
                if inner.opaque:
                    raise WbxmlError("an element has two pieces of opaque data")
                inner.opaque = self._opaque()
            elif token & _ATTRIBUTES or token & _TAG < 5:
                raise WbxmlError(f"token {token:#04x} is not of ActiveSync's profile")
            else:
                nodes += 1
                if nodes > MAX_NODES or len(stack) >= MAX_DEPTH:
                    raise WbxmlError("the document has too many elements, or they lie too deep")
                stack.append(_Open(page, token & _TAG))
                if not token & _CONTENT:
                    done = self._finish(stack)
        if done is None or stack:
            raise WbxmlError("the document ends too early")
        return done

    @staticmethod
    def _finish(stack: list[_Open]) -> Node | None:
        """Close the innermost element; the root is given back."""
        node = stack.pop().close()
        if not stack:
            return node
        stack[-1].children.append(node)
        return None

    @staticmethod
    def _inside(stack: list[_Open]) -> _Open:
        if not stack:
            raise WbxmlError("text outside of any element")
        return stack[-1]

    def _next(self) -> int:
        if self._at >= len(self._octets):
            raise WbxmlError("the document ends too early")
        self._at += 1
        return self._octets[self._at - 1]

    def _string(self) -> bytes:
        end = self._octets.find(b"\0", self._at)
        if end < 0:
            raise WbxmlError("a string has no end")
        found, self._at = self._octets[self._at : end], end + 1
        return found

    def _opaque(self) -> bytes:
        length = 0
        for _ in range(5):
            octet = self._next()
            length = length << 7 | octet & 0x7F
            if not octet & 0x80:
                break
        else:
            raise WbxmlError("a length is too long")
        if length > len(self._octets) - self._at:
            raise WbxmlError("opaque data is longer than the document")
        found = self._octets[self._at : self._at + length]
        self._at += length
        return found
