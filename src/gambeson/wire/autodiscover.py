"""Autodiscover and autoconfig: what programs ask, what a door answers by itself, and the server's answers rewritten.

- POX (MS-OXDSCLI): the Outlook schema is answered by the server per user; the mobilesync schema
  (MS-ASCMD section 2.2.1.1) is answered here, the same for every address.
- Version 2: one JSON object with *Protocol* and *Url*, the same for every address.
- Autoconfig: ``config-v1.1.xml`` as Thunderbird reads it.
- :func:`rewritten` takes a server's POX or SOAP answer (MS-OXWSADISC), puts the public name in place of every URL's and
  every host's, and writes it anew. What still names a host of the inside then is an error: nothing leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .strict_xml import Element, XmlError, escape, read, write

MAX_ASKED = 65536  # octets of what a program asks
MAX_ASKED_ELEMENTS = (
    100  # it needs five; whoever asks has proven nothing, and a tree costs more than its octets
)
MAX_ANSWER = 262144  # octets of what a server answers
MAX_HOSTS = 256  # that an answer names
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MOBILESYNC = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
_SCHEMAS = {OUTLOOK: "outlook", MOBILESYNC: "mobilesync"}
_ADDRESS = re.compile(r"[^\s<>\"'@/\\]{1,64}@[A-Za-z0-9.-]{1,253}\Z")
_VERSION_2 = {
    "activesync": ("ActiveSync", "/Microsoft-Server-ActiveSync"),
    "ews": ("EWS", "/EWS/Exchange.asmx"),
    "autodiscoverv1": ("AutodiscoverV1", "/autodiscover/autodiscover.xml"),
}
# Names of XML namespaces and actions, which are no places.
_VOCABULARY = frozenset(("schemas.microsoft.com", "schemas.xmlsoap.org", "www.w3.org"))
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)
_URL_HOST = re.compile(r"[a-z][a-z0-9+.-]{0,20}://([^\s/\\:?#\"'<>\[\],;]{1,253})", re.IGNORECASE)
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.[a-z][a-z0-9-]{1,62}\Z", re.IGNORECASE
)
_NUMERIC = re.compile(
    r"(?:\d{1,3}\.){3}\d{1,3}\Z|\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?\Z", re.IGNORECASE
)
# Elements and settings whose value is a host even where it is a short name.
_HOSTS = frozenset(
    ("server", "publicfolderserver", "ad", "activedirectoryserver", "internalmailboxserver", "externalmailboxserver",
     "internalrpcclientserver", "casversionserver", "hostname", "mailboxserver", "servername")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoxAsked:
    """``schema`` is ``outlook`` or ``mobilesync``; ``address`` the mail address asked for, empty where only a
    LegacyDN came."""

    schema: str
    address: str


def read_pox(octets: bytes, charset: str = "") -> PoxAsked:
    """What a POX request asks (MS-OXDSCLI section 2.2.3). Raises XmlError."""
    root = read(octets, limit=MAX_ASKED, charset=charset, elements=MAX_ASKED_ELEMENTS)
    request = root.child("Request") if root.local == "Autodiscover" else None
    if request is None:
        raise XmlError("no-request")
    counts = [c.local for c in request.children]
    if len(set(counts)) != len(counts):
        raise XmlError("element-twice")
    schema = request.child("AcceptableResponseSchema")
    known = _SCHEMAS.get(schema.text if schema is not None else "")
    if known is None:
        raise XmlError("schema-unknown")
    named = request.child("EMailAddress")
    address = named.text if named is not None else ""
    if address and not _ADDRESS.match(address):
        raise XmlError("address-malformed")
    if not address and (known == "mobilesync" or request.child("LegacyDN") is None):
        raise XmlError("address-missing")
    return PoxAsked(known, address)


def mobilesync(address: str, public: str) -> bytes:
    """The answer for phones. ``public`` is the public name, with its port where that is not 443."""
    who, url = escape(address), escape(f"https://{public}/Microsoft-Server-ActiveSync")
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response xmlns="{MOBILESYNC}">'
        f"<Culture>en:us</Culture><User><DisplayName>{who}</DisplayName><EMailAddress>{who}</EMailAddress></User>"
        f"<Action><Settings><Server><Type>MobileSync</Type><Url>{url}</Url><Name>{url}</Name></Server></Settings>"
        "</Action></Response></Autodiscover>"
    ).encode()


def pox_error(sentence: str) -> bytes:
    """The answer to a POX request that can't be answered (MS-OXDSCLI section 2.2.4.1.1.1: error 600)."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{RESPONSE}"><Response><Error Time="00:00:00" '
        f'Id="0"><ErrorCode>600</ErrorCode><Message>{escape(sentence)}</Message><DebugData/></Error></Response>'
        "</Autodiscover>"
    ).encode()


