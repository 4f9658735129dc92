import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.networks import NOWHERE, NetworkTable, parse_ip, source_prefix


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("192.0.2.1", (4, 0xC0000201)),
        ("::ffff:192.0.2.1", (4, 0xC0000201)),
        ("2001:db8::1", (6, 0x20010DB8000000000000000000000001)),
        ("fe80::1%eth0", (6, 0xFE800000000000000000000000000001)),
        ("", NOWHERE),
        ("192.0.2", NOWHERE),
        ("192.0.2.256", NOWHERE),
        ("/run/door.sock", NOWHERE),
        ("x" * 10000, NOWHERE),
    ],
)
def test_addresses(text, parsed):
    assert parse_ip(text) == parsed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("/run/a", "/run/b", False),
    ],
)
def test_prefixes(one, other, same):
    assert (source_prefix(one) == source_prefix(other)) is same


def test_a_prefix_key_is_short():
    assert len(source_prefix("x" * 10**6)) <= 64


v4 = st.builds(
    lambda a, p: ipaddress.ip_network((a, p), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
)
v6 = st.builds(
    lambda a, p: ipaddress.ip_network((a, p), strict=False),
    st.integers(2**32, 2**128 - 1),
    st.integers(0, 128),
)


@given(st.lists(v4 | v6, max_size=8), st.ip_addresses())
def test_the_table_agrees_with_the_standard_library(networks, address):
    mapped = getattr(address, "ipv4_mapped", None)
    meant = mapped if mapped is not None else address
    table = NetworkTable((str(i), str(n)) for i, n in enumerate(networks))
    expected = {str(i) for i, n in enumerate(networks) if n.version == meant.version and meant in n}
    ip = parse_ip(str(address))
    assert table.holding(ip) == expected
    assert table.holds(ip) is bool(expected)


def test_nowhere_is_in_no_network():
    assert not NetworkTable([("all", "0.0.0.0/0"), ("six", "::/0")]).holds(NOWHERE)
