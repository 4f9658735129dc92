"""Sets of addresses as sorted ranges, so that «how many may send» can be counted exactly, whatever overlaps."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gambeson.wire.spf import Network

Range = tuple[int, int]  # first and last address, both in it

_LAST = {4: 2**32 - 1, 6: 2**128 - 1}


@dataclass(frozen=True, slots=True)
class Spans:
    """IPv4 and IPv6 addresses; ranges are sorted and do not touch."""

    four: tuple[Range, ...] = ()
    six: tuple[Range, ...] = ()

    def __or__(self, other: Spans) -> Spans:
        return Spans(_merged([*self.four, *other.four]), _merged([*self.six, *other.six]))

    def __sub__(self, other: Spans) -> Spans:
        return Spans(_without(self.four, other.four), _without(self.six, other.six))

    def __bool__(self) -> bool:
        return bool(self.four or self.six)

    @property
    def size4(self) -> int:
        """How many IPv4 addresses."""
        return sum(last - first + 1 for first, last in self.four)

    @property
    def size6(self) -> int:
        """How many IPv6 addresses."""
        return sum(last - first + 1 for first, last in self.six)

    def networks(self) -> Iterator[Network]:
        """The fewest networks that make it up, IPv4 first."""
        for first, last in self.four:
            yield from ipaddress.summarize_address_range(
                ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
            )
        for first, last in self.six:
            yield from ipaddress.summarize_address_range(
                ipaddress.IPv6Address(first), ipaddress.IPv6Address(last)
            )


EVERYBODY = Spans(((0, _LAST[4]),), ((0, _LAST[6]),))
NOBODY = Spans()


def spans(networks: Iterable[Network]) -> Spans:
    """The addresses of ``networks``."""
    ranges: dict[int, list[Range]] = {4: [], 6: []}
    for network in networks:
        ranges[network.version].append((int(network.network_address), int(network.broadcast_address)))
    return Spans(_merged(ranges[4]), _merged(ranges[6]))


def _merged(ranges: list[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _without(ranges: tuple[Range, ...], taken: tuple[Range, ...]) -> tuple[Range, ...]:
    left: list[Range] = []
    for start, end in ranges:
        first = start
        for low, high in taken:
            if high < first:
                continue
            if low > end:
                break
            if low > first:
                left.append((first, low - 1))
            first = high + 1
        if first <= end:
            left.append((first, end))
    return tuple(left)
