"""Autodiscover at the door: what is answered here for anybody, and how the server's answers are made public.

What is answered without proof is the same for every address: it says where the doors are, and nothing of who exists. No
request without proof reaches the server. An admitted device's POX (Outlook schema) and SOAP requests are fetched there,
and come back with the public name in place of every other.
"""

from __future__ import annotations

from collections.abc import Callable

from gambeson.model.web import Site, WebRequest
from gambeson.wire import autodiscover as wire
from gambeson.wire.soap import AUTODISCOVER, Message, SoapError, fault, read_message
from gambeson.wire.strict_xml import XmlError, charset_of

from .ews import HEADERS
from .origin import public_name
from .verdict import Answer, Headers, ResponseAction

OPERATIONS = frozenset(("GetUserSettings", "GetDomainSettings"))
_HEADERS = HEADERS | {"RequestedServerVersion"}
_XML = (("content-type", "text/xml; charset=utf-8"), ("cache-control", "no-store"))
_JSON = (("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store"))
# What in a server's answer names the inside.
WITHOUT_NAMES = ResponseAction(
    drop=(
        "location",
        "x-feserver",
        "x-beserver",
        "x-calculatedbetarget",
        "x-calculatedfetarget",
        "x-targetbeserver",
        "x-backendhttpstatus",
        "x-diaginfo",
        "x-proxyerrorhostname",
        "x-redirect-location",
        "content-location",
        "link",
    )
)


def public_host(request: WebRequest, site: Site) -> str:
    """The name that programs are sent to, with the port they used: the site's first, or the device host that the
    request came to."""
    host = request.host if request.host in site.device_hosts else site.hosts[0]
    _, mark, port = public_name(request).rpartition(":")
    return f"{host}:{port}" if mark and port.isdigit() else host


def version_2(request: WebRequest, site: Site) -> Answer:
    """Autodiscover version 2. Depends on the protocol, never on the address."""
    status, body = wire.version_2(request.parameter("protocol"), public_host(request, site))
    return Answer(status, _JSON, body, reason="autodiscover-v2")


def mobilesync(asked: wire.PoxAsked, request: WebRequest, site: Site) -> Answer:
    """The answer for phones."""
    return Answer(
        200,
        _XML,
        wire.mobilesync(asked.address, public_host(request, site)),
        reason="autodiscover-mobilesync",
    )


def pox_refused(reason: str) -> Answer:
    """The answer to a POX request that can't be read."""
    return Answer(400, _XML, wire.pox_error("This request can't be read."), close=True, reason=reason)


def autoconfig(request: WebRequest, name: str, servers: tuple[wire.MailServerName, ...]) -> Answer:
    """Thunderbird's autoconfig. The domain is that of the address asked for, else the host's."""
    address = request.parameter("emailaddress")
    domain = address.rpartition("@")[2].lower() or request.host.removeprefix("autoconfig.")
    return Answer(200, _XML, wire.autoconfig(domain, name, servers), reason="autoconfig")


def read_pox(request: WebRequest, octets: bytes, whole: bool) -> wire.PoxAsked:
    """What a POX request asks. Raises XmlError."""
    if not whole:
        raise XmlError("too-long")
    if any(
        name == "content-encoding" and value.strip().lower() != "identity" for name, value in request.headers
    ):
        raise XmlError("content-encoding")
    return wire.read_pox(octets, charset_of(request.header("content-type")))


def read_soap(request: WebRequest, octets: bytes, whole: bool) -> Message:
    """What a SOAP request asks. Raises SoapError, also for operations that no mail program needs."""
    if not whole:
        raise SoapError("too-long")
    if any(
        name == "content-encoding" and value.strip().lower() != "identity" for name, value in request.headers
    ):
        raise SoapError("content-encoding")
    actions = [value.strip() for name, value in request.headers if name == "soapaction"]
    if len(actions) > 1:
        raise SoapError("header-twice")
    message = read_message(octets, True, request.header("content-type"), actions[0] if actions else None)
    if message.namespace != AUTODISCOVER or message.operation not in OPERATIONS:
        raise SoapError("operation-not-open")
    if not set(message.headers) <= _HEADERS:
        raise SoapError("header-not-open")
    return message


def soap_refused(error: SoapError) -> Answer:
    """The answer to a SOAP request that does not pass."""
    status = 403 if error.reason.endswith("not-open") else 400
    kind, body = fault("This Autodiscover request is not answered here.", error.reason)
    return Answer(
        status, (("content-type", kind), ("cache-control", "no-store")), body, close=True, reason=error.reason
    )


def rewriter(request: WebRequest, site: Site) -> Callable[[int, Headers, bytes], bytes | None]:
    """What makes a server's answer public; it gives None where that can't be."""
    public = public_host(request, site)
    inside = tuple(name for name in (site.endpoint.host, site.endpoint.server_name) if not _loopback(name))

    def rewrite(status: int, headers: Headers, body: bytes) -> bytes | None:
        if status != 200:
            return b""  # what an error page says is the inside's own
        kinds = [value for name, value in headers if name == "content-type"]
        coded = any(name == "content-encoding" and value.lower() != "identity" for name, value in headers)
        if (
            coded
            or len(kinds) != 1
            or kinds[0].partition(";")[0].strip().lower()
            not in (
                "text/xml",
                "application/xml",
                "application/soap+xml",
            )
        ):
            return None
        try:
            return wire.rewritten(body, public, inside, charset_of(kinds[0]))
        except XmlError:
            return None

    return rewrite


def _loopback(name: str) -> bool:
    return name in ("", "localhost", "127.0.0.1", "::1")
