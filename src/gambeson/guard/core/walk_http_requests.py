"""The requests that the walk makes, by product: what its programs and pages ask, and what no client asks.

They change nothing: folders are listed, availability is asked, nothing is written. Sources as in
``guard/data/grammar``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gambeson.model.access import DoorKind
from gambeson.model.web import Product

OAB = "/OAB/0a8b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3/oab.xml"
_XML = (("content-type", "text/xml; charset=utf-8"),)
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_FOLDER = f"""<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}" xmlns:m="http://schemas.microsoft.com/\
exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:GetFolder>\
<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/>\
</m:FolderIds></m:GetFolder></s:Body></s:Envelope>"""
_POX = """<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/\
outlook/requestschema/2006"><Request><EMailAddress>{user}</EMailAddress><AcceptableResponseSchema>\
http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request>\
</Autodiscover>"""
_SETTINGS = f"""<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}" xmlns:a="http://schemas.microsoft.com/\
exchange/2010/Autodiscover" xmlns:w="http://www.w3.org/2005/08/addressing"><s:Header><a:RequestedServerVersion>\
Exchange2013</a:RequestedServerVersion><w:Action>http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/\
GetUserSettings</w:Action></s:Header><s:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>{{user}}\
</a:Mailbox></a:User></a:Users><a:RequestedSettings><a:Setting>ExternalEwsUrl</a:Setting></a:RequestedSettings></a:Request>\
</a:GetUserSettingsRequestMessage></s:Body></s:Envelope>"""
# FolderSync with SyncKey 0 (MS-ASCMD section 2.2.1.5, in MS-ASWBXML).
_FOLDER_SYNC = b"\x03\x01\x6a\x00\x00\x07\x56\x52\x03\x30\x00\x01\x01"
_EAS = "/Microsoft-Server-ActiveSync"


@dataclass(frozen=True, slots=True)
class WebShape:
    """A request without who asks. ``{user}`` in target and body is the canary's address."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | str = b""

    def body_for(self, address: str) -> bytes:
        """The body's octets."""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.replace("{user}", address).encode()


_ACTIVESYNC = (
    WebShape("OPTIONS", _EAS),
    WebShape(
        "POST",
        f"{_EAS}?Cmd=FolderSync&User={{user}}&DeviceId=gambesonwalk&DeviceType=walk",
        (("content-type", "application/vnd.ms-sync.wbxml"), ("ms-asprotocolversion", "14.1")),
        _FOLDER_SYNC,
    ),
    WebShape("GET", _EAS),
)

DEVICE_REQUESTS: Mapping[Product, Mapping[DoorKind, tuple[WebShape, ...]]] = {
    Product.EXCHANGE: {
        DoorKind.EAS: _ACTIVESYNC,
        DoorKind.EWS: (
            WebShape("POST", "/EWS/Exchange.asmx", _XML, _FOLDER),
            WebShape("GET", "/EWS/Exchange.asmx"),
            WebShape("OPTIONS", "/EWS/Exchange.asmx"),
        ),
        DoorKind.MAPI: (
            WebShape(
                "POST",
                "/mapi/emsmdb/?MailboxId=0a8b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3@example.org",
                (("content-type", "application/mapi-http"), ("x-requesttype", "Connect")),
                b"\0" * 16,
            ),
            WebShape(
                "POST",
                "/mapi/nspi/",
                (("content-type", "application/mapi-http"), ("x-requesttype", "Bind")),
                b"\0" * 16,
            ),
            WebShape("GET", "/mapi/emsmdb/"),
        ),
        DoorKind.OAB: (WebShape("GET", OAB), WebShape("GET", "/oab/"), WebShape("POST", OAB)),
        DoorKind.AUTODISCOVER: (
            WebShape("POST", "/autodiscover/autodiscover.xml", (("content-type", "text/xml"),), _POX),
            WebShape("POST", "/autodiscover/autodiscover.svc", (("content-type", "text/xml"),), _SETTINGS),
            WebShape("GET", "/autodiscover/autodiscover.xml"),
            WebShape("OPTIONS", "/autodiscover/autodiscover.xml"),
        ),
    },
    Product.SOGO: {DoorKind.EAS: _ACTIVESYNC},
}

