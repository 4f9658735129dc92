"""Search filters (RFC 4515) with places for what a client typed, built so that it can only ever be a value.

A template is parsed once, when the settings are read; a value goes into the parsed tree as the octets of one
assertion and is never text of a filter again: there is nothing it could close, open or add. :func:`escape` is for
people and records, and its inverse is what the parser does (RFC 4515 section 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .ber import element, truth

PLACES = ("address", "name")
_MAX_TEXT = 4096
_MAX_DEPTH = 16
_AND, _OR, _NOT, _EQUAL, _SUBSTRINGS, _PRESENT, _EXTENSIBLE = 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x87, 0xA9
_ORDERED = {">": 0xA5, "<": 0xA6, "~": 0xA8}
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;_-]*")
_RULE = re.compile(
    r"(?P<type>[A-Za-z0-9][A-Za-z0-9.;_-]*)?(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9][A-Za-z0-9.-]*))?:"
)
_PIECE = re.compile(r"\\(?P<hex>[0-9A-Fa-f]{2})|\{(?P<place>[a-z]+)\}|(?P<text>[^\\{}()*\0]+)")

Piece = bytes | str  # octets as they are, or the name of a place
Value = tuple[Piece, ...]


class FilterError(ValueError):
    """The template is no filter. One sentence that says where."""


def escape(value: str) -> str:
    """The value as it is written in a filter: ``* ( ) \\ NUL`` as a backslash and two digits (RFC 4515 section 3)."""
    return "".join(f"\\{ord(c):02x}" if c in "*()\\\0{}" else c for c in value)


@dataclass(frozen=True, slots=True)
class _Node:
    """Contents in order: octets that never change, nested nodes and values to be filled."""

    tag: int
    parts: tuple[bytes | _Node | _Slot, ...]

    def encode(self, values: Mapping[str, bytes]) -> bytes:
        return element(self.tag, *(p if isinstance(p, bytes) else p.encode(values) for p in self.parts))


@dataclass(frozen=True, slots=True)
class _Slot:
    tag: int
    value: Value

    def encode(self, values: Mapping[str, bytes]) -> bytes:
        return element(self.tag, *(p if isinstance(p, bytes) else values[p] for p in self.value))


class Filter:
    """A parsed template."""

    def __init__(self, text: str) -> None:
        """Raises FilterError."""
        if len(text) > _MAX_TEXT:
            raise FilterError(f"The filter is longer than {_MAX_TEXT} characters; shorten it.")
        parser = _Parser(text)
        self._root = parser.whole()
        self.places = frozenset(parser.places)

    def encode(self, **values: str) -> bytes:
        """The filter as it is sent (RFC 4511 section 4.5.1), each place filled with its value."""
        return self._root.encode({name: value.encode() for name, value in values.items()})


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.places: set[str] = set()

    def whole(self) -> _Node:
        node = self._filter(0)
        if self._at != len(self._text):
            raise self._wrong("something follows the filter")
        return node

    def _wrong(self, what: str) -> FilterError:
        return FilterError(f"The filter is wrong at character {self._at + 1}: {what}; correct it (RFC 4515).")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._wrong(f"{character!r} is missing")
        self._at += 1

    def _filter(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._wrong("too many parentheses")
        self._take("(")
        match self._peek():
            case "&" | "|" as sign:
                self._at += 1
                parts = []
                while self._peek() == "(":
                    parts.append(self._filter(depth + 1))
                if not parts:
                    raise self._wrong("a filter is missing")
                node = _Node(_AND if sign == "&" else _OR, tuple(parts))
            case "!":
                self._at += 1
                node = _Node(_NOT, (self._filter(depth + 1),))
            case _:
                node = self._item()
        self._take(")")
        return node

    def _item(self) -> _Node:
        rest = self._text[self._at :]
        if (rule := _RULE.match(rest)) and rest[rule.end() : rule.end() + 1] == "=":
            return self._extensible(rule)
        attribute = _ATTRIBUTE.match(rest)
        if attribute is None:
            raise self._wrong("an attribute is missing")
        self._at += attribute.end()
        name = element(0x04, attribute[0].encode())
        if (tag := _ORDERED.get(self._peek())) is not None:
            self._at += 1
            self._take("=")
            return _Node(tag, (name, _Slot(0x04, self._value())))
        self._take("=")
        values = [self._value()]
        while self._peek() == "*":
            self._at += 1
            values.append(self._value())
        if len(values) == 1:
            return _Node(_EQUAL, (name, _Slot(0x04, values[0])))
        if values == [(), ()]:
            return _Node(_PRESENT, (attribute[0].encode(),))
        return _Node(_SUBSTRINGS, (name, _Node(0x30, self._substrings(values))))

    def _substrings(self, values: list[Value]) -> tuple[_Slot, ...]:
        if any(not value for value in values[1:-1]):
            raise self._wrong("two asterisks follow each other")
        tags = (_INITIAL, *(_ANY for _ in values[1:-1]), _FINAL)
        return tuple(_Slot(tag, value) for tag, value in zip(tags, values, strict=True) if value)

    def _extensible(self, rule: re.Match[str]) -> _Node:
        if not rule["type"] and not rule["rule"]:
            raise self._wrong("an attribute or a matching rule is missing")
        self._at += rule.end() + 1
        parts: list[bytes | _Node | _Slot] = []
        if rule["rule"]:
            parts.append(element(0x81, rule["rule"].encode()))
        if rule["type"]:
            parts.append(element(0x82, rule["type"].encode()))
        parts.append(_Slot(0x83, self._value()))
        if rule["dn"]:
            parts.append(truth(True, 0x84))
        return _Node(_EXTENSIBLE, tuple(parts))

    def _value(self) -> Value:
        pieces: list[Piece] = []
        while piece := _PIECE.match(self._text, self._at):
            if piece["hex"]:
                pieces.append(bytes.fromhex(piece["hex"]))
            elif piece["place"]:
                if piece["place"] not in PLACES:
                    raise self._wrong(f"{{{piece['place']}}} is neither {{address}} nor {{name}}")
                self.places.add(piece["place"])
                pieces.append(piece["place"])
            else:
                pieces.append(piece["text"].encode())
            self._at = piece.end()
        return tuple(pieces)
