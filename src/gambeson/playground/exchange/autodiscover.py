"""Autodiscover as the server answers it: per user for POX and SOAP (after sign-in), version 2 without.

Sources: MS-OXDSCLI (POX), MS-OXWSADISC (SOAP). URLs are the server's *internal* names: a door must rewrite them.
"""

from __future__ import annotations

import json
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape

from .exchange import XML, Request, Response
from .pages import OAB_ID

INTERNAL = "https://emulator01.playground.example"
_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
_SETTINGS = ("InternalEwsUrl", "ExternalEwsUrl", "InternalMapiHttpUrl", "ExternalMapiHttpUrl")


def answer(request: Request) -> Response:
    """By the path: POX, SOAP or version 2."""
    if request.stem.endswith(".json"):
        return _version_2(request)
    if not request.person:
        return Response(401)
    if request.stem.endswith(".svc"):
        return Response(200, _soap(request.person).encode(), XML)
    if b"mobilesync" in request.body[:8192]:
        return Response(200, _mobile(request.person).encode(), XML)
    return Response(200, _outlook(request.person).encode(), XML)


def _version_2(request: Request) -> Response:
    paths = {
        "activesync": "/Microsoft-Server-ActiveSync",
        "ews": "/EWS/Exchange.asmx",
        "autodiscoverv1": "/Autodiscover/Autodiscover.xml",
    }
    protocol = request.parameter("protocol")
    path = paths.get(protocol.lower())
    if path is None:
        document = {"ErrorCode": "InvalidProtocol", "ErrorMessage": "The given protocol value is invalid."}
        return Response(400, json.dumps(document).encode(), "application/json; charset=utf-8")
    return Response(
        200,
        json.dumps({"Protocol": protocol, "Url": INTERNAL + path}).encode(),
        "application/json; charset=utf-8",
    )


def _outlook(person: str) -> str:
    who, dn = escape(person), escape(f"/o=Playground/ou=Exchange/cn=Recipients/cn={person}")
    mailbox = f"{uuid5(NAMESPACE_URL, person)}@{escape(person.rpartition('@')[2])}"
    mapi = f"{INTERNAL}/mapi/emsmdb/?MailboxId={mailbox}"
    book = f"{INTERNAL}/mapi/nspi/?MailboxId={mailbox}"
    urls = (
        f"<EwsUrl>{INTERNAL}/EWS/Exchange.asmx</EwsUrl><ASUrl>{INTERNAL}/EWS/Exchange.asmx</ASUrl>"
        f"<OOFUrl>{INTERNAL}/EWS/Exchange.asmx</OOFUrl><OABUrl>{INTERNAL}/OAB/{OAB_ID}/</OABUrl>"
        f"<EcpUrl>{INTERNAL}/ecp/</EcpUrl>"
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{_RESPONSE}"><Response xmlns="{_OUTLOOK}">'
        f"<User><DisplayName>{who}</DisplayName><LegacyDN>{dn}</LegacyDN><AutoDiscoverSMTPAddress>{who}"
        "</AutoDiscoverSMTPAddress><DeploymentId>00000000-0000-0000-0000-000000000000</DeploymentId></User>"
        "<Account><AccountType>email</AccountType><Action>settings</Action>"
        f"<Protocol><Type>EXCH</Type><Server>emulator01.playground.example</Server>{urls}</Protocol>"
        f'<Protocol Type="mapiHttp" Version="1"><MailStore><InternalUrl>{mapi}</InternalUrl><ExternalUrl>{mapi}'
        f"</ExternalUrl></MailStore><AddressBook><InternalUrl>{book}</InternalUrl><ExternalUrl>{book}</ExternalUrl>"
        "</AddressBook></Protocol></Account></Response></Autodiscover>"
    )


def _mobile(person: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{_RESPONSE}"><Response xmlns="{_MOBILE}">'
        f"<Culture>en:us</Culture><User><DisplayName>{escape(person)}</DisplayName><EMailAddress>{escape(person)}"
        "</EMailAddress></User><Action><Settings><Server><Type>MobileSync</Type>"
        f"<Url>{INTERNAL}/Microsoft-Server-ActiveSync</Url><Name>{INTERNAL}/Microsoft-Server-ActiveSync</Name>"
        "</Server></Settings></Action></Response></Autodiscover>"
    )


def _soap(person: str) -> str:
    settings = "".join(
        f'<UserSetting i:type="StringSetting"><Name>{name}</Name><Value>{INTERNAL}'
        f"{'/EWS/Exchange.asmx' if 'Ews' in name else '/mapi/'}</Value></UserSetting>"
        for name in _SETTINGS
    )
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetUserSettingsResponseMessage '
        'xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response '
        'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><ErrorCode>NoError</ErrorCode><UserResponses>'
        f"<UserResponse><ErrorCode>NoError</ErrorCode><RedirectTarget/><UserSettings>{settings}</UserSettings>"
        "</UserResponse></UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"
    )
