"""How the octets of one run are cut up."""

from __future__ import annotations


def pieces(data: bytes) -> list[bytes]:
    """``data`` cut into pieces of the size its first octet says (0: whole)."""
    if not data:
        return []
    size, rest = data[0], data[1:]
    return [rest[i : i + size] for i in range(0, len(rest), size)] if size else [rest]
