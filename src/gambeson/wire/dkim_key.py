"""DKIM public keys as the domain name system has them (RFC 6376 section 3.6.1, RFC 8301, RFC 8463).

The size of an RSA key is read out of its DER by the few lines at the end: a key record needs nothing more of ASN.1,
and this part of the code asks no library for it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from . import tag_list

MAX_KEY = 4096  # octets of DER: an RSA key of 16384 bits needs about half

_RSA = bytes.fromhex("2a864886f70d010101")  # rsaEncryption, 1.2.840.113549.1.1.1


class DkimKeyError(Exception):
    """The text is no DKIM key record. The sentence says why."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """``kind`` is ``rsa``, ``ed25519`` or what the record names; ``bits`` the length of an RSA modulus (256 for
    Ed25519, 0 where it is not known). ``revoked``: an empty p tag. ``testing`` and ``exact`` are the flags y and s.
    ``exponent`` is RSA's. ``hashes`` and ``services`` are empty where all are good."""

    kind: str
    bits: int = 0
    revoked: bool = False
    testing: bool = False
    exact: bool = False
    exponent: int = 0
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


def parse(text: str) -> DkimKey:
    """The key record in ``text``. Raises DkimKeyError."""
    try:
        pairs = tag_list.parse(text)
    except tag_list.TagListError as error:
        raise DkimKeyError(str(error)) from None
    tags = dict(pairs)
    if "v" in tags and (pairs[0][0] != "v" or tags["v"] != "DKIM1"):
        raise DkimKeyError("its v tag is not v=DKIM1 at the front")
    if "p" not in tags:
        raise DkimKeyError("it has no key (p tag)")
    kind = tags.get("k", "rsa").lower()[:40]
    flags = _colons(tags.get("t", ""))
    services = tuple(s for s in _colons(tags.get("s", "*")))
    if services and not {"*", "email"} & set(services):
        raise DkimKeyError("it is not for mail (s tag)")
    encoded = "".join(tags["p"].split())
    bits = exponent = 0
    if encoded:
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise DkimKeyError("its key is not base64") from None
        if len(key) > MAX_KEY:
            raise DkimKeyError("its key is longer than any key is")
        bits, exponent = _size(kind, key)
    return DkimKey(
        kind,
        bits,
        revoked=not encoded,
        testing="y" in flags,
        exact="s" in flags,
        exponent=exponent,
        hashes=_colons(tags.get("h", "")),
        services=() if "*" in services else services,
    )


def _colons(value: str) -> tuple[str, ...]:
    return tuple(
        piece.strip(tag_list.SPACE).lower() for piece in value.split(":") if piece.strip(tag_list.SPACE)
    )


def _size(kind: str, key: bytes) -> tuple[int, int]:
    if kind == "ed25519":
        if len(key) != 32:
            raise DkimKeyError("an Ed25519 key has 32 octets, this one has not")  # RFC 8463 section 4
        return 256, 0
    if kind != "rsa":
        return 0, 0
    modulus, exponent = rsa_numbers(key)
    return modulus.bit_length(), exponent


def rsa_numbers(der: bytes) -> tuple[int, int]:
    """Modulus and exponent of a SubjectPublicKeyInfo (RFC 5280 section 4.1) or a bare RSAPublicKey (RFC 8017 appendix
    A.1.1), which some publish. Raises DkimKeyError."""
    body = _whole(der, 0x30)
    tag, first, rest = _element(body)
    if tag == 0x30:
        algorithm = _element(first)
        if algorithm[0] != 0x06 or algorithm[1] != _RSA:
            raise DkimKeyError("its key is not an RSA key")
        bits = _whole(rest, 0x03)
        if not bits or bits[0]:
            raise DkimKeyError("its key is cut")
        tag, first, rest = _element(_whole(bits[1:], 0x30))
    if tag != 0x02:
        raise DkimKeyError("its key is not an RSA key")
    second = _whole(rest, 0x02)
    modulus, exponent = (int.from_bytes(number, "big", signed=True) for number in (first, second))
    if modulus <= 0 or exponent <= 0:
        raise DkimKeyError("its key has an impossible number")
    return modulus, exponent


def _whole(octets: bytes, wanted: int) -> bytes:
    tag, value, rest = _element(octets)
    if tag != wanted or rest:
        raise DkimKeyError("its key is not in the form of a public key")
    return value


def _element(octets: bytes) -> tuple[int, bytes, bytes]:
    """Tag, value and what follows of one DER element (X.690: definite lengths only, at most three length octets)."""
    if len(octets) < 2:
        raise DkimKeyError("its key is cut")
    length, start = octets[1], 2
    if length & 0x80:
        start += length & 0x7F
        if not 2 < start <= 5 or start > len(octets):
            raise DkimKeyError("its key is cut")
        length = int.from_bytes(octets[2:start], "big")
    if start + length > len(octets):
        raise DkimKeyError("its key is cut")
    return octets[0], octets[start : start + length], octets[start + length :]
