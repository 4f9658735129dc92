"""The beginning of a SOAP message: which operation it asks for, and which headers it brings.

Exchange Web Services carry out the first element in the body (MS-OXWSCDATA section 2.2; SOAP 1.1 section 4.3, SOAP 1.2
section 5.3). A message is read up to it, or to the end where all of it is here: then nothing else may be in the body.
The SOAPAction, where there is one, must name the same operation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .strict_xml import MAX_DEPTH, MAX_ELEMENTS, XmlError, charset_of, escape, feed, parser

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
MAX_HEADERS = 32
MAX_INSIDE = 8
_NAME = re.compile(r"[A-Za-z]{1,64}\Z")
_ACTION = re.compile(r"\"?[\x21\x23-\x7e]{0,300}\"?\Z")


class SoapError(ValueError):
    """No SOAP message that is passed on. ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """``operation`` is the operation's name without the *Request* or *RequestMessage* that some elements end with;
    ``namespace`` its element's; ``headers`` the local names of the header's elements; ``version`` ``1.1`` or ``1.2``.
    ``inside`` are the local names of the first elements in the operation (at most ``MAX_INSIDE``), empty where not all
    of the message was read.
    """

    operation: str
    namespace: str
    headers: tuple[str, ...] = ()
    version: str = "1.1"
    inside: tuple[str, ...] = ()


class _Enough(Exception):  # noqa: N818 - an outcome
    """The operation is known and the rest has not come yet."""


class _Reader:
    """Follows the elements; what must not be raises SoapError."""

    def __init__(self, whole: bool) -> None:
        self._whole = whole
        self.version = self.operation = self.namespace = ""
        self.headers: list[str] = []
        self.inside: list[str] = []
        self._path: list[str] = []
        self._count = 0
        self._bodies = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        depth = len(self._path)
        self._count += 1
        if depth >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise SoapError("too-many-elements")
        if depth == 0:
            if local != "Envelope" or namespace not in (SOAP_11, SOAP_12):
                raise SoapError("no-envelope")
            self.version = "1.1" if namespace == SOAP_11 else "1.2"
        elif depth == 1:
            self._part(namespace, local)
        elif depth == 2:
            self._inside(namespace, local)
        elif depth == 3 and self.operation and len(self.inside) < MAX_INSIDE:
            self.inside.append(local)
        self._path.append(local if depth < 2 else "")

    def _part(self, namespace: str, local: str) -> None:
        own = SOAP_11 if self.version == "1.1" else SOAP_12
        if namespace != own or local not in ("Header", "Body") or self._bodies:
            raise SoapError("envelope-parts")
        if local == "Body":
            self._bodies += 1
        elif self._count != 2:
            raise SoapError("envelope-parts")  # a second header

    def _inside(self, namespace: str, local: str) -> None:
        if not _NAME.match(local):
            raise SoapError("name-malformed")
        if self._path[1] == "Header":
            self.headers.append(local)
            if len(self.headers) > MAX_HEADERS:
                raise SoapError("too-many-headers")
            return
        if self.operation:
            raise SoapError("several-operations")
        self.operation, self.namespace = _bare(local), namespace
        if not self._whole:
            raise _Enough

    def end(self, name: str) -> None:
        self._path.pop()


def read_message(octets: bytes, whole: bool, content_type: str, action: str | None = None) -> Message:
    """The message that begins with ``octets``; ``whole`` says whether that is all of it. ``action`` is the SOAPAction
    header's value, None for none. Raises SoapError."""
    reader = _Reader(whole)
    try:
        made = parser(octets, charset_of(content_type), " ")
        made.StartElementHandler, made.EndElementHandler = reader.start, reader.end
        feed(made, octets, whole)
    except _Enough:
        pass
    except XmlError as error:
        raise SoapError(error.reason) from None
    if not reader.operation:
        raise SoapError("no-operation" if whole else "operation-too-late")
    for said in (action, _parameter(content_type, "action")):
        _agree(said, reader.operation)
    return Message(
        reader.operation, reader.namespace, tuple(reader.headers), reader.version, tuple(reader.inside)
    )


def _bare(name: str) -> str:
    """An element's or action's name without *Request* or *RequestMessage*."""
    return (
        name.removesuffix("Message").removesuffix("Request")
        if name.endswith(("Request", "RequestMessage"))
        else name
    )


def _agree(action: str | None, operation: str) -> None:
    if action is None:
        return
    if not _ACTION.match(action):
        raise SoapError("action-malformed")
    bare = action.strip('"')
    if bare and _bare(bare.rpartition("/")[2]) != operation:
        raise SoapError("action-differs")


def _parameter(content_type: str, wanted: str) -> str | None:
    found = None
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == wanted:
            if found is not None:
                raise SoapError("action-malformed")
            found = value.strip()
    return found


def fault(sentence: str, code: str, version: str = "1.1") -> tuple[str, bytes]:
    """Content-Type and octets of a fault: the client's, with one sentence. ``code`` is a stable word for programs."""
    text, word = escape(sentence), escape(code)
    if version == "1.2":
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP_12}"><s:Body><s:Fault><s:Code>'
            f'<s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang="en">{text}</s:Text></s:Reason>'
            f"<s:Detail><reason>{word}</reason></s:Detail></s:Fault></s:Body></s:Envelope>"
        )
        return "application/soap+xml; charset=utf-8", body.encode()
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP_11}"><s:Body><s:Fault>'
        f"<faultcode>s:Client</faultcode><faultstring>{text}</faultstring><detail><reason>{word}</reason></detail>"
        "</s:Fault></s:Body></s:Envelope>"
    )
    return "text/xml; charset=utf-8", body.encode()
