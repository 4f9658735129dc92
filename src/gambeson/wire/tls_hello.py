"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), read without taking part.

Whether a client is asked for a certificate is fixed when a handshake begins, before OpenSSL has seen the name; so a
door that asks on some names only must look first.
"""

from __future__ import annotations

MAX_HELLO = 16384
_RECORD = 5
_SERVER_NAME = 0


def server_name(octets: bytes) -> str | None:
    """The name, in lower case; empty where the hello has none or is none (then the handshake will say so); None while
    it is not whole. Looks at no more than MAX_HELLO octets and raises nothing."""
    message = bytearray()
    at = 0
    while True:
        if len(octets) - at < _RECORD:
            return None if len(octets) < MAX_HELLO else ""
        if octets[at] != 22 or octets[at + 1] != 3:
            return ""
        end = at + _RECORD + int.from_bytes(octets[at + 3 : at + 5], "big")
        if end > MAX_HELLO:
            return ""
        if len(octets) < end:
            return None
        message += octets[at + _RECORD : end]
        at = end
        if len(message) >= 4:
            if message[0] != 1:
                return ""
            wanted = 4 + int.from_bytes(message[1:4], "big")
            if wanted > MAX_HELLO:
                return ""
            if len(message) >= wanted:
                return _name(bytes(message[4:wanted]))


def _name(hello: bytes) -> str:
    try:
        at = 34  # version and random
        at += 1 + hello[at]  # session id
        at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
        at += 1 + hello[at]  # compression methods
    except IndexError:
        return ""
    end = min(len(hello), at + 2 + int.from_bytes(hello[at : at + 2], "big"))
    at += 2
    while at + 4 <= end:
        kind, length = (
            int.from_bytes(hello[at : at + 2], "big"),
            int.from_bytes(hello[at + 2 : at + 4], "big"),
        )
        at += 4
        if kind == _SERVER_NAME:
            # list length, name type 0, name length, name
            if length < 5 or at + length > end or hello[at + 2] != 0:
                return ""
            name = hello[at + 5 : at + length]
            if len(name) != int.from_bytes(hello[at + 3 : at + 5], "big"):
                return ""
            return name.decode("ascii", "replace").lower().rstrip(".")[:255]
        at += length
    return ""