def version_2(protocol: str, public: str) -> tuple[int, bytes]:
    """HTTP status and JSON for one *Protocol*. It depends on nothing but the protocol."""
    known = _VERSION_2.get(protocol.lower())
    if known is None:
        word = "MandatoryParameterMissing" if not protocol else "ProtocolNotSupported"
        text = "A Protocol is needed." if not protocol else "This protocol is not offered here."
        return 400, json.dumps({"ErrorCode": word, "ErrorMessage": text}).encode()
    return 200, json.dumps({"Protocol": known[0], "Url": f"https://{public}{known[1]}"}).encode()


@dataclass(frozen=True, slots=True)
class MailServerName:
    """One mail door for autoconfig: ``kind`` ``imap``, ``pop3`` or ``smtp``; ``socket`` ``SSL`` or ``STARTTLS``."""

    kind: str
    host: str
    port: int
    socket: str = "SSL"


def autoconfig(domain: str, name: str, servers: Sequence[MailServerName]) -> bytes:
    """``config-v1.1.xml`` for a domain. ``name`` is what the program shows. The password is a device secret, in the
    clear within TLS; the user name is the address."""
    out = [
        f'<?xml version="1.0" encoding="UTF-8"?><clientConfig version="1.1"><emailProvider id="{escape(domain)}">'
        f"<domain>{escape(domain)}</domain><displayName>{escape(name)}</displayName>"
        f"<displayShortName>{escape(name)}</displayShortName>"
    ]
    for server in servers:
        tag = "outgoingServer" if server.kind == "smtp" else "incomingServer"
        out.append(
            f'<{tag} type="{escape(server.kind)}"><hostname>{escape(server.host)}</hostname><port>{server.port}</port>'
            f"<socketType>{escape(server.socket)}</socketType><authentication>password-cleartext</authentication>"
            f"<username>%EMAILADDRESS%</username></{tag}>"
        )
    out.append("</emailProvider></clientConfig>")
    return "".join(out).encode()


# -- the server's answers


def rewritten(octets: bytes, public: str, inside: Collection[str] = (), charset: str = "") -> bytes:
    """A server's POX or SOAP answer with ``public`` (a host, with its port where that is not 443) in place of every
    host; ``inside`` are names that must not leave in any place. Raises XmlError, also where one would."""
    root = read(octets, limit=MAX_ANSWER, charset=charset)
    names = {name.lower() for name in inside if name}
    _gather(root, names)
    if len(names) > MAX_HOSTS:  # each is looked for in every text
        raise XmlError("too-many-hosts")
    host = public.partition(":")[0].lower()
    names = {name for name in names - {host, *_VOCABULARY} if "." in name}
    _rewrite(root, public, names)
    out = write(root)
    shown = out.decode().lower()
    if any(_named(name).search(shown) for name in names) or _hosts(shown) - {host, *_VOCABULARY}:
        raise XmlError("internal-name")
    return out


def _hosts(text: str) -> set[str]:
    """Every host that a URL in a text names, in lower case."""
    return {found.rpartition("@")[2].lower() for found in _URL_HOST.findall(text)}


def _named(name: str) -> re.Pattern[str]:
    """Finds a host's name where it stands for itself: not within a longer one, and not behind the @ of an address."""
    return re.compile(rf"(?<![a-z0-9@._-]){re.escape(name)}(?![a-z0-9_-])(?!\.[a-z0-9])", re.IGNORECASE)


def _gather(element: Element, names: set[str]) -> None:
    """Every host that a URL in the document names."""
    for text in (element.text, *element.attributes.values()):
        names |= _hosts(text)
    for child in element.children:
        _gather(child, names)
    names.discard("")


def _rewrite(element: Element, public: str, names: set[str]) -> None:
    setting = element.child("Name")
    of = setting.text.lower() if setting is not None else ""
    for key, value in list(element.attributes.items()):
        if key == "xmlns" or key.startswith("xmlns:"):
            continue
        if key.rpartition(":")[2].lower() == "schemalocation":
            del element.attributes[key]
        else:
            element.attributes[key] = _value(value, public, names, False)
    children = element.children
    if not children and element.parts:
        element.parts = [_value(element.text, public, names, element.local.lower() in _HOSTS)]
    for child in children:
        if child.local == "Value" and of in _HOSTS and not child.children:
            child.parts = [_value(child.text, public, names, True)]
        _rewrite(child, public, names)


def _value(text: str, public: str, names: set[str], host: bool) -> str:
    bare = public.partition(":")[0]
    if _URL.match(text):
        return _url(text, public)
    if text.lower().startswith("msstd:"):
        return f"msstd:{bare}"
    if "@" in text:
        return text  # an address, or a mailbox as Outlook names servers
    if text and (host or _HOST.match(text) or _NUMERIC.match(text)) and not _version(text):
        return bare
    for name in names:
        text = _named(name).sub(bare, text)
    return text


def _version(text: str) -> bool:
    """15.2.1544.11 is a version, no address: one of its numbers is greater than 255."""
    numbers = text.split(".")
    return all(n.isdecimal() for n in numbers) and any(int(n) > 255 for n in numbers if len(n) < 10)


def _url(text: str, public: str) -> str:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise XmlError("url-malformed") from None
    if host in _VOCABULARY:
        return text
    query = f"?{parts.query}" if parts.query else ""
    return f"https://{public}{parts.path}{query}"
