"""Sets of addresses, held against sets of numbers."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.sender.spans import EVERYBODY, NOBODY, Spans, spans

NETWORKS = st.lists(
    st.builds(lambda host, bits: ipaddress.ip_network((0xC0000200 + host, bits), strict=False),
              st.integers(0, 255), st.integers(24, 32)),
    max_size=8,
)  # fmt: skip


def members(value: Spans) -> set[int]:
    return {n for first, last in value.four for n in range(first, last + 1)}


def hosts(networks: list[ipaddress.IPv4Network]) -> set[int]:
    return {int(address) for network in networks for address in network}


@given(NETWORKS, NETWORKS)
def test_union_and_difference(one: list[ipaddress.IPv4Network], other: list[ipaddress.IPv4Network]) -> None:
    a, b = spans(one), spans(other)
    assert members(a) == hosts(one)
    assert members(a | b) == hosts(one) | hosts(other)
    assert members(a - b) == hosts(one) - hosts(other)
    assert (a | b).size4 == len(hosts(one) | hosts(other))
    assert spans((a | b).networks()) == a | b


def test_everybody_and_nobody() -> None:
    assert EVERYBODY - EVERYBODY == NOBODY
    assert not NOBODY
    assert [str(network) for network in EVERYBODY.networks()] == ["0.0.0.0/0", "::/0"]
    assert (EVERYBODY - spans([ipaddress.ip_network("128.0.0.0/1")])).size4 == 2**31
    assert spans([ipaddress.ip_network("2001:db8::/32")]).size6 == 2**96
