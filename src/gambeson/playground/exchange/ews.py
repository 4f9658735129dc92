"""Exchange Web Services, the operations that mail programs begin with (MS-OXWS*), over the sample mailboxes."""

from __future__ import annotations

from html import escape
from xml.etree.ElementTree import Element, ParseError, XMLParser

from gambeson.playground.mailboxes import Mailboxes

from .directories import VERSION
from .exchange import XML, Request, Response
from .pages import inbox

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_KNOWN = frozenset(
    (
        "GetFolder",
        "FindFolder",
        "SyncFolderHierarchy",
        "FindItem",
        "SyncFolderItems",
        "GetItem",
        "GetUserAvailabilityRequest",
        "GetUserOofSettingsRequest",
        "SetUserOofSettingsRequest",
        "GetMailTips",
        "GetServiceConfiguration",
        "ResolveNames",
        "CreateItem",
        "UpdateItem",
        "DeleteItem",
        "MoveItem",
        "SendItem",
        "GetAttachment",
        "Subscribe",
        "Unsubscribe",
        "GetStreamingEvents",
        "GetEvents",
        "ExpandDL",
        "GetDelegate",
        "GetRoomLists",
        "GetRooms",
        "GetInboxRules",
        "UpdateInboxRules",
        "ConvertId",
        "ExportItems",
    )
)


class _NoDoctype:
    """A tree builder that refuses what no SOAP message has."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.operation = ""

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        if not self.operation and self.path[-1:] == [f"{{{_SOAP}}}Body"]:
            self.operation = tag.rpartition("}")[2]
        self.path.append(tag)
        return Element("x")

    def end(self, tag: str) -> None:
        self.path.pop()

    def data(self, text: str) -> None:
        return None

    def doctype(self, name: str, public: str, system: str) -> None:
        raise ParseError("no DTD")

    def close(self) -> str:
        return self.operation


def operation(body: bytes) -> str:
    """The operation: the local name of the first element in the SOAP body; empty for none."""
    builder = _NoDoctype()
    parser = XMLParser(target=builder)  # noqa: S314 - DTDs are refused, and without one there are no entities
    try:
        parser.feed(body)
        parser.close()
    except (ParseError, ValueError, IndexError):
        return ""
    return builder.operation


def answer(request: Request, boxes: Mailboxes) -> Response:
    """GET gives the service's page; POST one operation's answer."""
    if request.method == "GET":
        return Response(200, b"<HTML><HEAD><TITLE>Exchange Web Services</TITLE></HEAD></HTML>")
    name = operation(request.body)
    if name not in _KNOWN:
        return _fault(
            "a:ErrorInvalidRequest" if name else "a:ErrorSchemaValidation", "The request is invalid."
        )
    items = ""
    if name in ("FindItem", "SyncFolderItems"):
        items = "".join(
            f"<t:Message><t:Subject>{escape(str(m['Subject'] or ''))}</t:Subject></t:Message>"
            for m in inbox(boxes, request.person)
        )
    answered = name.removesuffix("Request")
    return Response(
        200,
        (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}"><s:Header>'
            f'<h:ServerVersionInfo MajorVersion="15" MinorVersion="2" xmlns:h="{_TYPES}"/></s:Header><s:Body>'
            f'<m:{answered}Response xmlns:m="{_MESSAGES}" xmlns:t="{_TYPES}"><m:ResponseMessages>'
            f'<m:{answered}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
            f"<m:Items>{items}</m:Items></m:{answered}ResponseMessage></m:ResponseMessages>"
            f"</m:{answered}Response></s:Body></s:Envelope>"
        ).encode(),
        XML,
        (("X-EWS-Version", VERSION),),
    )


def _fault(code: str, text: str) -> Response:
    body = (
        f'<s:Envelope xmlns:s="{_SOAP}"><s:Body><s:Fault><faultcode xmlns:a="{_TYPES}">{code}</faultcode>'
        f"<faultstring>{text}</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    return Response(500, body.encode(), XML)
