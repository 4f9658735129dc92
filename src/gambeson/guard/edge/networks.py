"""Where a connection comes from: addresses in canonical text, and sets of networks.

An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) is the IPv4 address. Per-source counting
takes a whole /64 for IPv6, because that is what one customer gets.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable


def canonical(address: str) -> str:
    """Canonical text of an IP address without zone; anything else (a Unix socket's name) unchanged."""
    if address.isascii() and ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or parsed)


def prefix(address: str) -> str:
    """What is counted as one source: the IPv4 address, or the IPv6 /64."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    except ValueError:
        return address


def own_address(transport: asyncio.BaseTransport | None) -> tuple[str, int]:
    """Our own address and port that a client came to; of a Unix socket, or none, the loopback address."""
    name = transport.get_extra_info("sockname") if transport is not None else None
    return (canonical(name[0]), name[1]) if isinstance(name, tuple) else ("127.0.0.1", 0)


class Networks:
    """A set of CIDR networks. ``address in networks`` takes canonical text; text that is no address is
    in no network. Raises ValueError for a CIDR that is none."""

    __slots__ = ("_networks",)

    def __init__(self, cidrs: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(c) for c in cidrs)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)
