"""TLS at the doors: contexts, organisations by server name, client certificates.

TLS 1.2 with forward secrecy and AEAD only, or 1.3 (RFC 9325); no compression, no renegotiation, no
tickets in 1.3 (a mail client comes back seldom, and a ticket costs octets at every login). Client
certificates are asked for only where a device authority is given, and never demanded: a client without
one goes on and the policy decides. One that presents a certificate of another authority ends in
a TLS alert, because a handshake with a certificate that does not verify proves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping

from .direct_tls import DirectSSLObject

_CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"  # RFC 9325 section 4.2; 1.3 has its own list
_SNI = "gambeson_sni"  # attribute on the handshake's SSLObject


class TlsError(Exception):
    """A certificate, key or authority can't be used. One sentence for a person."""


def server_context(certificate: str, key: str, device_authority: str = "") -> ssl.SSLContext:
    """A context for one certificate chain and key (PEM file paths); ``device_authority`` is the PEM text of the
    authority whose client certificates count. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = DirectSSLObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_1_2)
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | ssl.OP_SINGLE_ECDH_USE
    )
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{certificate} and {key} are no usable certificate and key: {error}") from None
    if device_authority:
        try:
            context.load_verify_locations(cadata=device_authority)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"the device authority's certificate can't be read: {error}") from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(ca: str = "", authorities: str = "") -> ssl.SSLContext:
    """A strict client's context: names and chains are checked, against the PEM file ``ca``, the PEM text
    ``authorities``, or the system's roots. Raises OSError, ssl.SSLError.

    Python 3.13 began to refuse chains that lack an extension which RFC 5280 section 4.2.1.1 asks of authorities.
    Small organisations' own authorities lack it often, and which Python runs must not decide whether mail flows.
    """
    context = ssl.create_default_context(cafile=ca or None, cadata=authorities or None)
    context.sslobject_class = DirectSSLObject
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class DoorTls:
    """The context that listeners use, and the ones that a server name (SNI, RFC 6066 section 3) selects.

    ``by_name`` maps lower-case host names, or ``*.example.org`` for one label, to contexts. Unknown names
    get the default: a mail client that connects by address still sees a certificate. ``mixed``: some contexts ask for
    client certificates and some don't. OpenSSL takes that from the context that a handshake began with, so such a
    handshake must begin with :meth:`context` of the name.
    """

    __slots__ = ("_by_name", "default", "mixed")

    def __init__(self, default: ssl.SSLContext, by_name: Mapping[str, ssl.SSLContext] | None = None) -> None:
        self.default = default
        self._by_name = dict(by_name or {})
        self.mixed = any(c.verify_mode != default.verify_mode for c in self._by_name.values())
        for context in (default, *self._by_name.values()):
            context.sni_callback = self._select

    def context(self, name: str) -> ssl.SSLContext:
        """The context for a server name (lower case); the default where it has none."""
        by_name = self._by_name
        return by_name.get(name) or by_name.get("*." + name.partition(".")[2]) or self.default

    def _select(self, handshake: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if not name or len(name) > 255:
            return
        name = name.lower().rstrip(".")
        setattr(handshake, _SNI, name)
        if not self._by_name:
            return
        chosen = self.context(name)
        if chosen is not handshake.context:
            handshake.context = chosen


def server_name(handshake: object) -> str:
    """The name that the client asked for in its handshake; empty when it named none."""
    return str(getattr(handshake, _SNI, ""))


def peer_certificate(handshake: ssl.SSLObject | None) -> bytes:
    """DER of the client certificate that the handshake verified; empty without one."""
    return (handshake.getpeercert(True) or b"") if handshake is not None else b""


def fingerprint(certificate: bytes) -> str:
    """Lower-case hex SHA-256 of a DER certificate; empty for none."""
    return hashlib.sha256(certificate).hexdigest() if certificate else ""


def shown_in(transport: asyncio.BaseTransport) -> tuple[bool, bytes, str, str]:
    """What a client's handshake has shown: whether there was one, the certificate, its fingerprint, the name that was
    asked for."""
    handshake = transport.get_extra_info("ssl_object")
    certificate = peer_certificate(handshake)
    return handshake is not None, certificate, fingerprint(certificate), server_name(handshake)