_LOOK = (("accept", "text/html"), ("sec-fetch-mode", "navigate"))
PEOPLE_REQUESTS: Mapping[Product, Mapping[DoorKind, tuple[WebShape, ...]]] = {
    Product.EXCHANGE: {
        DoorKind.OWA: (
            WebShape("GET", "/owa/", _LOOK),
            WebShape(
                "POST",
                "/owa/service.svc?action=GetFolder",
                (("content-type", "application/json"), ("sec-fetch-site", "same-origin")),
                b"{}",
            ),
            WebShape("GET", "/owa/ev.owa2?ns=PendingRequest&ev=PendingNotificationRequest"),
            WebShape("GET", "/owa/auth/logon.aspx"),
        ),
        DoorKind.ECP: (
            WebShape("GET", "/ecp/?rfr=owa", _LOOK),
            WebShape(
                "POST",
                "/ecp/PersonalSettings/Accounts.svc/GetObject",
                (("content-type", "application/json"), ("sec-fetch-site", "same-origin")),
                b"{}",
            ),
        ),
    },
    Product.ROUNDCUBE: {
        DoorKind.WEBMAIL: (
            WebShape("GET", "/", _LOOK),
            WebShape(
                "POST",
                "/?_task=mail&_action=refresh",
                (("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")),
                b"_remote=1",
            ),
        )
    },
    Product.SOGO: {DoorKind.WEBMAIL: (WebShape("GET", "/SOGo/", _LOOK), WebShape("GET", "/SOGo/so/", _LOOK))},
}
PEOPLE_DOORS: Mapping[Product, DoorKind] = {
    Product.EXCHANGE: DoorKind.OWA,
    Product.ROUNDCUBE: DoorKind.WEBMAIL,
    Product.SOGO: DoorKind.WEBMAIL,
}

# What is never open from outside. The first four are asked of the server itself as well.
CLOSED: Mapping[Product, tuple[tuple[str, str], ...]] = {
    Product.EXCHANGE: (
        ("GET", "/powershell/"),
        ("POST", "/PowerShell-LiveId/?PSVersion=5.1"),
        ("GET", "/rpc/rpcproxy.dll"),
        ("GET", "/api/v2.0/me"),
        ("GET", "/ecp/default.aspx"),
        ("GET", "/ecp/"),
        ("POST", "/ecp/DDI/DDIService.svc/GetList?schema=VirtualDirectory"),
        ("GET", "/ecp/UsersGroups/Mailboxes.slab"),
        ("GET", "/ecp/VDirMgmt/ResetVirtualDirectory.aspx"),
        ("GET", "/owa/integrated/"),
        ("GET", "/owa/healthcheck.htm"),
        ("GET", "/ews/healthcheck.htm"),
        ("GET", "/EWS/Services.wsdl"),
        ("GET", "/EWS/Exchange.asmx/wssecurity"),
        ("GET", "/aspnet_client/system_web/x.aspx"),
        ("POST", "/owa/auth/x.js"),
        ("GET", "/exchange/"),
        ("GET", "/public/"),
        ("PROPFIND", "/exchange/"),
        ("GET", "/rpcwithcert/rpcproxy.dll"),
        ("GET", "/pushnotifications/service.svc"),
        ("GET", "/web.config"),
    ),
    Product.ROUNDCUBE: (
        ("GET", "/installer/"),
        ("GET", "/config/config.inc.php"),
        ("GET", "/logs/errors.log"),
        ("GET", "/temp/"),
        ("GET", "/bin/update.sh"),
        ("GET", "/SQL/mysql.initial.sql"),
        ("GET", "/vendor/autoload.php"),
        ("GET", "/.git/config"),
        ("GET", "/server-status"),
    ),
    Product.SOGO: (
        ("GET", "/.git/config"),
        ("GET", "/server-status"),
        ("GET", "/SOGo/so/gambeson-walk/Administration"),
        ("GET", "/sogo.conf"),
    ),
}

_DISGUISES = (
    "{a}/..{b}",
    "{a}/%2e%2e{b}",
    "{a}/..%2f{c}",
    "{a}%2f..{b}",
    "{a}\\..\\{c}",
    "{a}/..%5c{c}",
    "{a}/%252e%252e{b}",
    "/{b}",
    "{a}/;{b}",
    "{a}/.{b}",
    "{b}::$DATA",
    "{b}%00",
    "/(S(walk)){b}",
    "https://{host}{b}",
    "{a}/%c0%ae%c0%ae{b}",
)


def _tricks(allowed: str, closed: str) -> tuple[str, ...]:
    return tuple(
        text.replace("{a}", allowed).replace("{b}", closed).replace("{c}", closed[1:]) for text in _DISGUISES
    )


TRICKS: Mapping[Product, tuple[str, ...]] = {
    Product.EXCHANGE: (
        *_tricks("/owa", "/ecp/default.aspx"),
        *_tricks("/autodiscover", "/powershell/"),
        "/autodiscover/autodiscover.json?@walk.invalid/powershell/&Email=autodiscover/autodiscover.json%3F@walk.invalid",
    ),
    Product.ROUNDCUBE: _tricks("/skins", "/config/config.inc.php"),
    Product.SOGO: _tricks("/SOGo", "/server-status"),
}
