"""What nginx asks with ``auth_request``: a sub-request that tells of another request, without its body.

Our recipe (``guard export nginx``) writes every header named here itself, over whatever the client sent; any other
``X-Gambeson-*`` is refused, for the recipe does not know it. All other headers are the client's. They are read by the
same rules as at the native door, so that both decide on the same request. A header of ours that came twice is refused:
then somebody else than the recipe wrote one of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from gambeson.model.web import WebRequest

from .http_head import read_request
from .http_target import HeadError

URI, METHOD, HOST = b"x-original-uri", b"x-original-method", b"x-original-host"
CLIENT, LENGTH, CODING = b"x-gambeson-client", b"x-gambeson-length", b"x-gambeson-coding"
VERIFIED, CERTIFICATE = b"x-gambeson-verified", b"x-gambeson-certificate"
_OURS = frozenset((URI, METHOD, HOST, CLIENT, LENGTH, CODING, VERIFIED, CERTIFICATE))
# Of the sub-request itself.
_ITS_OWN = frozenset((b"host", b"connection", b"content-length", b"transfer-encoding", b"x-api-key"))
MAX_CERTIFICATE = 8192  # octets of PEM
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*\Z")


@dataclass(frozen=True, slots=True)
class SubRequest:
    """The request that is asked about. ``certificate`` is the client's (DER) where nginx verified one; ``fingerprint``
    its SHA-256 in lower-case hex."""

    request: WebRequest
    certificate: bytes = field(default=b"", repr=False)
    fingerprint: str = ""


def read_sub_request(headers: list[tuple[bytes, bytes]], hosts: Container[str]) -> SubRequest:
    """``headers`` of the sub-request, names in lower case; ``hosts`` are the names served. Raises HeadError."""
    ours: dict[bytes, bytes] = {}
    others: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name in _OURS:
            if name in ours:
                raise HeadError(400, "header-twice")
            ours[name] = value.strip(b" \t")
        elif name.startswith(b"x-gambeson-"):
            raise HeadError(400, "header-of-ours")  # the client wrote it, and nginx would send it on
        elif name not in _ITS_OWN:
            others.append((name, value))
    source = _source(ours.get(CLIENT, b""))
    host = ours.get(HOST, b"")
    others.append((b"host", host))
    if ours.get(LENGTH):
        others.append((b"content-length", ours[LENGTH]))
    if ours.get(CODING):
        others.append((b"transfer-encoding", ours[CODING]))
    sni = host.decode("latin-1").lower().partition(":")[0]
    request = read_request(
        ours.get(METHOD, b""), ours.get(URI, b""), "1.1", others, sni=sni, source=source, hosts=hosts
    )
    certificate = _certificate(ours)
    shown = hashlib.sha256(certificate).hexdigest() if certificate else ""
    return SubRequest(request, certificate, shown)


def _source(octets: bytes) -> str:
    try:
        parsed = ip_address(octets.decode("ascii"))
    except ValueError:
        raise HeadError(400, "client-address") from None
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _certificate(ours: dict[bytes, bytes]) -> bytes:
    """DER, where nginx says SUCCESS. A certificate that did not verify is none."""
    if ours.get(VERIFIED) != b"SUCCESS":
        return b""
    octets = ours.get(CERTIFICATE, b"")
    if len(octets) > 3 * MAX_CERTIFICATE:
        raise HeadError(431, "certificate-too-long")
    found = _PEM.match(unquote_to_bytes(octets).strip())
    if found is None or len(found[1]) > MAX_CERTIFICATE:
        raise HeadError(400, "certificate")
    try:
        der = base64.b64decode(b"".join(found[1].split()), validate=True)
    except (binascii.Error, ValueError):
        raise HeadError(400, "certificate") from None
    if not der:
        raise HeadError(400, "certificate")
    return der
