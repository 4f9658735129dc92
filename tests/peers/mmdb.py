"""Writes a tiny MaxMind DB file: the published format, version 2, with 24-bit records and no pointers.

An IPv6 tree; IPv4 networks lie in ``::/96``, where readers look for them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

_MARKER = b"\xab\xcd\xefMaxMind.com"
_TEXT, _U16, _U32, _MAP, _U64, _ARRAY = 2, 5, 6, 7, 9, 11


def write_mmdb(
    path: Path, networks: Mapping[str, object], *, built: float = 1.8e9, kind: str = "Test-Country"
) -> Path:
    """``networks`` maps CIDRs to records: a two-letter string is a country, anything else is written as it is."""
    tree: list[list[int | bytes | None]] = [[None, None]]
    data = bytearray()
    for cidr, record in networks.items():
        if isinstance(record, str):
            record = {"country": {"iso_code": record, "names": {"en": record}}}
        network = ipaddress.ip_network(cidr)
        bits = f"{int(network.network_address):0{128}b}"
        length = network.prefixlen + (96 if network.version == 4 else 0)
        node = 0
        for bit in map(int, bits[: length - 1]):
            following = tree[node][bit]
            if not isinstance(following, int):
                tree.append([following, following])
                following = tree[node][bit] = len(tree) - 1
            node = following
        tree[node][int(bits[length - 1])] = len(data).to_bytes(4)
        data += encoded(record)
    nodes = len(tree)

    def value(one: int | bytes | None) -> bytes:
        if isinstance(one, bytes):
            return (nodes + 16 + int.from_bytes(one)).to_bytes(3)
        return (nodes if one is None else one).to_bytes(3)

    metadata = {
        "binary_format_major_version": (_U16, 2),
        "binary_format_minor_version": (_U16, 0),
        "build_epoch": (_U64, int(built)),
        "database_type": kind,
        "description": {"en": "made by a test"},
        "ip_version": (_U16, 6),
        "languages": ["en"],
        "node_count": (_U32, nodes),
        "record_size": (_U16, 24),
    }
    records = b"".join(value(one) for pair in tree for one in pair)
    path.write_bytes(records + bytes(16) + bytes(data) + _MARKER + encoded(metadata))
    return path


def encoded(value: object) -> bytes:
    """One value of the data section. Numbers are pairs of type and value."""
    match value:
        case str(text):
            return _control(_TEXT, len(text.encode())) + text.encode()
        case (int(kind), int(number)):
            octets = number.to_bytes((number.bit_length() + 7) // 8)
            return _control(kind, len(octets)) + octets
        case list(items):
            return _control(_ARRAY, len(items)) + b"".join(map(encoded, items))
        case dict(table):
            return _control(_MAP, len(table)) + b"".join(encoded(k) + encoded(v) for k, v in table.items())
    raise TypeError(value)


def _control(kind: int, size: int) -> bytes:
    """Type and size; sizes from 29 on take one more octet, types from 8 on are extended."""
    if size >= 285:
        raise ValueError("too long for this writer")
    small, more = (size, b"") if size < 29 else (29, bytes((size - 29,)))
    if kind < 8:
        return bytes((kind << 5 | small,)) + more
    return bytes((small, kind - 7)) + more
