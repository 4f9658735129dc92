"""One question to a TLS server and its answer: a ClientHello of our own making, and what is in clear behind it.

A library's hello offers only what the library would take itself. To learn whether a server still takes SSL 3.0 or RC4,
the hello is written here (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2, RFC 6101 section 5.6.1.2) and the answer is
read up to where encryption would begin: the version and suite chosen, the certificates and the size of the
Diffie-Hellman group. No key is ever agreed, so nothing secret is here. Pure; randomness is an argument.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from .tls_answer import Alert, HelloReader, NotTls, ServerHello, Ssl2Reader

SSL3, TLS1_0, TLS1_1, TLS1_2, TLS1_3 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

__all__ = [
    "SSL3",
    "TLS1_0",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "Alert",
    "HelloReader",
    "NotTls",
    "ServerHello",
    "Ssl2Reader",
    "client_hello",
    "farewell",
    "ssl2_hello",
]

RANDOM = 32  # octets of the hello's random
ENOUGH_RANDOM = RANDOM + 32 + 32  # with the session id and the key share of a TLS 1.3 hello
_SCSV = 0x00FF  # stands for an empty renegotiation_info (RFC 5746 section 3.3)
_X25519 = 29
_GROUPS = (_X25519, 23, 24, 25, 30, 22, 21, 256, 257, 258)  # x25519, P-256/384/521, x448, old curves, ffdhe
_TLS13_GROUPS = (_X25519, 23, 24, 25, 30, 256, 257, 258)
_SIGNATURES = (
    0x0403, 0x0503, 0x0603,  # ECDSA
    0x0807, 0x0808,  # Ed25519, Ed448
    0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B,  # RSA-PSS
    0x0401, 0x0501, 0x0601,  # RSA
    0x0402, 0x0502, 0x0303, 0x0301, 0x0302,  # DSA, SHA-224
    0x0203, 0x0201, 0x0202, 0x0101,  # SHA-1, MD5
)  # fmt: skip


def client_hello(versions: Sequence[int], suites: Sequence[int], server_name: str, random: bytes) -> bytes:
    """A ClientHello in its record. ``versions`` are those offered; up to TLS 1.2 only the newest can be said, and a
    server that knows it not may answer with an older one. ``suites`` keep their order. ``server_name`` is left out
    where it is empty or an address (RFC 6066 section 3). ``random`` has ENOUGH_RANDOM octets.

    The hello of SSL 3.0 has no extensions: servers of its time stumble over them."""
    newest = max(versions)
    modern = newest >= TLS1_3
    numbers = list(suites) if modern and min(versions) >= TLS1_3 else [*suites, _SCSV]
    session = random[RANDOM : RANDOM + 32] if modern else b""
    body = min(newest, TLS1_2).to_bytes(2, "big") + random[:RANDOM]
    body += _short(session) + _long(b"".join(number.to_bytes(2, "big") for number in numbers)) + b"\1\0"
    if newest > SSL3:
        extensions = _extensions(versions, server_name, random[RANDOM + 32 : ENOUGH_RANDOM])
        length = 4 + len(body) + 2 + len(extensions)
        if 255 < length < 512:  # load balancers that hang on such hellos were many (RFC 7685 section 1)
            extensions += _extension(21, bytes(max(1, 512 - length - 4)))
        body += _long(extensions)
    # RFC 8446 section 5.1: the first record says TLS 1.0 for the sake of old servers.
    record = SSL3 if newest == SSL3 else TLS1_0
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16" + record.to_bytes(2, "big") + _long(message)


def _extensions(versions: Sequence[int], server_name: str, share: bytes) -> bytes:
    newest = max(versions)
    out = b""
    if host := _host_name(server_name):
        out += _extension(0, _long(b"\0" + _long(host)))
    if min(versions) < TLS1_3:
        out += _extension(11, b"\1\0")  # uncompressed points
        out += _extension(23, b"")  # extended_master_secret (RFC 7627), which some servers insist on
        out += _extension(10, _numbers(_GROUPS))
    else:
        out += _extension(10, _numbers(_TLS13_GROUPS))
    if newest >= TLS1_2:
        out += _extension(13, _numbers(_SIGNATURES))
    if newest >= TLS1_3:
        spoken = b"".join(v.to_bytes(2, "big") for v in sorted(versions, reverse=True))
        out += _extension(43, _short(spoken))
        out += _extension(45, b"\1\1")  # psk_dhe_ke
        # Any 32 octets are a point of x25519 (RFC 7748 section 5); nobody needs the private half.
        out += _extension(51, _long(_X25519.to_bytes(2, "big") + _long(share)))
    return out


def _host_name(name: str) -> bytes:
    text = name.rstrip(".")
    if not text or not text.isascii() or len(text) > 255:
        return b""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return text.encode("ascii")
    return b""


def _short(octets: bytes) -> bytes:
    return bytes([len(octets)]) + octets


def _long(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


def _numbers(values: Sequence[int]) -> bytes:
    return _long(b"".join(value.to_bytes(2, "big") for value in values))


def _extension(kind: int, octets: bytes) -> bytes:
    return kind.to_bytes(2, "big") + _long(octets)


def ssl2_hello(random: bytes) -> bytes:
    """A CLIENT-HELLO of SSL 2.0 with all of its ciphers and a challenge of 16 octets (RFC 6101 appendix E shows its
    form; RFC 6176 forbids the protocol)."""
    ciphers = b"".join(
        kind.to_bytes(3, "big")
        for kind in (0x010080, 0x020080, 0x030080, 0x040080, 0x050080, 0x060040, 0x0700C0)
    )
    body = b"\1\0\2" + len(ciphers).to_bytes(2, "big") + b"\0\0\0\x10" + ciphers + random[:16]
    return (0x8000 | len(body)).to_bytes(2, "big") + body


def farewell(version: int) -> bytes:
    """How a client goes before the handshake is done: user_canceled, then close_notify (RFC 8446 section 6.1), so that
    the server's log says that somebody left, not that something broke."""
    head = b"\x15" + min(version, TLS1_2).to_bytes(2, "big") + b"\0\2\1"
    return head + bytes([90]) + head + bytes([0])
