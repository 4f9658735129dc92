"""The outline of a DER certificate (ITU-T X.690; RFC 5280 section 4.1), for what a parser will not show.

Libraries refuse certificates that servers nevertheless send. What is needed even then is found by walking over tags and
lengths: the key as it was sent, its kind and its size. Only definite lengths; nothing is interpreted beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE, _INTEGER, _BIT_STRING, _OBJECT, _VERSION = 0x30, 0x02, 0x03, 0x06, 0xA0
RSA = bytes.fromhex("2a864886f70d010101")  # 1.2.840.113549.1.1.1


class DerError(Exception):
    """The octets are not what was expected there."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, and where it and its content are."""

    tag: int
    start: int
    content: int
    end: int


def element(octets: bytes, at: int, end: int) -> Element:
    """The element at ``at``, which must not reach beyond ``end``. Raises DerError."""
    if at + 2 > end or end > len(octets):
        raise DerError
    tag, length, content = octets[at], octets[at + 1], at + 2
    if tag & 0x1F == 0x1F or length == 0x80 or length > 0x84:
        raise DerError
    if length > 0x80:
        count = length - 0x80
        content += count
        if content > end:
            raise DerError
        length = int.from_bytes(octets[at + 2 : content], "big")
    if content + length > end:
        raise DerError
    return Element(tag, at, content, content + length)


def _children(octets: bytes, parent: Element, most: int) -> list[Element]:
    found: list[Element] = []
    at = parent.content
    while at < parent.end and len(found) < most:
        child = element(octets, at, parent.end)
        found.append(child)
        at = child.end
    return found


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo exactly as it was sent. Raises DerError."""
    whole = element(certificate, 0, len(certificate))
    if whole.tag != _SEQUENCE:
        raise DerError
    signed = element(certificate, whole.content, whole.end)
    if signed.tag != _SEQUENCE:
        raise DerError
    parts = _children(certificate, signed, 8)
    if parts and parts[0].tag == _VERSION:
        parts = parts[1:]
    # serial number, signature, issuer, validity, subject, key
    if len(parts) < 6 or parts[5].tag != _SEQUENCE:
        raise DerError
    return certificate[parts[5].start : parts[5].end]


def rsa_bits(spki: bytes) -> int:
    """The bits of the modulus; 0 where the key is not RSA. Raises DerError."""
    whole = element(spki, 0, len(spki))
    parts = _children(spki, whole, 2)
    if len(parts) < 2 or parts[0].tag != _SEQUENCE or parts[1].tag != _BIT_STRING:
        raise DerError
    kind = element(spki, parts[0].content, parts[0].end)
    if kind.tag != _OBJECT:
        raise DerError
    if spki[kind.content : kind.end] != RSA:
        return 0
    key = element(spki, parts[1].content + 1, parts[1].end)  # one octet says how many bits are unused
    modulus = element(spki, key.content, key.end)
    if modulus.tag != _INTEGER:
        raise DerError
    return int.from_bytes(spki[modulus.content : modulus.end], "big").bit_length()
