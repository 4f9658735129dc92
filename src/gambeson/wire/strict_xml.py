"""XML from strangers, read strictly: no document type, no entities of their own, no processing instructions.

UTF-8 or UTF-16 only, as the octets, the declaration and the Content-Type say alike; depth, number of elements and
octets are limited. Names stay as they were written, prefixes included, so that a document can be written again as it
was. XML 1.0 section 2.8 (declaration), section 4.3.3 (encodings); RFC 7303 section 3 (charset).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 64
MAX_ELEMENTS = 20_000
MAX_ATTRIBUTES = 64


class XmlError(ValueError):
    """No XML that is read here. ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Element:
    """One element. ``name`` and the ``attributes`` are as written; ``parts`` are its texts and elements in order."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[str | Element] = field(default_factory=list)

    @property
    def local(self) -> str:
        """The name without its prefix."""
        return self.name.rpartition(":")[2]

    @property
    def text(self) -> str:
        """Its own text, not that of elements in it, without blanks at the ends."""
        return "".join(p for p in self.parts if isinstance(p, str)).strip()

    @property
    def children(self) -> list[Element]:
        """The elements directly in it."""
        return [p for p in self.parts if isinstance(p, Element)]

    def child(self, local: str) -> Element | None:
        """The first element of that local name directly in it."""
        return next((p for p in self.children if p.local == local), None)


def charset_of(content_type: str) -> str:
    """The charset of a Content-Type, in lower case; empty for none."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def encoding_of(octets: bytes, charset: str = "") -> str:
    """``utf-8`` or ``utf-16``, by the octets; where ``charset`` says another, XmlError."""
    if octets[:2] in (b"\xfe\xff", b"\xff\xfe"):
        if octets[2:4] == b"\0\0":
            raise XmlError("encoding")  # UTF-32
        found = "utf-16"
    elif b"\0" in octets[:4]:
        raise XmlError("encoding")
    else:
        found = "utf-8"
    if charset not in ("", found):
        raise XmlError("encoding-differs")
    return found


def parser(octets: bytes, charset: str, separator: str | None = None) -> expat.XMLParserType:
    """An expat parser that raises XmlError for all that is not read here. ``separator`` makes it put namespaces before
    names. Raises XmlError where the encoding can't be."""
    encoding = encoding_of(octets, charset)
    made = expat.ParserCreate(encoding, separator)
    made.buffer_text = True

    def no(reason: str) -> Callable[..., None]:
        def refuse(*_: object) -> None:
            raise XmlError(reason)

        return refuse

    def declaration(version: str, declared: str | None, standalone: int) -> None:
        if version != "1.0" or (declared or encoding).lower() != encoding:
            raise XmlError("encoding-differs")

    made.XmlDeclHandler = declaration
    made.StartDoctypeDeclHandler = no("doctype")
    made.EntityDeclHandler = no("entity")
    made.ExternalEntityRefHandler = no("entity")  # type: ignore[assignment]
    made.SkippedEntityHandler = no("entity")
    made.ProcessingInstructionHandler = no("processing-instruction")
    return made


def feed(made: expat.XMLParserType, octets: bytes, whole: bool) -> None:
    """Run the parser over ``octets``. Raises XmlError and what handlers raise."""
    try:
        made.Parse(octets, whole)
    except expat.ExpatError:
        raise XmlError("not-well-formed") from None


def read(octets: bytes, *, limit: int, charset: str = "", elements: int = MAX_ELEMENTS) -> Element:
    """The root element of a whole document of at most ``limit`` octets and so many ``elements``. Raises XmlError."""
    if len(octets) > limit:
        raise XmlError("too-long")
    made = parser(octets, charset)
    root = Element("")
    stack = [root]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > elements or len(stack) > MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            raise XmlError("too-many-elements")
        element = Element(name, attributes)
        stack[-1].parts.append(element)
        stack.append(element)

    def end(name: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].parts.append(data)

    made.StartElementHandler, made.EndElementHandler, made.CharacterDataHandler = start, end, text
    feed(made, octets, True)
    found = root.children
    if len(found) != 1:
        raise XmlError("not-well-formed")
    return found[0]


def escape(text: str) -> str:
    """``text`` for element content and attribute values in double quotes."""
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\r", "&#13;")):
        text = text.replace(sign, name)
    return text


def write(root: Element) -> bytes:
    """The document of a tree, in UTF-8."""
    out = ['<?xml version="1.0" encoding="utf-8"?>']
    _write(root, out)
    return "".join(out).encode()


def _write(element: Element, out: list[str]) -> None:
    attributes = "".join(f' {name}="{_attribute(value)}"' for name, value in element.attributes.items())
    if not element.parts:
        out.append(f"<{element.name}{attributes}/>")
        return
    out.append(f"<{element.name}{attributes}>")
    for part in element.parts:
        if isinstance(part, str):
            out.append(escape(part))
        else:
            _write(part, out)
    out.append(f"</{element.name}>")


def _attribute(value: str) -> str:
    return escape(value).replace("\n", "&#10;").replace("\t", "&#9;")
