"""Where a client comes from: addresses and networks as integers, prepared once.

``ipaddress`` objects are too slow to be made for every login. An address becomes ``(version, value)``;
declared networks become one table per prefix length, so that asking "which networks hold this address"
costs one look-up per distinct length. What cannot be parsed is in no network: whoever must come from a
network to be let in, is not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Ip = tuple[int, int]
NOWHERE: Ip = (0, 0)
_BITS = {4: 32, 6: 128}
_PREFIX = {4: 24, 6: 64}  # what one subscriber or site usually holds: the grain of the throttles


@lru_cache(maxsize=65536)
def parse_ip(text: str) -> Ip:
    """``(4 or 6, value)`` of an address in text; ``NOWHERE`` for anything else. IPv4-mapped IPv6
    addresses are IPv4, a zone (``%eth0``) is dropped."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return NOWHERE
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def source_prefix(source: str) -> str:
    """The /24 or /64 that ``source`` lies in, as a short stable key; the text itself (at most 64
    characters) where it is no address, such as the path of a Unix socket."""
    version, value = parse_ip(source[:128])
    if not version:
        return source[:64]
    keep = _PREFIX[version]
    return f"{version}:{value >> (_BITS[version] - keep):x}"


class NetworkTable:
    """Named networks, prepared for asking. Invalid CIDR text raises ValueError."""

    __slots__ = ("_levels",)

    def __init__(self, networks: Iterable[tuple[str, str]]) -> None:
        """``networks`` are (name, CIDR) pairs; host bits may be set."""
        levels: dict[tuple[int, int], dict[int, tuple[str, ...]]] = {}
        for name, cidr in networks:
            network = ipaddress.ip_network(cidr, strict=False)
            shift = _BITS[network.version] - network.prefixlen
            level = levels.setdefault((network.version, shift), {})
            value = int(network.network_address) >> shift
            if name not in level.get(value, ()):
                level[value] = (*level.get(value, ()), name)
        self._levels = tuple((version, shift, level) for (version, shift), level in levels.items())

    def holding(self, ip: Ip) -> frozenset[str]:
        """The names of all networks that hold this address."""
        version, value = ip
        found: tuple[str, ...] = ()
        for its_version, shift, level in self._levels:
            if its_version == version:
                found += level.get(value >> shift, ())
        return frozenset(found) if found else _NONE

    def holds(self, ip: Ip) -> bool:
        """True where any of them holds this address."""
        version, value = ip
        return any(v == version and value >> shift in level for v, shift, level in self._levels)


_NONE: frozenset[str] = frozenset()
