"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who really is at the other end.

A header is trusted as far as its sender is: the edge reads one only from listed sources, and takes TLVs
about certificates only over a Unix socket of its own. Parsing is strict; anything odd is a ProxyError and the
connection closes. Addresses come out in canonical text, IPv4-mapped IPv6 as IPv4.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

MAX_V1 = 107  # section 2.1: the longest version 1 line with its CRLF
MAX_V2 = 4096  # octets behind the fixed part; more than any honest sender needs
MAX_TLVS = 64

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16  # signature, version and command, family and transport, length

TLV_ALPN = 0x01
TLV_AUTHORITY = 0x02
TLV_CRC32C = 0x03
TLV_NOOP = 0x04
TLV_UNIQUE_ID = 0x05
TLV_SSL = 0x20
TLV_SSL_VERSION = 0x21
TLV_SSL_CN = 0x22
TLV_SSL_CIPHER = 0x23

# Section 2.2.7 leaves 0xE0 to 0xEF to applications: what an edge that ends TLS for us tells of it, one
# field each (a subject or a server name may hold any separator).
TLV_CERTIFICATE = 0xE0  # SHA-256 of the verified client certificate's DER, 64 hex digits
TLV_TLS_VERSION = 0xE1  # as OpenSSL names it, such as TLSv1.3
TLV_SNI = 0xE2  # the server name that the client asked for


class ProxyError(Exception):
    """The octets are no PROXY header that we take. The text is for the record."""


Tlv = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """One header. ``local``: the sender speaks for itself (a health check), or does not know the client:
    the connection's own addresses count. ``length``: octets of the header in the buffer."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    local: bool
    tlvs: tuple[Tlv, ...] = ()
    length: int = 0

    def tlv(self, kind: int) -> bytes | None:
        """The only TLV of this kind, None without one. Raises ProxyError for several: whom to believe?"""
        found = [value for number, value in self.tlvs if number == kind]
        if len(found) > 1:
            raise ProxyError("a TLV is there twice")
        return found[0] if found else None

    @property
    def certificate(self) -> str:
        """The client certificate's SHA-256 (lower-case hex) as our edge tells it, empty without one.
        Raises ProxyError when the TLV is there and is not such a fingerprint."""
        value = self.tlv(TLV_CERTIFICATE)
        if value is None:
            return ""
        if not re.fullmatch(rb"[0-9a-fA-F]{64}", value):
            raise ProxyError("the certificate's fingerprint is not 64 hex digits")
        return value.decode("ascii").lower()

    @property
    def ssl(self) -> Ssl | None:
        """The SSL TLV (section 2.2.6), None without one. Raises ProxyError when it is malformed."""
        value = self.tlv(TLV_SSL)
        return None if value is None else _parse_ssl(value)


@dataclass(frozen=True, slots=True)
class Ssl:
    """The SSL TLV: what the sender saw of TLS. ``certificate`` says that one was presented (on this
    connection or in its session), ``verified`` that one was presented and was found good."""

    tls: bool
    certificate: bool
    verified: bool
    version: str = ""
    common_name: str = ""
    cipher: str = ""


def parse(buffer: bytes) -> Header | None:
    """The header at the beginning of ``buffer``; None when more octets are needed. Raises ProxyError as
    soon as no continuation could make it one."""
    head = bytes(buffer[:_FIXED])
    if head[: len(SIGNATURE)] == SIGNATURE[: len(head)]:
        if len(head) > 12 and head[12] not in (_LOCAL, _PROXY):
            raise ProxyError("the version 2 header has an unknown version or command")
        return _parse_v2(buffer) if len(head) == _FIXED else None
    if head[:6] == b"PROXY "[: len(head)]:
        return _parse_v1(buffer)
    raise ProxyError("the connection begins without a PROXY header")


# --- version 1 -------------------------------------------------------------------------------------------

_V1 = re.compile(rb"PROXY (?:UNKNOWN(?: .*)?|(?P<family>TCP[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))", re.ASCII)


def _parse_v1(buffer: bytes) -> Header | None:
    line = bytes(buffer[:MAX_V1])
    end = line.find(b"\r\n")
    if end < 0:
        if len(line) == MAX_V1:
            raise ProxyError("the version 1 header is too long")
        return None
    found = _V1.fullmatch(line[:end])
    if found is None:
        raise ProxyError("the version 1 header cannot be understood")
    if found["family"] is None:
        return Header("", 0, "", 0, True, (), end + 2)  # section 2.1: the rest of UNKNOWN is ignored
    version = 4 if found["family"] == b"TCP4" else 6
    source, destination = (_address(found[n].decode("ascii", "replace"), version) for n in (2, 3))
    return Header(source, _port(found[4]), destination, _port(found[5]), False, (), end + 2)


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ProxyError("an address in the header is none") from None
    if address.version != version or "%" in text:
        raise ProxyError("an address in the header is not of its family")
    return canonical(address)


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535 or (len(text) > 1 and text.startswith(b"0")):
        raise ProxyError("a port in the header is none")
    return port


def canonical(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The one text form of an address; IPv4-mapped IPv6 is IPv4, so that both count as one source."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


# --- version 2 -------------------------------------------------------------------------------------------

_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC = 0x00
# Family and transport: stream sockets only, as mail is. Octets of one address; of the address block.
_FAMILIES = {0x11: (4, 12), 0x21: (16, 36), 0x31: (108, 216)}


def _parse_v2(buffer: bytes) -> Header | None:
    command, family, length = struct.unpack_from("!BBH", buffer, 12)
    if length > MAX_V2:
        raise ProxyError("the version 2 header is too long")
    if len(buffer) < _FIXED + length:
        return None
    whole = bytes(buffer[: _FIXED + length])
    if command == _LOCAL:
        return Header("", 0, "", 0, True, (), len(whole))  # section 2.2: the block is skipped
    if family == _UNSPEC:
        return Header("", 0, "", 0, True, _parse_tlvs(whole, _FIXED), len(whole))
    if family not in _FAMILIES:
        raise ProxyError("the version 2 header has a family or transport that mail has not")
    size, block = _FAMILIES[family]
    if length < block:
        raise ProxyError("the version 2 header is too short for its addresses")
    first, second = whole[_FIXED : _FIXED + size], whole[_FIXED + size : _FIXED + 2 * size]
    source_port = destination_port = 0
    if size == 108:
        source, destination = _path(first), _path(second)
    else:
        source, destination = (canonical(ipaddress.ip_address(packed)) for packed in (first, second))
        source_port, destination_port = struct.unpack_from("!HH", whole, _FIXED + 2 * size)
    tlvs = _parse_tlvs(whole, _FIXED + block)
    return Header(source, source_port, destination, destination_port, False, tlvs, len(whole))


def _path(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _parse_tlvs(whole: bytes, at: int) -> tuple[Tlv, ...]:
    tlvs: list[Tlv] = []
    for number, value, place in _walk(whole, at):
        if len(tlvs) >= MAX_TLVS:
            raise ProxyError("the header has too many TLVs")
        if number == TLV_CRC32C:
            _check_crc(whole, value, place)
        tlvs.append((number, value))
    if sum(number == TLV_CRC32C for number, _ in tlvs) > 1:
        raise ProxyError("the header has two checksums")
    return tuple(tlvs)


def _walk(octets: bytes, at: int) -> Iterable[tuple[int, bytes, int]]:
    """Type, value and the value's place of each TLV (section 2.2: type, length high, length low, value)."""
    while at < len(octets):
        if at + 3 > len(octets):
            raise ProxyError("a TLV is cut off")
        number, length = struct.unpack_from("!BH", octets, at)
        at += 3
        if at + length > len(octets):
            raise ProxyError("a TLV is cut off")
        yield number, octets[at : at + length], at
        at += length


def _check_crc(whole: bytes, value: bytes, place: int) -> None:
    if len(value) != 4:
        raise ProxyError("the header's checksum is not four octets")
    blank = whole[:place] + b"\0\0\0\0" + whole[place + 4 :]
    if crc32c(blank) != int.from_bytes(value, "big"):
        raise ProxyError("the header's checksum is wrong")


def _parse_ssl(value: bytes) -> Ssl:
    if len(value) < 5:
        raise ProxyError("the SSL TLV is cut off")
    client, verify = struct.unpack_from("!BI", value)
    parts: dict[int, str] = {}
    for number, part, _ in _walk(value, 5):
        if number in parts:
            raise ProxyError("a TLV is there twice")
        parts[number] = part.decode("utf-8", "backslashreplace")
    presented = bool(client & 0x06)  # on the connection (0x02) or in its session (0x04)
    return Ssl(
        tls=bool(client & 0x01),
        certificate=presented,
        verified=presented and verify == 0,
        version=parts.get(TLV_SSL_VERSION, ""),
        common_name=parts.get(TLV_SSL_CN, ""),
        cipher=parts.get(TLV_SSL_CIPHER, ""),
    )


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(octets: bytes) -> int:
    """CRC-32C, the checksum of RFC 9260 appendix A."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


def build_v2(
    source: str,
    source_port: int,
    destination: str,
    destination_port: int,
    tlvs: Iterable[Tlv] = (),
    *,
    checksum: bool = False,
) -> bytes:
    """A version 2 header for a stream from ``source`` to ``destination``. An empty ``source`` gives LOCAL. Mixed
    families become IPv6. Raises ProxyError for what is no address or port, or is too long."""
    if not source:
        return SIGNATURE + struct.pack("!BBH", _LOCAL, _UNSPEC, 0)
    try:
        ends = [ipaddress.ip_address(source), ipaddress.ip_address(destination)]
        if {end.version for end in ends} == {4}:
            family, packed = 0x11, b"".join(end.packed for end in ends)
        else:
            family, packed = 0x21, b"".join(_as_v6(end) for end in ends)
        body = packed + struct.pack("!HH", source_port, destination_port)
        pairs = [*tlvs, *([(TLV_CRC32C, b"\0\0\0\0")] if checksum else [])]
        body += b"".join(struct.pack("!BH", number, len(value)) + value for number, value in pairs)
    except (ValueError, struct.error):
        raise ProxyError("an address, a port or a TLV does not fit into a PROXY header") from None
    if len(body) > MAX_V2 or len(pairs) > MAX_TLVS:
        raise ProxyError("the PROXY header is too long")
    header = SIGNATURE + struct.pack("!BBH", _PROXY, family, len(body)) + body
    if checksum:
        header = header[:-4] + struct.pack("!I", crc32c(header))
    return header


def _as_v6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
